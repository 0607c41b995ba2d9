#include "process/watch.h"

#include <utility>

#include "process/loop.h"

namespace reeve {

Watch::Watch(Fd fd, Ready ready) : fd_(std::move(fd)), ready_(std::move(ready)) {}

// handle_ is destroyed first: uv_close removes the descriptor from the poll set before fd_ closes it.
Watch::~Watch() = default;

Result<std::unique_ptr<Watch>> Watch::Make(Loop& loop, Fd fd, Ready ready) {
  std::unique_ptr<Watch> watch(new Watch(std::move(fd), std::move(ready)));
  int error = 0;
  watch->handle_ = MakeUvHandle<uv_poll_t>(
      watch.get(),
      [&loop, &watch](uv_poll_t* handle) { return uv_poll_init(loop.uv(), handle, watch->fd_.get()); },
      &error);
  if (!watch->handle_) return Error{"os_error", std::string("watch a descriptor: ") + uv_strerror(error)};
  return watch;
}

void Watch::Want(int events) {
  static_assert(kRead == UV_READABLE && kWrite == UV_WRITABLE && kHangUp == UV_DISCONNECT);
  if (events == wanted_) return;
  wanted_ = events;
  if (events == 0) {
    uv_poll_stop(handle_.get());
  } else {
    Poll();
  }
}

void Watch::Poll() {
  uv_poll_start(handle_.get(), wanted_, [](uv_poll_t* polled, int status, int ready) {
    auto* watch = OwnerOf<Watch>(polled);
    if (!watch) return;
    // At EPOLLERR libuv stops the handle. Polling goes on, because the function may have more to read before
    // its system call returns the reason.
    if (status < 0) watch->Poll();
    watch->ready_(status < 0 ? watch->wanted_ : ready & watch->wanted_);
  });
}

}  // namespace reeve
