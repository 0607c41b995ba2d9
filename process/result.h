// Error and Result<T>: errors as values.
//
// An Error carries a stable snake_case code, which the HTTP layer maps to a status (control/http/problem.h),
// and a message that names the thing and the reason: "spawn agent-7: claude: no such file". Clients may be
// shown a message unchanged, so it never holds a secret.
#pragma once

#include <string>
#include <utility>
#include <variant>

namespace reeve {

struct Error {
  std::string code;
  std::string message;
};

// An error from a failed system call: code "os_error", "no_descriptors" if all file descriptors are in use,
// or "disk_full" also for a quota or the limit of a file's size; message "<what>: <strerror(err)>".
Error OsError(std::string what, int err);

// Either a T or an Error. Check ok() before value(); calling value() on an error is a bug and aborts.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : value_(std::in_place_index<1>, std::move(error)) {}

  [[nodiscard]] bool ok() const { return value_.index() == 0; }
  explicit operator bool() const { return ok(); }
  T& value() & { return std::get<0>(value_); }
  const T& value() const& { return std::get<0>(value_); }
  T&& value() && { return std::get<0>(std::move(value_)); }
  T* operator->() { return &std::get<0>(value_); }
  const T* operator->() const { return &std::get<0>(value_); }
  T& operator*() & { return std::get<0>(value_); }
  const T& operator*() const& { return std::get<0>(value_); }
  T&& operator*() && { return std::get<0>(std::move(value_)); }
  [[nodiscard]] const Error& error() const { return std::get<1>(value_); }

 private:
  std::variant<T, Error> value_;
};

// Success, or an Error: `return {};` is success.
template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::in_place_index<1>, std::move(error)) {}

  [[nodiscard]] bool ok() const { return error_.index() == 0; }
  explicit operator bool() const { return ok(); }
  [[nodiscard]] const Error& error() const { return std::get<1>(error_); }

 private:
  std::variant<std::monostate, Error> error_;
};

using Status = Result<void>;

}  // namespace reeve
