// Watch: owns one pollable descriptor (socket, pipe, pidfd, PTY) and calls a function when it is ready. The
// owner reads and writes the descriptor itself, with plain system calls, because libuv's streams would queue
// and pin the bytes that a viewer has not taken yet.
//
// Owned by one object, which the function may call back into. The function may destroy the Watch as its last
// act.
#pragma once

#include <functional>
#include <memory>

#include "process/fd.h"
#include "process/handle.h"
#include "process/result.h"

namespace reeve {

class Loop;

class Watch {
 public:
  // Bits for Want() and for the function's argument. A hang-up or an error is reported as the wanted events;
  // the read or write that follows returns the error.
  static constexpr int kRead = 1;
  static constexpr int kWrite = 2;
  // The peer of a socket has ended its half or broken the connection, even behind bytes that nobody reads.
  static constexpr int kHangUp = 4;

  using Ready = std::function<void(int events)>;

  // Takes `fd` and makes it non-blocking. Watches nothing before Want().
  static Result<std::unique_ptr<Watch>> Make(Loop& loop, Fd fd, Ready ready);
  ~Watch();
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  // Watches for `events`, a sum of bits; 0 for nothing. Level-triggered. Cheap when nothing changes.
  void Want(int events);
  [[nodiscard]] int wanted() const { return wanted_; }
  [[nodiscard]] int fd() const { return fd_.get(); }
  // Replaces the function. A connection uses this to hand its socket to a viewer.
  void SetReady(Ready ready) { ready_ = std::move(ready); }

 private:
  Watch(Fd fd, Ready ready);
  void Poll();

  Fd fd_;  // declared before handle_, so that polling ends before the descriptor closes
  Ready ready_;
  int wanted_ = 0;
  UvHandle<uv_poll_t> handle_;
};

}  // namespace reeve
