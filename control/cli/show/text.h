// Text for a terminal: safe to print, of known width, in columns, in colour. Agents chose titles, reasons and
// output themselves: none of it may command the terminal.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace reeve {

// One line of it: control characters (C0, DEL, C1) become spaces, what is not UTF-8 becomes U+FFFD.
std::string Plain(std::string_view text);
// Several lines: as Plain, but line breaks stay and tabs become spaces.
std::string PlainLines(std::string_view text);

// JSON that says the same, with what would command a terminal (DEL, C1) or turn its text around as \uXXXX:
// JSON itself lets these stand as they are.
std::string SafeJson(std::string_view json);

// How many bytes the first character of it takes; it is not empty.
size_t CharacterSize(std::string_view text);
// What it takes on the terminal, in columns: wide characters two, combining ones none (wcwidth(3)).
size_t Columns(std::string_view text);
// The bytes of as many characters of it as fit.
size_t FittingBytes(std::string_view text, size_t columns);
// As much of it as fits, with "…" where something is cut off.
std::string Fit(std::string_view text, size_t columns);

// ECMA-48 colours, or none of them.
enum class Colour { kNone, kBold, kDim, kRed, kGreen, kYellow, kBlue, kMagenta, kCyan };
std::string Paint(bool colours, Colour colour, std::string_view text);
// Of an agent's state, or a run's.
Colour ColourOf(std::string_view state);

// Of something that was so long ago: "now", "5s ago", "3m ago", "2d ago".
std::string Ago(int64_t ms);

// Rows of cells that stand below each other. The last column is as wide as it is.
class Table {
 public:
  struct Cell {
    std::string text;  // Plain
    Colour colour = Colour::kNone;
  };
  void Add(std::vector<Cell> row) { rows_.push_back(std::move(row)); }
  [[nodiscard]] size_t size() const { return rows_.size(); }
  // Lines, cut at `columns` (0: as long as they are).
  [[nodiscard]] std::string Show(bool colours, size_t columns) const;

 private:
  std::vector<std::vector<Cell>> rows_;
};

}  // namespace reeve
