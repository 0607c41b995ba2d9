#include "orchestrator/log/event.h"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <vector>

#include "orchestrator/config/closest_match.h"
#include "orchestrator/log/event_types.h"

namespace reeve {

namespace {

// Edits of a type, or of a family, that is suggested for a misspelt one.
constexpr size_t kMaxEdits = 3;
constexpr size_t kMaxFamilyEdits = 2;

void AppendNumber(std::string& out, uint64_t number) {
  char digits[20];
  auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
  out.append(digits, end);
}

// Takes a number off the front of `text`, in the form that ToString writes: digits only, no leading zero,
// within 64 bits. Returns false for any other text.
bool TakeNumber(std::string_view& text, uint64_t& number) {
  if (text.empty() || text[0] < '0' || text[0] > '9') return false;
  if (text[0] == '0' && text.size() > 1 && text[1] >= '0' && text[1] <= '9') return false;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) return false;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return true;
}

bool TakePrefix(std::string_view& text, std::string_view prefix) {
  if (text.substr(0, prefix.size()) != prefix) return false;
  text.remove_prefix(prefix.size());
  return true;
}

}  // namespace

std::string Cursor::ToString() const {
  std::string text;
  AppendNumber(text, epoch);
  text += '-';
  AppendNumber(text, seq);
  return text;
}

std::optional<Cursor> Cursor::Parse(std::string_view text) {
  if (text == "0") return Cursor{};
  Cursor cursor;
  if (!TakeNumber(text, cursor.epoch) || !TakePrefix(text, "-")) return std::nullopt;
  if (!TakeNumber(text, cursor.seq) || !text.empty()) return std::nullopt;
  return cursor;
}

void AppendFrame(std::string& out, const EventHead& head, std::string_view data) {
  out += "id: ";
  AppendNumber(out, head.id.epoch);
  out += '-';
  AppendNumber(out, head.id.seq);
  out += "\nevent: ";
  out += head.type;
  out += "\ndata: {\"agent\":\"";
  out += head.agent;  // an id, a type and a time need no escaping
  out += "\",\"epoch\":";
  AppendNumber(out, head.id.epoch);
  out += ",\"seq\":";
  AppendNumber(out, head.id.seq);
  out += ",\"time\":\"";
  out += head.time;
  out += "\",\"type\":\"";
  out += head.type;
  if (!head.run.empty()) {
    out += "\",\"run\":\"";
    out += head.run;
  }
  out += "\",\"data\":";
  const size_t data_begin = out.size();
  out += data;
  // In JSON, a line break can only be space between two tokens. Left in place it would end the frame's line.
  // The next start would then cut the log there, because it cuts everything after a malformed frame.
  for (char line_break : {'\n', '\r'}) {
    if (data.find(line_break) == std::string_view::npos) continue;
    std::replace(out.begin() + static_cast<std::ptrdiff_t>(data_begin), out.end(), line_break, ' ');
  }
  out += "}\n\n";
}

std::optional<FrameView> ParseFrame(std::string_view bytes, size_t* size) {
  size_t end = bytes.find("\n\n");
  if (end == std::string_view::npos) return std::nullopt;
  std::string_view rest = bytes.substr(0, end);
  FrameView frame;
  if (!TakePrefix(rest, "id: ") || !TakeNumber(rest, frame.id.epoch) || !TakePrefix(rest, "-") ||
      !TakeNumber(rest, frame.id.seq) || !TakePrefix(rest, "\nevent: ")) {
    return std::nullopt;
  }
  size_t type_end = rest.find('\n');
  if (type_end == std::string_view::npos) return std::nullopt;
  frame.type = rest.substr(0, type_end);
  rest.remove_prefix(type_end);
  if (!TakePrefix(rest, "\ndata: ") || rest.find('\n') != std::string_view::npos) return std::nullopt;
  frame.envelope = rest;
  *size = end + 2;
  return frame;
}

Result<TypeFilter> TypeFilter::Parse(std::string_view list) {
  constexpr std::string_view kWildcard = ".*";
  std::vector<std::string> known(std::begin(event_type::kAll), std::end(event_type::kAll));
  std::vector<std::string> families;
  families.reserve(known.size());
  for (const std::string& type : known) families.push_back(type.substr(0, type.find('.')).append(kWildcard));
  for (std::string_view rest = list; !rest.empty();) {
    const std::string_view name = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(name.size() + 1, rest.size()));
    const bool family = name.ends_with(kWildcard);
    const auto& all = family ? families : known;
    if (name.empty() || name == "*" || std::find(all.begin(), all.end(), name) != all.end()) continue;
    const std::string meant = ClosestMatch(name, all, family ? kMaxFamilyEdits : kMaxEdits);
    // A program of kind jsonl may use further types of content.
    if (meant.empty() && !family && event_type::IsContent(name)) continue;
    return Error{
        "invalid_request",
        "types: there is no event type '" + std::string(name.substr(0, 64)) + "'" +
            (meant.empty() ? "; run.* and tool.failed are examples" : "; did you mean '" + meant + "'?")};
  }
  return TypeFilter(list);
}

bool TypeFilter::Matches(std::string_view type) const {
  if (list_.empty()) return true;
  std::string_view rest = list_;
  while (!rest.empty()) {
    size_t comma = rest.find(',');
    std::string_view pattern = rest.substr(0, comma);
    rest.remove_prefix(comma == std::string_view::npos ? rest.size() : comma + 1);
    if (pattern == "*" || (pattern == type && !type.empty())) return true;
    const bool family = pattern.size() > 2 && pattern.substr(pattern.size() - 2) == ".*";
    if (family && type.substr(0, pattern.size() - 1) == pattern.substr(0, pattern.size() - 1)) return true;
  }
  return false;
}

}  // namespace reeve
