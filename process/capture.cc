#include "process/capture.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace reeve {

namespace {

constexpr uint64_t kPageBytes = 4096;  // a larger page only makes Release do less

}  // namespace

Result<Fd> Capture::MakeFile() {
  Fd file(memfd_create("reeve-capture", MFD_CLOEXEC));
  if (!file.valid()) return OsError("make a file in memory for a child's output", errno);
  return file;
}

Result<Capture> Capture::Continue(Fd file, uint64_t consumed) {
  if (!file.valid()) return Capture();
  struct stat info {};
  if (fstat(file.get(), &info) != 0) return OsError("the file of a child's output", errno);
  Capture capture;
  capture.file_ = std::move(file);
  capture.taken_ = static_cast<uint64_t>(info.st_size);
  capture.consumed_ = consumed;
  if (capture.consumed_ > capture.taken_)
    return Error{"os_error", "the file of a child's output is too short"};
  return capture;
}

ssize_t Capture::Read(int pipe, char* buffer, size_t size) {
  if (size == 0) return 0;
  if (!file_.valid()) {
    const ssize_t got = read(pipe, buffer, size);
    if (got > 0) taken_ = consumed_ += static_cast<uint64_t>(got);
    return got;
  }
  if (waiting() == 0) {
    auto at = static_cast<off_t>(taken_);
    const ssize_t moved =
        splice(pipe, nullptr, file_.get(), &at, kTakeBytes, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    if (moved <= 0) return moved;
    taken_ += static_cast<uint64_t>(moved);
  }
  const ssize_t got =
      pread(file_.get(), buffer, std::min<uint64_t>(size, waiting()), static_cast<off_t>(consumed_));
  if (got > 0) consumed_ += static_cast<uint64_t>(got);
  return got;
}

void Capture::Release() {
  const uint64_t whole = consumed_ / kPageBytes * kPageBytes;
  if (whole == released_ || !file_.valid()) return;
  // Without the memory for it, the kernel refuses; then the next call gives back more.
  if (fallocate(file_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(released_),
                static_cast<off_t>(whole - released_)) == 0) {
    released_ = whole;
  }
}

}  // namespace reeve
