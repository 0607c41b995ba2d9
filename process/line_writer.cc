#include "process/line_writer.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace reeve {

LineWriter::LineWriter(int fd, Note note) : fd_(fd), note_(std::move(note)) {
  struct stat status {};
  if (fstat(fd, &status) != 0) return;
  if (S_ISREG(status.st_mode)) type_ = Type::kFile;
  if (S_ISSOCK(status.st_mode)) type_ = Type::kSocket;
  // O_NONBLOCK holds for all processes that share an open file, so ours is opened once more.
  if (type_ == Type::kOther)
    own_ = Fd(
        open(("/proc/self/fd/" + std::to_string(fd)).c_str(), O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
}

void LineWriter::Write(std::string_view line) {
  if (!Flush()) {
    ++dropped_;
    ++untold_;
    return;
  }
  if (untold_ > 0) pending_ = note_(std::exchange(untold_, 0));
  pending_ += line;
  Flush();
}

// True: nothing is pending.
bool LineWriter::Flush() {
  while (!pending_.empty()) {
    const ssize_t wrote = WriteNow(pending_);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) return false;
    pending_.erase(0, static_cast<size_t>(wrote));
  }
  return true;
}

ssize_t LineWriter::WriteNow(std::string_view bytes) const {
  if (type_ == Type::kSocket) return send(fd_, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (own_.valid()) return write(own_.get(), bytes.data(), bytes.size());
  if (type_ == Type::kOther) {
    pollfd ready = {fd_, POLLOUT, 0};
    if (poll(&ready, 1, 0) != 1) return -1;
  }
  return write(fd_, bytes.data(), bytes.size());
}

}  // namespace reeve
