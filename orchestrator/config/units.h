// Durations and sizes as people write them, on the command line and in the configuration file.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "process/result.h"

namespace reeve {

// "500ms", "30s", "5m", "1h30m", "7d", the larger unit first, each once; "0". In milliseconds.
Result<int64_t> ParseDuration(std::string_view text);
std::string FormatDuration(int64_t ms);  // the shortest that ParseDuration reads back

// "4096", "64KiB", "16MiB", "1GiB", "2TiB"; "B" may be said. In bytes.
Result<int64_t> ParseSize(std::string_view text);
std::string FormatSize(int64_t bytes);  // in the largest unit that leaves it whole

}  // namespace reeve
