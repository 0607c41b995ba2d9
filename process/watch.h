// Watch: owns one pollable descriptor (socket, pipe, pidfd, PTY) and calls a function when it is ready. The
// owner reads and writes the descriptor itself, with plain system calls: libuv's streams would queue and pin
// what a viewer has not taken yet.
//
// Owned by one object, which the function may call back into; it may destroy the Watch as its last act.
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
  // Bits for Want() and for the function's argument. Hang-ups and errors arrive as whatever is wanted: the
  // read or write that follows tells.
  static constexpr int kRead = 1;
  static constexpr int kWrite = 2;

  using Ready = std::function<void(int events)>;

  // Takes `fd` and makes it non-blocking. Nothing is watched before Want().
  static Result<std::unique_ptr<Watch>> Make(Loop& loop, Fd fd, Ready ready);
  ~Watch();
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  // Watches for `events`, a sum of bits, 0 for none. Level-triggered. Cheap when nothing changes.
  void Want(int events);
  [[nodiscard]] int wanted() const { return wanted_; }
  [[nodiscard]] int fd() const { return fd_.get(); }
  // Watches no more, and leaves the descriptor open: it is another's now.
  void Release();
  // Replaces the function: how a connection hands its socket to a viewer.
  void SetReady(Ready ready) { ready_ = std::move(ready); }

 private:
  Watch(Fd fd, Ready ready);

  Fd fd_;  // after handle_ in life: polling ends before the descriptor closes
  Ready ready_;
  int wanted_ = 0;
  UvHandle<uv_poll_t> handle_;
};

}  // namespace reeve
