#include "control/cli/show/line_printer.h"

#include <algorithm>
#include <array>
#include <ctime>
#include <utility>

#include "control/cli/show/event_words.h"
#include "process/clock.h"

namespace reeve {

namespace {

constexpr size_t kDefaultWidth = 200;

// An agent always has the same colour.
Colour ColourOfName(std::string_view agent) {
  constexpr std::array kPalette = {Colour::kCyan, Colour::kGreen, Colour::kYellow, Colour::kBlue,
                                   Colour::kMagenta};
  size_t sum = 0;
  for (const char c : agent) sum = sum * 31 + static_cast<unsigned char>(c);
  return kPalette[sum % kPalette.size()];
}

}  // namespace

LinePrinter::LinePrinter(PrintOptions options, Write write) : options_(options), write_(std::move(write)) {
  (void)Clock(
      FormatTime(int64_t{std::time(nullptr)} * 1000));  // the first line needs no date if it is of today
}

void LinePrinter::Line(const Origin& origin, Colour colour, std::string_view text, std::string_view indent) {
  Break();
  std::vector<std::string_view> lines = SplitLines(text);
  if (lines.empty()) lines.emplace_back();
  std::string out;
  for (const std::string_view line : lines) {
    const std::string_view lead = out.empty() ? "" : indent;
    out += Prefix(origin) + Paint(options_.colours, colour, std::string(lead) + std::string(line)) + "\n";
  }
  write_(out);
}

void LinePrinter::Lines(const Origin& origin, std::string_view text, size_t count, std::string_view indent) {
  const std::string clean = WithoutSequences(WithoutLineEnds(text));
  const auto lines = SplitLines(clean);
  const size_t shown = lines.size() > count ? count - 1 : lines.size();
  for (size_t i = 0; i < shown; ++i)
    Line(origin, Colour::kDim, Fit(std::string(indent) + PlainLines(lines[i]), width()));
  if (shown < lines.size()) {
    const std::string rest = std::to_string(lines.size() - shown);
    Line(origin, Colour::kDim, std::string(indent) + "… " + rest + " more lines");
  }
}

void LinePrinter::Part(const Origin& origin, Colour colour, std::string_view text) {
  ++position_;
  write_((mid_line_ ? "" : Prefix(origin)) + Paint(options_.colours, colour, text));
  mid_line_ = !text.ends_with('\n');
}

void LinePrinter::Break() {
  ++position_;
  if (std::exchange(mid_line_, false)) write_("\n");
}

std::string LinePrinter::Prefix(const Origin& origin) {
  std::string prefix;
  if (options_.times) prefix = Paint(options_.colours, Colour::kDim, Clock(origin.time)) + " ";
  if (!options_.names) return prefix;
  const std::string name = Plain(origin.agent);
  options_.name_width = std::max(options_.name_width, Columns(name));
  return prefix + Paint(options_.colours, ColourOfName(name), name) +
         std::string(options_.name_width - Columns(name), ' ') + " | ";
}

std::string LinePrinter::Stamped(const std::string& words, const Origin& origin) {
  return options_.times || origin.time.empty() ? words : JoinWords({words, Clock(origin.time)});
}

// Local time; with the date if lines begin with their time, or if the day has changed.
std::string LinePrinter::Clock(const std::string& time) {
  const auto wall_ms = ParseTime(time);
  if (!wall_ms) return "--:--:--";
  const std::time_t seconds = *wall_ms / 1000;
  std::tm local{};
  localtime_r(&seconds, &local);
  std::array<char, 32> text{};
  const size_t size = std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S", &local);
  const std::string full(text.data(), size);
  constexpr size_t kDay = 10;
  const bool same_day = std::exchange(day_, full.substr(0, kDay)) == full.substr(0, kDay);
  return same_day && !options_.times ? full.substr(kDay + 1) : full;
}

size_t LinePrinter::width() const {
  return std::max<size_t>(options_.columns == 0 ? kDefaultWidth : options_.columns, 40);
}

}  // namespace reeve
