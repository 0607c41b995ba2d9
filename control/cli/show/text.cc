#include "control/cli/show/text.h"

#include <algorithm>
#include <cstdio>
#include <cwchar>
#include <utility>

#include "orchestrator/json/json.h"

namespace reeve {

namespace {

constexpr char32_t kReplacement = 0xFFFD;

struct Character {
  char32_t code;
  size_t bytes;
};

// The first character (RFC 3629 section 4); U+FFFD for a byte that begins no character.
Character First(std::string_view text) {
  const auto lead = static_cast<uint8_t>(text[0]);
  if (lead < 0x80) return {lead, 1};
  const size_t size = lead >= 0xF0 && lead < 0xF5 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC2 ? 2 : 0;
  if (size == 0 || lead >= 0xF5 || text.size() < size) return {kReplacement, 1};
  char32_t code = lead & (0x7FU >> size);
  for (size_t i = 1; i < size; ++i) {
    const auto byte = static_cast<uint8_t>(text[i]);
    if ((byte & 0xC0) != 0x80) return {kReplacement, 1};
    code = code << 6 | (byte & 0x3F);
  }
  constexpr char32_t kFirstCode[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = code >= 0xD800 && code < 0xE000;
  if (code < kFirstCode[size] || code > 0x10FFFF || surrogate) return {kReplacement, 1};
  return {code, size};
}

// Includes the separators of lines and the bidirectional controls (UAX #9), which can make one name look like
// another.
bool IsControl(char32_t code) {
  return code < 0x20 || (code >= 0x7F && code < 0xA0) || code == 0x61C || code == 0x200E || code == 0x200F ||
         (code >= 0x2028 && code <= 0x202E) || (code >= 0x2066 && code <= 0x2069);
}

std::string Clean(std::string_view text, bool keep_lines) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const Character character = First(text);
    if (keep_lines && character.code == '\n') {
      out += '\n';
    } else if (keep_lines && character.code == '\t') {
      out += "    ";
    } else if (IsControl(character.code)) {
      out += ' ';
    } else if (character.code == kReplacement) {
      out += "\xEF\xBF\xBD";
    } else {
      out += text.substr(0, character.bytes);
    }
    text.remove_prefix(character.bytes);
  }
  return out;
}

size_t WidthOf(char32_t code) {
  if (code < 0x300) return 1;
  const int width = wcwidth(static_cast<wchar_t>(code));
  return width < 0 ? 1 : static_cast<size_t>(width);
}

}  // namespace

std::string Plain(std::string_view text) { return Clean(text, false); }
std::string PlainLines(std::string_view text) { return Clean(text, true); }

std::string Escaped(std::string_view bytes) {
  std::string out;
  while (!bytes.empty()) {
    const Character character = First(bytes);
    const std::string_view taken = bytes.substr(0, character.bytes);
    if (IsUtf8(taken)) {
      out += Plain(taken);
    } else {
      char escape[8];
      (void)std::snprintf(escape, sizeof escape, "\\x%02x", static_cast<unsigned char>(taken.front()));
      out += escape;
    }
    bytes.remove_prefix(taken.size());
  }
  return out;
}

std::string SafeJson(std::string_view json) {
  std::string out;
  out.reserve(json.size());
  while (!json.empty()) {
    const Character character = First(json);
    if (character.code >= 0x7F && IsControl(character.code)) {
      char escape[16];
      (void)std::snprintf(escape, sizeof escape, "\\u%04x", static_cast<unsigned>(character.code));
      out += escape;
    } else if (character.code == kReplacement) {
      out += "\xEF\xBF\xBD";
    } else {
      out += json.substr(0, character.bytes);
    }
    json.remove_prefix(character.bytes);
  }
  return out;
}

size_t CharacterSize(std::string_view text) { return First(text).bytes; }

size_t Columns(std::string_view text) {
  size_t columns = 0;
  while (!text.empty()) {
    const Character character = First(text);
    columns += WidthOf(character.code);
    text.remove_prefix(character.bytes);
  }
  return columns;
}

size_t FittingBytes(std::string_view text, size_t columns) {
  size_t at = 0;
  for (size_t used = 0; at < text.size();) {
    const Character character = First(text.substr(at));
    used += WidthOf(character.code);
    if (used > columns) break;
    at += character.bytes;
  }
  return at;
}

std::string Fit(std::string_view text, size_t columns) {
  if (text.size() <= columns) return std::string(text);  // a character has at least as many bytes as columns
  size_t used = 0;
  size_t kept = 0;  // bytes before the "…"
  for (size_t at = 0; at < text.size();) {
    const Character character = First(text.substr(at));
    const size_t width = WidthOf(character.code);
    if (used + width > columns) return std::string(text.substr(0, kept)) + (columns == 0 ? "" : "…");
    used += width;
    at += character.bytes;
    if (used < columns) kept = at;
  }
  return std::string(text);
}

std::vector<std::string_view> SplitLines(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    lines.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

std::string_view WithoutLineEnds(std::string_view text) {
  while (text.ends_with('\n') || text.ends_with('\r')) text.remove_suffix(1);
  return text;
}

void AddTo(std::string& list, std::string_view separator, std::string_view item) {
  if (!list.empty()) list += separator;
  list += item;
}

const char* SgrCode(Colour colour) {
  static constexpr const char* kCodes[kColours] = {"0", "1", "2", "31", "32", "33", "34", "35", "36"};
  return kCodes[static_cast<size_t>(colour)];
}

std::string Paint(bool colours, Colour colour, std::string_view text) {
  if (!colours || colour == Colour::kNone || text.empty()) return std::string(text);
  return "\x1b[" + std::string(SgrCode(colour)) + "m" + std::string(text) + "\x1b[0m";
}

Colour ColourOf(std::string_view state) {
  if (state == "needs_input") return Colour::kMagenta;
  if (state == "running" || state == "completed") return Colour::kGreen;
  if (state == "failed") return Colour::kRed;
  if (state == "stalled" || state == "backoff" || state == "cancelled") return Colour::kYellow;
  if (state == "starting" || state == "stopping") return Colour::kCyan;
  return state == "exited" ? Colour::kDim : Colour::kNone;
}

std::string Age(int64_t ms) {
  constexpr std::pair<int64_t, const char*> kUnits[] = {
      {86'400'000, "d"}, {3'600'000, "h"}, {60'000, "m"}, {1'000, "s"}};
  for (const auto& [unit_ms, name] : kUnits) {
    if (ms >= unit_ms) return std::to_string(ms / unit_ms) + name;
  }
  return "0s";
}

std::string Ago(int64_t ms) { return ms < 1'000 ? "now" : Age(ms) + " ago"; }

std::string Table::Show(bool colours, size_t columns) const {
  std::vector<size_t> widths;
  for (const auto& row : rows_) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], Columns(row[i].text));
  }
  std::string out;
  for (const auto& row : rows_) {
    std::string line;
    size_t at = 0;
    size_t owed = 0;  // spaces, written only before another cell
    for (size_t i = 0; i < row.size() && (columns == 0 || at + owed < columns); ++i) {
      const std::string text = columns == 0 ? row[i].text : Fit(row[i].text, columns - at - owed);
      const size_t width = Columns(text);
      if (width != 0) {
        line.append(owed, ' ');
        line += Paint(colours, row[i].colour, text);
        at += owed + width;
        owed = 0;
      }
      owed += widths[i] + 2 - width;
    }
    out += line + "\n";
  }
  return out;
}

}  // namespace reeve
