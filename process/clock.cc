#include "process/clock.h"

#include <algorithm>
#include <cstdio>
#include <ctime>

namespace reeve {

namespace {

int64_t Read(clockid_t id) {
  timespec now{};
  clock_gettime(id, &now);
  return int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}

void PutDigits(char* at, int count, int64_t number) {
  for (int i = count - 1; i >= 0; --i) {
    at[i] = static_cast<char>('0' + number % 10);
    number /= 10;
  }
}

}  // namespace

int64_t SystemClock::MonotonicMs() const { return Read(CLOCK_MONOTONIC); }
int64_t SystemClock::WallMs() const { return Read(CLOCK_REALTIME); }

std::string FormatTime(int64_t wall_ms) {
  // The years 0 to 9999. A program may have given another number.
  wall_ms = std::clamp<int64_t>(wall_ms, -62'167'219'200'000, 253'402'300'799'999);
  const int64_t ms = (wall_ms % 1000 + 1000) % 1000;
  std::time_t seconds = (wall_ms - ms) / 1000;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  std::string text = "0000-00-00T00:00:00.000Z";
  PutDigits(text.data(), 4, parts.tm_year + 1900);
  PutDigits(text.data() + 5, 2, parts.tm_mon + 1);
  PutDigits(text.data() + 8, 2, parts.tm_mday);
  PutDigits(text.data() + 11, 2, parts.tm_hour);
  PutDigits(text.data() + 14, 2, parts.tm_min);
  PutDigits(text.data() + 17, 2, parts.tm_sec);
  PutDigits(text.data() + 20, 3, ms);
  return text;
}

std::optional<int64_t> ParseTime(const std::string& text) {
  constexpr size_t kDateTime = 19;  // up to the whole seconds
  std::tm parts{};
  if (text.size() <= kDateTime ||
      sscanf(text.c_str(), "%4d-%2d-%2dT%2d:%2d:%2d", &parts.tm_year, &parts.tm_mon, &parts.tm_mday,
             &parts.tm_hour, &parts.tm_min, &parts.tm_sec) != 6) {
    return std::nullopt;
  }
  parts.tm_year -= 1900;
  parts.tm_mon -= 1;
  int64_t wall_ms = int64_t{timegm(&parts)} * 1000;
  // A text that FormatTime does not reproduce (a month 13, a missing digit) is no time.
  if (FormatTime(wall_ms).compare(0, kDateTime, text, 0, kDateTime) != 0) return std::nullopt;

  size_t at = kDateTime;
  if (text[at] == '.') {
    const size_t end = text.find_first_not_of("0123456789", ++at);
    if (end == at || end == std::string::npos) return std::nullopt;
    for (int64_t unit = 100; at < end; ++at, unit /= 10) wall_ms += (text[at] - '0') * unit;
  }
  if (text.compare(at, std::string::npos, "Z") == 0) return wall_ms;
  // "+hh:mm"
  auto digit = [&text, at](size_t offset) { return text[at + offset] - '0'; };
  const bool offset = at + 6 == text.size() && (text[at] == '+' || text[at] == '-') && text[at + 3] == ':' &&
                      text.find_first_not_of("0123456789:", at + 1) == std::string::npos;
  const int hours = offset ? digit(1) * 10 + digit(2) : 24;
  const int minutes = offset ? digit(4) * 10 + digit(5) : 60;
  if (hours > 23 || minutes > 59) return std::nullopt;
  const int64_t ahead_ms = int64_t{hours * 60 + minutes} * 60'000;
  return text[at] == '+' ? wall_ms - ahead_ms : wall_ms + ahead_ms;
}

}  // namespace reeve
