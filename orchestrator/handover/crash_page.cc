#include "orchestrator/handover/crash_page.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace reeve {

namespace {

constexpr size_t kLogBytes = 4096;
constexpr size_t kIdBytes = 128;  // more than an agent's id may have

void PutText(char* place, size_t size, std::string_view text) {
  const size_t bytes = std::min(text.size(), size - 1);
  std::memcpy(place, text.data(), bytes);
  place[bytes] = '\0';
}

std::string_view TextIn(const char* place, size_t size) { return {place, strnlen(place, size)}; }

}  // namespace

// Zero at first.
struct CrashPage::Page {
  char handling[kIdBytes];  // empty: nothing is being handled
  char suspect[kIdBytes];   // the agent that the last daemon died of
  uint32_t deaths;          // of it, in a row
  uint32_t log_bytes;
  char log[kLogBytes];  // the newest lines
};

Result<std::unique_ptr<CrashPage>> CrashPage::Open(ProcessParent& parent) {
  Fd file;
  for (const uint64_t key : parent.Kept(ProcessParent::Purpose::kCrashPage)) file = parent.Take(key);
  const bool earlier = file.valid();
  if (!earlier) {
    file = Fd(memfd_create("reeve-crash", MFD_CLOEXEC));
    if (!file.valid() || ftruncate(file.get(), sizeof(Page)) != 0) return OsError("make a crash page", errno);
    (void)parent.Keep(file.get(), ProcessParent::Purpose::kCrashPage);
  }
  void* memory = mmap(nullptr, sizeof(Page), PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
  if (memory == MAP_FAILED) return OsError("map the crash page", errno);
  std::unique_ptr<CrashPage> page(new CrashPage(std::move(file), static_cast<Page*>(memory)));
  if (earlier) page->Begin();
  return page;
}

CrashPage::~CrashPage() { munmap(page_, sizeof(Page)); }

// Judges how the earlier daemon died.
void CrashPage::Begin() {
  const std::string handled(TextIn(page_->handling, kIdBytes));
  if (handled.empty()) {
    page_->deaths = 0;
  } else if (handled == TextIn(page_->suspect, kIdBytes)) {
    ++page_->deaths;
  } else {
    PutText(page_->suspect, kIdBytes, handled);
    page_->deaths = 1;
  }
  Done();
  last_log_.assign(page_->log, std::min<size_t>(page_->log_bytes, kLogBytes));
  page_->log_bytes = 0;
}

std::string CrashPage::TakePoisoned() {
  if (page_->deaths < kDeadly) return {};
  page_->deaths = 0;
  return std::string(TextIn(page_->suspect, kIdBytes));
}

void CrashPage::Handling(std::string_view agent) { PutText(page_->handling, kIdBytes, agent); }

void CrashPage::Done() { page_->handling[0] = '\0'; }

void CrashPage::Committed(std::string_view agent) {
  if (page_->deaths != 0 && agent == TextIn(page_->suspect, kIdBytes)) page_->deaths = 0;
}

void CrashPage::Log(std::string_view line) {
  const std::lock_guard<std::mutex> lock(log_mutex_);
  line = line.substr(0, kLogBytes);
  size_t kept = std::min<size_t>(page_->log_bytes, kLogBytes);
  if (kept + line.size() > kLogBytes) {  // whole lines make room
    const std::string_view all(page_->log, kept);
    const size_t end = all.find('\n', kept + line.size() - kLogBytes);
    const size_t cut = end == std::string_view::npos ? kept : end + 1;
    std::memmove(page_->log, page_->log + cut, kept - cut);
    kept -= cut;
  }
  std::memcpy(page_->log + kept, line.data(), line.size());
  page_->log_bytes = static_cast<uint32_t>(kept + line.size());
}

}  // namespace reeve
