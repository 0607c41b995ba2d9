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
constexpr size_t kLeastRoom = 20;  // columns for the text of a line

// An agent always has the same colour.
Colour ColourOfName(std::string_view agent) {
  constexpr std::array kPalette = {Colour::kCyan, Colour::kGreen, Colour::kYellow, Colour::kBlue,
                                   Colour::kMagenta};
  size_t sum = 0;
  for (const char c : agent) sum = sum * 31 + static_cast<unsigned char>(c);
  return kPalette[sum % kPalette.size()];
}

// Bytes of the first line of `text`: as many words as fit. A word that is longer than a line stays whole,
// such as an address that somebody wants to copy; the terminal breaks it.
size_t LineBytes(std::string_view text, size_t columns) {
  size_t at = std::min(text.find_first_not_of(' '), text.size());
  for (bool first = true; at < text.size(); first = false) {
    const size_t end = std::min(text.find(' ', at), text.size());
    const bool longer = Columns(text.substr(at, end - at)) > columns;
    if (!first && !longer && Columns(text.substr(0, end)) > columns) return at;
    if (longer) return std::min(end + 1, text.size());
    at = std::min(text.find_first_not_of(' ', end), text.size());
  }
  return text.size();
}

}  // namespace

LinePrinter::LinePrinter(PrintOptions options, Write write) : options_(options), write_(std::move(write)) {
  (void)Clock(
      FormatTime(int64_t{std::time(nullptr)} * 1000));  // the first line needs no date if it is of today
}

void LinePrinter::Line(const Origin& origin, Colour colour, std::string_view text, std::string_view indent,
                       bool breaks) {
  Break();
  std::vector<std::string_view> lines = SplitLines(text);
  if (lines.empty()) lines.emplace_back();
  std::string out;
  for (const std::string_view line : lines) {
    const std::string prefix = Prefix(origin);
    const std::string whole = std::string(out.empty() ? "" : indent) + std::string(line);
    const size_t room = std::max(options_.columns, prefix_columns_ + kLeastRoom) - prefix_columns_;
    const bool broken = breaks && options_.columns != 0 && Columns(whole) > room;
    // Broken parts are aligned with the text.
    const size_t begin = whole.find_first_not_of(' ');
    const std::string hanging(begin < room / 2 ? begin : 0, ' ');
    std::string_view rest = whole;
    std::string lead;
    do {
      const size_t bytes = broken ? LineBytes(rest, room - lead.size()) : rest.size();
      std::string part = lead + std::string(rest.substr(0, bytes));
      rest.remove_prefix(bytes);
      lead = hanging;
      if (!rest.empty() && part.ends_with(' ')) part.pop_back();
      out += prefix + Paint(options_.colours, colour, part) + "\n";
    } while (!rest.empty());
  }
  write_(out);
}

void LinePrinter::Lines(const Origin& origin, std::string_view text, size_t count, std::string_view indent) {
  Folding(origin, text, count, indent, [](std::string_view) { return Colour::kDim; });
}

void LinePrinter::Diff(const Origin& origin, std::string_view diff, size_t count, std::string_view indent) {
  Folding(origin, diff, count, indent, [](std::string_view line) {
    return line.starts_with('+') ? Colour::kGreen : line.starts_with('-') ? Colour::kRed : Colour::kDim;
  });
}

void LinePrinter::Folding(const Origin& origin, std::string_view text, size_t count, std::string_view indent,
                          Colour (*colour)(std::string_view line)) {
  const std::string clean = WithoutSequences(WithoutLineEnds(text));
  const auto lines = SplitLines(clean);
  const size_t shown = lines.size() > count && !options_.full ? count - 1 : lines.size();
  for (size_t i = 0; i < shown; ++i)
    Line(origin, colour(lines[i]), Folded(std::string(indent) + PlainLines(lines[i])));
  if (shown < lines.size()) {
    const std::string rest = std::to_string(lines.size() - shown);
    Line(origin, Colour::kDim, std::string(indent) + "… " + rest + " more lines");
  }
}

std::string LinePrinter::Folded(std::string_view line, size_t less) const {
  return options_.full ? std::string(line) : Fit(line, width() - less);
}

// Between two parts of a word there is no place for a line's end, so the terminal breaks such a word.
void LinePrinter::Part(const Origin& origin, Colour colour, std::string_view text) {
  ++position_;
  std::string out;
  if (!mid_line_) {
    out = Prefix(origin);
    column_ = prefix_columns_;
  }
  std::string broken;
  while (!text.empty()) {
    // A word with the spaces in front of it.
    const size_t begin = std::min(text.find_first_not_of(' '), text.size());
    const size_t end = std::min(text.find_first_of(" \n", begin), text.size());
    std::string_view word = text.substr(0, std::max(end, begin));
    if (text.substr(begin).starts_with('\n')) word = text.substr(0, begin + 1);
    text.remove_prefix(word.size());
    const size_t wide = Columns(word);
    const bool fits = column_ + wide <= options_.columns || wide - begin > options_.columns;
    if (options_.columns != 0 && begin != 0 && begin < word.size() && !fits) {
      broken += '\n';
      word.remove_prefix(begin);
      column_ = 0;
    }
    broken += word;
    column_ = word.ends_with('\n') ? 0 : column_ + Columns(word);
  }
  mid_line_ = !broken.ends_with('\n');
  write_(out + Paint(options_.colours, colour, broken));
}

void LinePrinter::Break() {
  ++position_;
  if (std::exchange(mid_line_, false)) write_("\n");
}

std::string LinePrinter::Prefix(const Origin& origin) {
  std::string prefix;
  prefix_columns_ = 0;
  if (options_.times) {
    const std::string clock = Clock(origin.time);
    prefix = Paint(options_.colours, Colour::kDim, clock) + " ";
    prefix_columns_ = clock.size() + 1;
  }
  if (!options_.names) return prefix;
  const std::string name = Plain(origin.agent);
  options_.name_width = std::max(options_.name_width, Columns(name));
  prefix_columns_ += options_.name_width + 3;
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
