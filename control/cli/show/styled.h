// Lines of coloured text, composed without a terminal. FullScreen shows them.
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

// Appends text that Paint has coloured. A colour may extend over several lines: `colour` is the one at the
// beginning, and afterwards the one at the end.
void AppendPainted(StyledLine& line, Colour& colour, std::string_view painted);
// As a terminal takes it (ECMA-48, SGR). Without `colours`, bold, dim and reverse remain.
std::string Paint(bool colours, const StyledLine& line);
size_t Columns(const StyledLine& line);
std::string TextOf(const StyledLine& line);
// Cuts a line that is too long; it then ends with "…".
StyledLine Fit(const StyledLine& line, size_t columns);
// Exactly `columns` wide: cut, or padded with spaces. `reverse` applies to all of it.
StyledLine Bar(const StyledLine& line, size_t columns, bool reverse);
// `left` and `right` at the edges of the line; `left` alone if there is no room for both.
StyledLine Edges(const StyledLine& left, const StyledLine& right, size_t columns);
// Lines of at most `columns` (at least 1), broken at a space if that leaves the line at least half full.
std::vector<StyledLine> Wrap(const StyledLine& line, size_t columns);

}  // namespace reeve
