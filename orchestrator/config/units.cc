#include "orchestrator/config/units.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <ctime>
#include <optional>
#include <string>

namespace reeve {

namespace {

struct Unit {
  std::string_view name;
  int64_t worth;
};
constexpr std::array kTimes = {Unit{"d", 86'400'000}, Unit{"h", 3'600'000}, Unit{"m", 60'000},
                               Unit{"s", 1'000}, Unit{"ms", 1}};
constexpr std::array kSizes = {Unit{"TiB", int64_t{1} << 40}, Unit{"GiB", int64_t{1} << 30},
                               Unit{"MiB", int64_t{1} << 20}, Unit{"KiB", int64_t{1} << 10}, Unit{"B", 1}};

// Takes a number and the letters after it off the front of `text`; returns nothing if they are not there.
struct Part {
  int64_t number = 0;
  std::string_view unit;
};
std::optional<Part> TakePart(std::string_view& text) {
  Part part;
  if (text.empty() || text.front() < '0' || text.front() > '9') return std::nullopt;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), part.number);
  if (error != std::errc()) return std::nullopt;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  part.unit = text.substr(0, std::min(text.size(), text.find_first_of("0123456789")));
  text.remove_prefix(part.unit.size());
  return part;
}

// --- times

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// Reads a time from left to right. Each Take… consumes what it names, or returns false and consumes nothing.
class MomentReader {
 public:
  MomentReader(std::string text, int64_t now_ms)
      : text_(std::move(text)), at_(text_.c_str()), now_ms_(now_ms) {}

  std::optional<int64_t> Read() {
    if (TakeWord("now")) return AtEnd() ? std::optional(now_ms_) : std::nullopt;
    if (TakeText("@")) return ReadSeconds();
    // RFC 5322 and date(1), in the C locale and in those with a clock of 12 hours.
    for (const char* form : {"%a, %d %b %Y %H:%M:%S", "%a %b %d %I:%M:%S %p", "%a %b %d %H:%M:%S"}) {
      if (!Take(form)) continue;
      const std::optional<int64_t> offset = TakeOffset();
      const bool year = form[2] == ',' || Take(" %Y");
      return year && AtEnd() ? Sum(offset) : std::nullopt;
    }
    if (!TakeDay() && !Take("%Y-%m-%d")) return std::nullopt;
    if (AtEnd()) return Sum({});
    if (!TakeText("t") && !TakeText(" ")) return std::nullopt;
    if (!Take("%H:%M:%S") && !Take("%H:%M")) return std::nullopt;
    TakeFraction();
    const std::optional<int64_t> offset = TakeOffset();
    return AtEnd() ? Sum(offset) : std::nullopt;
  }

 private:
  [[nodiscard]] bool AtEnd() const { return *at_ == '\0'; }

  bool Take(const char* form) {
    std::tm parts = parts_;
    const char* end = strptime(at_, form, &parts);
    // A number goes on behind it: "2026-01-311".
    if (!end || (IsDigit(*end) && IsDigit(end[-1]))) return false;
    parts_ = parts;
    at_ = end;
    return true;
  }

  bool TakeText(std::string_view expected) {
    if (std::string_view(at_).substr(0, expected.size()) != expected) return false;
    at_ += expected.size();
    return true;
  }

  bool TakeWord(std::string_view word) {
    const char* end = at_ + word.size();
    return std::string_view(at_).starts_with(word) && std::isalnum(static_cast<unsigned char>(*end)) == 0 &&
           TakeText(word);
  }

  bool TakeDay() {
    constexpr std::array days = {std::pair{"yesterday", -1}, std::pair{"today", 0}, std::pair{"tomorrow", 1}};
    const auto* day =
        std::find_if(days.begin(), days.end(), [this](const auto& one) { return TakeWord(one.first); });
    if (day == days.end()) return false;
    const std::time_t now = now_ms_ / 1000;
    localtime_r(&now, &parts_);
    parts_.tm_hour = parts_.tm_min = parts_.tm_sec = 0;
    parts_.tm_mday += day->second;
    shifted_ = true;
    return true;
  }

  void TakeFraction() {
    if ((*at_ != '.' && *at_ != ',') || !IsDigit(at_[1])) return;
    int64_t unit = 100;
    for (++at_; IsDigit(*at_); ++at_, unit /= 10) fraction_ms_ += (*at_ - '0') * unit;
  }

  // "z", "utc", "+01:00", "+0100", "+01", with a space before it or without; or the local zone's name.
  std::optional<int64_t> TakeOffset() {
    const char* before = at_;
    (void)TakeText(" ");
    for (const char* name : {"z", "utc", "gmt"}) {
      if (TakeWord(name)) return 0;
    }
    tzset();
    for (const char* name : {tzname[0], tzname[1]}) {
      std::string lower = name;
      for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
      if (!lower.empty() && TakeWord(lower)) return std::nullopt;
    }
    const int sign = *at_ == '+' ? 1 : *at_ == '-' ? -1 : 0;
    const bool hours = sign != 0 && IsDigit(at_[1]) && IsDigit(at_[2]);
    if (!hours) {
      at_ = before;
      return std::nullopt;
    }
    auto number = [](const char* digits) { return (digits[0] - '0') * 10 + (digits[1] - '0'); };
    int64_t minutes = int64_t{number(at_ + 1)} * 60;
    const bool valid_hours = minutes < int64_t{24} * 60;
    at_ += 3;
    const char* rest = *at_ == ':' ? at_ + 1 : at_;
    if (IsDigit(rest[0]) && IsDigit(rest[1]) && number(rest) < 60) {
      minutes += number(rest);
      at_ = rest + 2;
    }
    if (!valid_hours) at_ = before;  // so that something is left over
    return sign * minutes * 60'000;
  }

  std::optional<int64_t> ReadSeconds() {
    const char* end = text_.c_str() + text_.size();
    int64_t seconds = 0;
    const auto [rest, error] = std::from_chars(at_, end, seconds);
    if (error != std::errc() || rest == at_ || seconds > kMaxSeconds || seconds < -kMaxSeconds)
      return std::nullopt;
    at_ = rest;
    TakeFraction();
    return AtEnd() ? std::optional(seconds * 1000 + fraction_ms_) : std::nullopt;
  }

  // strptime(3) accepts the 31st of every month.
  [[nodiscard]] bool IsDate() const {
    std::tm noon{};
    noon.tm_year = parts_.tm_year;
    noon.tm_mon = parts_.tm_mon;
    noon.tm_mday = parts_.tm_mday;
    noon.tm_hour = 12;
    return timegm(&noon) != -1 && noon.tm_mday == parts_.tm_mday;
  }

  std::optional<int64_t> Sum(const std::optional<int64_t>& offset_ms) {
    if (!shifted_ && !IsDate()) return std::nullopt;
    parts_.tm_isdst = -1;
    const std::time_t seconds = offset_ms ? timegm(&parts_) : mktime(&parts_);
    return int64_t{seconds} * 1000 + fraction_ms_ - offset_ms.value_or(0);
  }

  static constexpr int64_t kMaxSeconds = 253'402'300'799;  // the end of the year 9999

  const std::string text_;  // in lower case
  const char* at_;
  const int64_t now_ms_;
  std::tm parts_{};
  bool shifted_ = false;  // the day of the month may be 0 or 32
  int64_t fraction_ms_ = 0;
};

}  // namespace

Result<int64_t> ParseMoment(std::string_view text, int64_t now_ms) {
  std::string lower(text);
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  if (auto time = MomentReader(lower, now_ms).Read(); time && lower.find('\0') == std::string::npos)
    return *time;
  return Error{"invalid_request", "'" + std::string(text.substr(0, 64)) +
                                      "' is not a time such as 2026-01-31T08:00:00Z, '2026-01-31 08:00', "
                                      "'tomorrow 8:00' or @1769846400"};
}

Result<int64_t> ParseDuration(std::string_view text) {
  const Error wrong{"invalid_request", "'" + std::string(text.substr(0, 64)) +
                                           "' is not a duration such as 500ms, 30s, 5m, 1h30m or 2d"};
  if (text == "0") return int64_t{0};
  int64_t sum = 0;
  const auto* smaller = kTimes.begin();
  do {
    auto part = TakePart(text);
    if (!part) return wrong;
    const auto* unit =
        std::find_if(smaller, kTimes.end(), [&part](const Unit& one) { return one.name == part->unit; });
    int64_t ms = 0;
    if (unit == kTimes.end() || __builtin_mul_overflow(part->number, unit->worth, &ms) ||
        __builtin_add_overflow(sum, ms, &sum)) {
      return wrong;
    }
    smaller = unit + 1;
  } while (!text.empty());
  return sum;
}

std::string FormatDuration(int64_t ms) {
  std::string text;
  for (const Unit& unit : kTimes) {
    if (ms < unit.worth) continue;
    text += std::to_string(ms / unit.worth).append(unit.name);
    ms %= unit.worth;
  }
  return text.empty() ? "0" : text;
}

Result<int64_t> ParseSize(std::string_view text) {
  const Error wrong{"invalid_request", "a size is written as 4096, 64KiB, 16MiB or 1GiB"};
  auto part = TakePart(text);
  if (!part || !text.empty()) return wrong;
  if (part->unit.empty()) return part->number;
  const auto* unit =
      std::find_if(kSizes.begin(), kSizes.end(), [&part](const Unit& one) { return one.name == part->unit; });
  int64_t bytes = 0;
  if (unit == kSizes.end() || __builtin_mul_overflow(part->number, unit->worth, &bytes)) return wrong;
  return bytes;
}

std::string FormatSize(int64_t bytes) {
  for (const Unit& unit : kSizes) {
    if (unit.worth > 1 && bytes > 0 && bytes % unit.worth == 0) {
      return std::to_string(bytes / unit.worth).append(unit.name);
    }
  }
  return std::to_string(bytes);
}

}  // namespace reeve
