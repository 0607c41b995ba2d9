// McpTask: a wait that a client asks about again and again, in place of one long request. Nothing of it is
// kept: its id, which the client holds, contains the call, so a task survives the daemon. Each question runs
// the wait once more, without waiting, with the rights of its caller.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace reeve {

struct McpTask {
  // The id is a value of an HTTP header.
  static constexpr size_t kMaxArgumentBytes = 4'096;

  std::string tool = {};
  std::string arguments = {};  // JSON
  int64_t made_ms = 0;         // wall clock
  int64_t until_ms = 0;        // the end of the wait, likewise

  [[nodiscard]] std::string Id() const;
  // Empty if the id is not a task's.
  static std::optional<McpTask> FromId(std::string_view id);
};

}  // namespace reeve
