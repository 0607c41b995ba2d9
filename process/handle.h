// UvHandle<T>: owns one libuv handle, which lives in a heap block of its own because libuv closes
// asynchronously. Destroying the UvHandle clears the handle's `data`, so that a late callback finds no owner,
// and closes the handle; libuv's close callback frees the block. Every callback begins with OwnerOf<>() and
// returns if there is no owner. This header holds the only casts from void* in the project.
#pragma once

#include <uv.h>

#include <memory>

namespace reeve {

struct UvCloser {
  template <typename T>
  void operator()(T* handle) const {
    handle->data = nullptr;
    uv_close(reinterpret_cast<uv_handle_t*>(handle),
             [](uv_handle_t* closed) { delete reinterpret_cast<T*>(closed); });
  }
};

// A handle whose uv_*_init has succeeded. Made by MakeUvHandle.
template <typename T>
using UvHandle = std::unique_ptr<T, UvCloser>;

// Allocates a T, calls `init(T*)`, which returns 0 or a negative libuv error, and stores `owner` in it for
// OwnerOf<>(). Returns an empty handle when init failed; `*error` then holds libuv's code.
template <typename T, typename Owner, typename Init>
UvHandle<T> MakeUvHandle(Owner* owner, Init init, int* error = nullptr) {
  auto block = std::make_unique<T>();
  int result = init(block.get());
  if (error) *error = result;
  if (result != 0) return {};
  block->data = owner;
  return UvHandle<T>(block.release());
}

template <typename Owner, typename T>
Owner* OwnerOf(const T* handle) {
  return static_cast<Owner*>(handle->data);
}

}  // namespace reeve
