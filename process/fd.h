// Fd: owns one file descriptor and closes it. Movable, not copyable; -1 is empty.
#pragma once

#include <unistd.h>

#include <cstddef>
#include <utility>

namespace reeve {

class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) {
      Close();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  ~Fd() { Close(); }

  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] bool valid() const { return fd_ >= 0; }
  [[nodiscard]] int Release() { return std::exchange(fd_, -1); }
  void Close() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }

 private:
  int fd_ = -1;
};

// How many more descriptors this process can open, counted up to `enough`.
size_t FreeDescriptors(size_t enough);

// Raises the limit of open descriptors of this process (RLIMIT_NOFILE) to its hard limit.
void RaiseDescriptorLimit();

}  // namespace reeve
