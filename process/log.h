// The daemon's own log: one line per entry on stderr, "time level message". It is not the agents' event log.
//
// Writing never waits: lines that stderr does not take are dropped, and a later line tells how many.
//
// This header hides spdlog. Never log a token, a ticket, a request target with a query, or an environment
// value. Messages end in `key=value` pairs where a reader may want to grep for them.
#pragma once

#include <fmt/core.h>

#include <cstdint>
#include <functional>
#include <string_view>
#include <utility>

namespace reeve::log {

enum class Level { kDebug, kInfo, kWarning, kError, kOff };

void SetLevel(Level level);
bool Enabled(Level level);
void Write(Level level, std::string_view message);
uint64_t Dropped();  // lines that stderr did not take
// Also gives each line, with its '\n', to `copy`: from any thread, one at a time. Empty: no more.
void CopyTo(std::function<void(std::string_view line)> copy);

// From now on, a line on stderr says why the process ends when a library aborts it, which libuv does for want
// of memory or watches, or when memory is exhausted.
void TellOfAborts();

template <typename... Args>
void Debug(fmt::format_string<Args...> format, Args&&... args) {
  if (Enabled(Level::kDebug)) Write(Level::kDebug, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void Info(fmt::format_string<Args...> format, Args&&... args) {
  if (Enabled(Level::kInfo)) Write(Level::kInfo, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void Warning(fmt::format_string<Args...> format, Args&&... args) {
  if (Enabled(Level::kWarning)) Write(Level::kWarning, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void Failure(fmt::format_string<Args...> format, Args&&... args) {
  if (Enabled(Level::kError)) Write(Level::kError, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace reeve::log
