// Text for a terminal: safe to print, of known width, in columns, in colour. Agents choose titles, reasons
// and output themselves, so none of it may control the terminal.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace reeve {

// Makes one line that is safe to print: control characters (C0, DEL, C1, bidirectional overrides) become
// spaces, bytes that are not UTF-8 become U+FFFD. Comments call such text Plain.
std::string Plain(std::string_view text);
// As Plain, for several lines: keeps line breaks and expands tabs.
std::string PlainLines(std::string_view text);

// Bytes that are not UTF-8 become \xHH, as a shell would write them. For error messages.
std::string Escaped(std::string_view bytes);

// Escapes as \uXXXX the characters that JSON permits in strings but that control a terminal (DEL, C1) or
// reverse its text. C0 stays: JSON has none in strings, and our own text for a terminal has colours.
std::string SafeJson(std::string_view json);

// Bytes of the first character. `text` is not empty.
size_t CharacterSize(std::string_view text);
// Columns on the terminal: two for wide characters, none for combining ones (wcwidth(3)).
size_t Columns(std::string_view text);
// Bytes of the longest beginning that fits.
size_t FittingBytes(std::string_view text, size_t columns);
// The longest beginning that fits; ends with "…" if text was cut.
std::string Fit(std::string_view text, size_t columns);

// Lines without their ends. A line end at the end begins no further line.
std::vector<std::string_view> SplitLines(std::string_view text);
std::string_view WithoutLineEnds(std::string_view text);
// Appends `item`, preceded by `separator` unless the list is empty.
void AddTo(std::string& list, std::string_view separator, std::string_view item);

// Colours and intensities (ECMA-48, section 8.3.117).
enum class Colour { kNone, kBold, kDim, kRed, kGreen, kYellow, kBlue, kMagenta, kCyan };
inline constexpr size_t kColours = 9;
const char* SgrCode(Colour colour);  // "31"
std::string Paint(bool colours, Colour colour, std::string_view text);
// The colour for the state of an agent or a run.
Colour ColourOf(std::string_view state);

// "0s", "5s", "3m", "2d": the largest unit.
std::string Age(int64_t ms);
// The same as "now" or "5s ago".
std::string Ago(int64_t ms);

// Rows of cells in aligned columns. The last column is not padded.
class Table {
 public:
  struct Cell {
    std::string text;  // Plain
    Colour colour = Colour::kNone;
  };
  void Add(std::vector<Cell> row) { rows_.push_back(std::move(row)); }
  [[nodiscard]] size_t size() const { return rows_.size(); }
  // Lines, cut at `columns` (0: not cut).
  [[nodiscard]] std::string Show(bool colours, size_t columns) const;

 private:
  std::vector<std::vector<Cell>> rows_;
};

}  // namespace reeve
