// Durations and sizes as people write them, on the command line and in the configuration file.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "process/result.h"

namespace reeve {

// Reads "500ms", "30s", "5m", "1h30m", "7d" or "0": larger units first, each at most once. Returns
// milliseconds.
Result<int64_t> ParseDuration(std::string_view text);
std::string FormatDuration(int64_t ms);  // the shortest text that ParseDuration reads back

// Reads "4096", "64KiB", "16MiB", "1GiB" or "2TiB"; a final "B" is allowed. Returns bytes.
Result<int64_t> ParseSize(std::string_view text);
std::string FormatSize(int64_t bytes);  // in the largest unit that divides it

}  // namespace reeve
