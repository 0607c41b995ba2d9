#include "process/outbox.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace reeve {

namespace {

constexpr uint64_t kOutboxPageBytes = 4096;

}  // namespace

Result<Fd> Outbox::MakeFile() {
  Fd file(memfd_create("reeve-outbox", MFD_CLOEXEC));
  if (!file.valid()) return OsError("make a file in memory for a child's input", errno);
  return file;
}

Result<Outbox> Outbox::Continue(Fd file, uint64_t staged) {
  if (!file.valid()) return Outbox();
  const off_t sent = lseek(file.get(), 0, SEEK_CUR);
  if (sent < 0) return OsError("the file of a child's input", errno);
  Outbox outbox;
  outbox.file_ = std::move(file);
  outbox.staged_ = outbox.published_ = staged;
  outbox.sent_ = static_cast<uint64_t>(sent);
  if (outbox.sent_ > staged) return Error{"os_error", "more of a child's input was sent than was staged"};
  return outbox;
}

Status Outbox::Stage(std::string_view bytes) {
  if (!file_.valid()) {
    bytes_.append(bytes);
    staged_ += bytes.size();
    return {};
  }
  uint64_t end = staged_;
  while (!bytes.empty()) {
    const ssize_t put = pwrite(file_.get(), bytes.data(), bytes.size(), static_cast<off_t>(end));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return OsError("keep a child's input", errno);
    end += static_cast<uint64_t>(put);
    bytes.remove_prefix(static_cast<size_t>(put));
  }
  staged_ = end;
  return {};
}

ssize_t Outbox::Move(int pipe) {
  const uint64_t most = published_ - sent_;
  if (!file_.valid()) return write(pipe, bytes_.data() + (bytes_.size() - waiting()), most);
  return splice(file_.get(), nullptr, pipe, nullptr, most, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
}

bool Outbox::Send(int pipe) {
  while (sendable()) {
    const ssize_t moved = Move(pipe);
    if (moved < 0 && errno == EINTR) continue;
    if (moved < 0 && errno == EAGAIN) break;
    if (moved <= 0) return false;
    sent_ += static_cast<uint64_t>(moved);
  }
  if (!file_.valid()) {
    bytes_.erase(0, bytes_.size() - waiting());
    if (bytes_.empty()) std::string().swap(bytes_);  // frees what may have been megabytes
    return true;
  }
  if (sent_ - released_ < kOutboxPageBytes) return true;
  // The pipe refers to the file's own memory, which must stay as it is until the pipe is read.
  int in_pipe = 0;
  if (ioctl(pipe, FIONREAD, &in_pipe) != 0) return true;
  const uint64_t read = sent_ - std::min(sent_, static_cast<uint64_t>(std::max(in_pipe, 0)));
  const uint64_t whole = read / kOutboxPageBytes * kOutboxPageBytes;
  if (whole > released_ &&
      fallocate(file_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(released_),
                static_cast<off_t>(whole - released_)) == 0) {
    released_ = whole;
  }
  return true;
}

}  // namespace reeve
