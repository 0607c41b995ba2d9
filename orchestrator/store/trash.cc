#include "orchestrator/store/trash.h"

#include <fts.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>
#include <utility>

#include "process/log.h"
#include "process/loop.h"
#include "process/random.h"

namespace reeve {

namespace {

constexpr const char* kAside = ".gone-";  // cannot be the id of an agent or the name of a repository

std::vector<std::string> NamesIn(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    names.push_back(at->path().filename().string());
  }
  return names;
}

}  // namespace

Status RemoveTree(const std::string& path, const std::atomic<bool>& stop) {
  std::string root = path;
  char* const roots[] = {root.data(), nullptr};
  const std::unique_ptr<FTS, int (*)(FTS*)> walk(::fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, nullptr),
                                                 &::fts_close);
  if (!walk) return OsError("remove " + path, errno);
  Status status;
  while (const FTSENT* entry = ::fts_read(walk.get())) {
    if (stop) break;  // only after a first read: otherwise fts_close leaks what glibc allocated for the roots
    if (entry->fts_info == FTS_D) {
      // Module caches are read-only, so that nobody removes their files by mistake.
      if ((entry->fts_statp->st_mode & S_IRWXU) != S_IRWXU) (void)::chmod(entry->fts_accpath, 0700);
      continue;
    }
    const bool folder = entry->fts_info == FTS_DP || entry->fts_info == FTS_DNR;
    const int removed = folder ? ::rmdir(entry->fts_accpath) : ::unlink(entry->fts_accpath);
    if (removed != 0 && errno != ENOENT && status)
      status = OsError("remove " + std::string(entry->fts_path), errno);
  }
  return status;
}

Status Trash::Open() {
  if (::mkdir(folder_.c_str(), 0700) != 0 && errno != EEXIST) return OsError("make " + folder_, errno);
  for (const std::string& name : NamesIn(folder_)) Take(folder_ + "/" + name);
  return {};
}

void Trash::Take(const std::string& path) {
  std::string gone = folder_ + "/" + RandomHex(8);
  if (std::rename(path.c_str(), gone.c_str()) != 0) {
    if (errno == ENOENT) return;
    // The folder is on a disk of its own. We rename it in place, so that its name is free; TakeUnknown finds
    // the rest of it.
    const int why = errno;
    gone = path.substr(0, path.rfind('/') + 1) + kAside + RandomHex(8);
    if (std::rename(path.c_str(), gone.c_str()) != 0) {
      log::Warning("{}; removing it in its place", OsError("throw away " + path, why).message);
      gone = path;
    }
  }
  waiting_.push_back(std::move(gone));
  RemoveNext();
}

void Trash::RemoveNext() {
  if (removing_ || waiting_.empty()) return;
  removing_ = true;
  auto removed = std::make_shared<Status>();
  loop_.Offload([removed, ended = ended_, path = waiting_.front()] { *removed = RemoveTree(path, *ended); },
                [this, removed, ended = ended_] {
                  if (!*removed) log::Failure("{}", removed->error().message);
                  if (*ended) return;
                  removing_ = false;
                  RemoveNext();
                },
                Loop::Loss::kHarmless);
  waiting_.pop_front();
}

void Trash::TakeUnknown(const std::string& folder, const std::vector<std::string>& known) {
  for (const std::string& name : NamesIn(folder)) {
    if (!std::binary_search(known.begin(), known.end(), name))
      Take(std::string(folder).append("/").append(name));
  }
}

}  // namespace reeve
