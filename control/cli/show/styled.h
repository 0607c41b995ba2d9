// Lines of coloured text, for a screen that is drawn whole: what is shown is decided here, without a
// terminal.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "control/cli/show/text.h"

namespace reeve {

struct Span {
  std::string text;  // Plain
  Colour colour = Colour::kNone;
  bool bold = false;
  bool reverse = false;
  bool operator==(const Span&) const = default;
};
using StyledLine = std::vector<Span>;

// Adds text that Paint has coloured. `colour` is that of what comes first, and then of what comes next: one
// colour may go on over several lines.
void AppendPainted(StyledLine& line, Colour& colour, std::string_view painted);
size_t Columns(const StyledLine& line);
std::string TextOf(const StyledLine& line);
// Cut where it is too long, with "…".
StyledLine Fit(const StyledLine& line, size_t columns);
// Spaces up to there; `reverse`: and all of it stands out.
StyledLine Bar(const StyledLine& line, size_t columns, bool reverse);
// Both at the edges of a line; where there is no room for both, `left`.
StyledLine Edges(const StyledLine& left, const StyledLine& right, size_t columns);
// Lines of at most `columns` (at least 1), broken at spaces where that leaves them well filled.
std::vector<StyledLine> Wrap(const StyledLine& line, size_t columns);

}  // namespace reeve
