// Durations, sizes and times as people write them, on the command line, in the configuration file and in the
// API.
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

// Reads a time in one of these forms; returns the wall clock's milliseconds.
//   RFC 3339 (section 5.6), also in lower case, with a space for the T, without seconds, offset or time of
//   day now, today, yesterday or tomorrow, each but the first with a time of day if wanted: "tomorrow 8:00"
//   date(1)'s own form, "Sat Jan 31 08:00:00 UTC 2026", and that of RFC 5322, "Sat, 31 Jan 2026 08:00:00
//   +0000"
//   @SECONDS since 1970
// A date without a time of day means its midnight. Without an offset, the time is local. `now_ms`: the wall
// clock.
Result<int64_t> ParseMoment(std::string_view text, int64_t now_ms);

}  // namespace reeve
