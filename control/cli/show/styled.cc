#include "control/cli/show/styled.h"

#include <algorithm>
#include <utility>

namespace reeve {

void AppendPainted(StyledLine& line, Colour& colour, std::string_view painted) {
  while (!painted.empty()) {
    const size_t escape = std::min(painted.find("\x1b["), painted.size());
    if (escape != 0) line.push_back({std::string(painted.substr(0, escape)), colour});
    painted.remove_prefix(escape);
    const size_t end = painted.find('m');
    if (end == std::string_view::npos) return;
    const std::string_view code = painted.substr(2, end - 2);
    for (size_t i = 0; i < kColours; ++i) {
      if (code == SgrCode(static_cast<Colour>(i))) colour = static_cast<Colour>(i);
    }
    painted.remove_prefix(end + 1);
  }
}

std::string Paint(bool colours, const StyledLine& line) {
  std::string painted;
  for (const Span& span : line) {
    std::string codes;
    const bool intensity = span.colour == Colour::kBold || span.colour == Colour::kDim;
    if (span.bold) codes += "\x1b[1m";
    if (span.reverse) codes += "\x1b[7m";
    if (span.colour != Colour::kNone && (colours || intensity))
      codes += std::string("\x1b[") + SgrCode(span.colour) + "m";
    painted += codes + span.text + (codes.empty() ? "" : "\x1b[0m");
  }
  return painted;
}

size_t Columns(const StyledLine& line) {
  size_t columns = 0;
  for (const Span& span : line) columns += Columns(span.text);
  return columns;
}

std::string TextOf(const StyledLine& line) {
  std::string text;
  for (const Span& span : line) text += span.text;
  return text;
}

StyledLine Fit(const StyledLine& line, size_t columns) {
  StyledLine fitted;
  size_t used = 0;
  for (size_t i = 0; i < line.size(); ++i) {
    const size_t width = Columns(line[i].text);
    // The last span that fits gives up a column for the "…" if another one follows.
    const bool more = std::any_of(line.begin() + static_cast<std::ptrdiff_t>(i) + 1, line.end(),
                                  [](const Span& span) { return !span.text.empty(); });
    Span span = line[i];
    if (used + width > columns || (used + width == columns && more)) {
      span.text = Fit(more ? span.text + " " : span.text, columns - used);
      fitted.push_back(std::move(span));
      break;
    }
    used += width;
    fitted.push_back(std::move(span));
  }
  return fitted;
}

StyledLine Bar(const StyledLine& line, size_t columns, bool reverse) {
  StyledLine bar = Fit(line, columns);
  const size_t used = Columns(bar);
  if (used < columns) bar.push_back({std::string(columns - used, ' ')});
  if (reverse) {
    for (Span& span : bar) span.reverse = true;
  }
  return bar;
}

StyledLine Edges(const StyledLine& left, const StyledLine& right, size_t columns) {
  const size_t taken = Columns(left) + Columns(right);
  if (taken + 1 > columns) return Fit(left, columns);
  StyledLine line = left;
  line.push_back({std::string(columns - taken, ' ')});
  line.insert(line.end(), right.begin(), right.end());
  return line;
}

std::vector<StyledLine> Wrap(const StyledLine& line, size_t columns) {
  columns = std::max<size_t>(columns, 1);
  std::vector<StyledLine> lines(1);
  size_t left = columns;
  for (const Span& span : line) {
    std::string_view rest = span.text;
    while (!rest.empty()) {
      size_t take = FittingBytes(rest, left);
      bool full = take < rest.size();
      if (full) {
        const size_t space = rest.substr(0, take + 1).rfind(' ');
        if (space != std::string_view::npos && space >= take / 2 && space != 0) take = space + 1;
        // A line takes at least one character, even a wide one on a screen of one column.
        if (take == 0 && left == columns) take = FittingBytes(rest, columns + 1);
      }
      Span piece = span;
      piece.text = rest.substr(0, take);
      if (full && !piece.text.empty() && piece.text.back() == ' ') piece.text.pop_back();
      left -= std::min(left, Columns(piece.text));
      if (!piece.text.empty()) lines.back().push_back(std::move(piece));
      rest.remove_prefix(take);
      if (full) {
        lines.emplace_back();
        left = columns;
      }
    }
  }
  return lines;
}

}  // namespace reeve
