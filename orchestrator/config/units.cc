#include "orchestrator/config/units.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

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

}  // namespace

Result<int64_t> ParseDuration(std::string_view text) {
  const Error wrong{"invalid_request", "a duration is written as 30s, 5m or 1h30m"};
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
