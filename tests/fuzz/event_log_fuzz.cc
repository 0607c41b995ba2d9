// The event log, in one of two ways, which the first byte selects.
//
// Operations: the bytes choose operations on a log and on a list of events side by side. Everything that a
// caller can see must agree (tests/support/log_model.h).
//
// Files: the target opens a folder of segments and sums, which a log wrote and which is then patched and cut
// at random places, or which consists of the bytes as they are. The log must open, for any content, or refuse
// an epoch that is not new. Its first and last events must be those that it reports, every position must be
// found, and an event that is written then must be read back.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "orchestrator/log/event_log.h"
#include "process/clock.h"
#include "process/log.h"
#include "tests/support/log_model.h"

namespace {

using reeve::Cursor;
using reeve::EventLog;
using reeve::FrameView;

void Demand(bool condition) {
  if (!condition) std::abort();
}

// Numbers out of bytes; zeros when they are used up.
class Bytes {
 public:
  explicit Bytes(std::string_view bytes) : rest_(bytes) {}
  [[nodiscard]] bool empty() const { return rest_.empty(); }
  uint64_t Below(uint64_t n) {
    uint64_t number = 0;
    for (uint64_t most = n; most > 1 && !rest_.empty(); most = (most + 255) / 256) {
      number = number << 8 | static_cast<unsigned char>(rest_[0]);
      rest_.remove_prefix(1);
    }
    return number % n;
  }
  std::string_view Take(uint64_t size) {
    std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(taken.size());
    return taken;
  }

 private:
  std::string_view rest_;
};

// In memory where it can be; emptied for each input.
std::string Folder() {
  static const std::string folder = [] {
    std::string name =
        std::filesystem::is_directory("/dev/shm") ? "/dev/shm/reeve-fuzz-XXXXXX" : "/tmp/reeve-fuzz-XXXXXX";
    Demand(mkdtemp(name.data()) != nullptr);
    return name;
  }();
  std::filesystem::remove_all(folder);
  std::filesystem::create_directory(folder);
  return folder;
}

void Operations(Bytes bytes) {
  reeve::LogModel model(Folder(), [&bytes](uint64_t below) { return bytes.Below(below); });
  while (!bytes.empty()) {
    if (model.Step()) continue;
    std::fprintf(stderr, "%s\n", model.complaint().c_str());
    std::abort();
  }
}

std::string SegmentPath(const std::string& folder, uint64_t first_seq) {
  const std::string digits = std::to_string(first_seq);
  return folder + "/" + std::string(16 - digits.size(), '0') + digits + ".sse";
}

void WriteFiles(const std::string& folder, Bytes& bytes) {
  reeve::SystemClock clock;
  EventLog::Limits limits;
  // Blocks of sums have 4 KiB.
  limits.segment_bytes = bytes.Below(2) == 0 ? 400 : 9'000;
  for (uint64_t epoch = 1 + bytes.Below(3); epoch > 0; --epoch) {
    auto log = EventLog::Open(clock, folder, "a1", 10 - epoch, limits);
    Demand(log.ok());
    for (uint64_t count = bytes.Below(8); count > 0; --count) {
      (*log)->Append("agent.output", "r1",
                     "{\"text\":\"" + std::string(bytes.Below(limits.segment_bytes / 3), 'x') + "\"}");
      Demand((*log)->Commit().ok());
    }
  }
  for (const auto& file : std::filesystem::directory_iterator(folder)) {
    std::fstream patched(file.path(), std::ios::binary | std::ios::in | std::ios::out);
    for (uint64_t patches = bytes.Below(4); patches > 0; --patches) {
      patched.seekp(static_cast<std::streamoff>(bytes.Below(file.file_size() + 1)));
      patched << bytes.Take(1 + bytes.Below(8));
    }
    patched.close();
    if (bytes.Below(4) == 0) std::filesystem::resize_file(file.path(), bytes.Below(file.file_size() + 1));
    if (bytes.Below(8) == 0) std::filesystem::rename(file.path(), SegmentPath(folder, 1 + bytes.Below(20)));
  }
}

// Everything that can be asked of a log: no answer may crash, and those that are given must fit together.
void Ask(const EventLog& log) {
  const uint64_t begin = log.begin_position();
  const uint64_t end = log.end_position();
  Demand(begin <= end && log.oldest().seq <= log.committed().seq);
  Demand((begin == end) == (log.oldest().seq == log.committed().seq));
  uint64_t last = log.oldest().seq;
  auto scanned = log.Scan(begin, [&last](const FrameView& frame, std::string_view) {
    last = frame.id.seq;
    return true;
  });
  // The last events may be damaged.
  Demand(!scanned || (*scanned == end && last <= log.committed().seq));
  std::string scratch;
  for (uint64_t at = begin; at <= end; at += 1 + (end - begin) / 500) {
    auto view = log.Read(at, 100, scratch);
    Demand(view ? (view->bytes > 0) == (at < end)
                : view.error().code == "cold" || view.error().code == "damaged");
    if (!view && view.error().code == "damaged") {
      auto next = log.Skip(at);
      Demand(!next || (next->position > at && next->position <= end && next->gap->from < next->gap->to));
    }
    auto frame_end = log.FrameEnd(at);
    Demand(frame_end.ok() && *frame_end >= at && *frame_end <= end);
    (void)log.CursorAt(at);
  }
  for (uint64_t seq = 0; seq <= log.committed().seq + 1; seq += 1 + log.committed().seq / 200) {
    auto position = log.PositionAfter(seq);
    Demand(!position || (*position >= begin && *position <= end));
    for (uint64_t epoch : {0U, 1U, 5U, 9U, 100U}) {
      auto found = log.Find({epoch, seq});
      Demand(!found || (found->position >= begin && found->position <= end));
    }
  }
}

void Files(Bytes bytes) {
  const std::string folder = Folder();
  reeve::SystemClock clock;
  EventLog::Limits limits;
  limits.segment_bytes = 400;
  if (bytes.Below(2) == 0) WriteFiles(folder, bytes);
  while (!bytes.empty()) {
    const std::string path = SegmentPath(folder, 1 + bytes.Below(16));
    std::ofstream(path, std::ios::binary | std::ios::app) << bytes.Take(bytes.Below(uint64_t{1} << 16));
  }
  constexpr uint64_t kEpoch = uint64_t{1} << 40;
  auto opened = EventLog::Open(clock, folder, "a1", kEpoch, limits);
  if (!opened) {
    Demand(opened.error().message.find("was already used") != std::string::npos);
    return;
  }
  EventLog& log = **opened;
  Ask(log);
  const Cursor before = log.committed();
  const Cursor added = log.Append("agent.output", "", "{}");
  Demand(added == Cursor{kEpoch, before.seq + 1});
  Demand(log.Commit().ok());
  auto found = log.Find(before);
  Demand(found.ok());
  Ask(log);
  const Cursor oldest = log.oldest();
  const uint64_t size = log.end_position();
  opened = EventLog::Open(clock, folder, "a1", kEpoch + 1, limits);
  Demand(opened.ok());
  // A log that was opened once must open again.
  Demand((*opened)->committed() == added && (*opened)->oldest() == oldest);
  Demand((*opened)->end_position() == size);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  reeve::log::SetLevel(reeve::log::Level::kOff);
  Bytes bytes({reinterpret_cast<const char*>(data) + 1, size - 1});
  if (data[0] % 2 == 0) {
    Operations(bytes);
  } else {
    Files(bytes);
  }
  return 0;
}
