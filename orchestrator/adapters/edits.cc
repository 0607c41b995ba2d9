#include "orchestrator/adapters/edits.h"
#include "orchestrator/json/json.h"
#include "orchestrator/log/event_types.h"

#include <algorithm>
#include <cstdint>
#include <vector>

namespace reeve {

namespace {

// More of a diff than a person reads. A longer diff is left out, and only its counts are reported.
constexpr size_t kMaxDiffBytes = size_t{64} << 10;

// Calls `line` for each line, without its end.
template <typename Each>
void ForEachLine(std::string_view text, Each line) {
  while (!text.empty()) {
    const size_t end = text.find('\n');
    line(text.substr(0, end));
    if (end == std::string_view::npos) return;
    text.remove_prefix(end + 1);
  }
}

std::vector<std::string_view> LinesOf(std::string_view text) {
  std::vector<std::string_view> lines;
  ForEachLine(text, [&lines](std::string_view line) { lines.push_back(line); });
  return lines;
}

// A hunk's range, in the form that diff -u uses.
std::string Range(size_t begin, size_t count) {
  return std::to_string(count == 0 ? begin : begin + 1) + "," + std::to_string(count);
}

}  // namespace

std::string DiffOf(std::string_view before, std::string_view after) {
  constexpr size_t kContext = 3;
  const std::vector<std::string_view> old_lines = LinesOf(before), new_lines = LinesOf(after);
  const size_t shorter = std::min(old_lines.size(), new_lines.size());
  size_t same = 0, same_end = 0;
  while (same < shorter && old_lines[same] == new_lines[same]) ++same;
  while (same_end < shorter - same &&
         old_lines[old_lines.size() - 1 - same_end] == new_lines[new_lines.size() - 1 - same_end]) {
    ++same_end;
  }
  const size_t old_end = old_lines.size() - same_end, new_end = new_lines.size() - same_end;
  if (same == old_end && same == new_end) return {};
  const size_t begin = same - std::min(same, kContext), after_end = std::min(same_end, kContext);
  std::string diff = "@@ -" + Range(begin, old_end + after_end - begin) + " +" +
                     Range(begin, new_end + after_end - begin) + " @@\n";
  auto add = [&diff](char sign, std::string_view line) { diff.append(1, sign).append(line).append("\n"); };
  for (size_t at = begin; at < same; ++at) add(' ', old_lines[at]);
  for (size_t at = same; at < old_end; ++at) add('-', old_lines[at]);
  for (size_t at = same; at < new_end; ++at) add('+', new_lines[at]);
  for (size_t at = old_end; at < old_end + after_end; ++at) add(' ', old_lines[at]);
  return diff;
}

void EmitEdit(AgentHost& host, std::string_view path, std::string_view diff) {
  if (path.empty()) return;
  int64_t additions = 0, deletions = 0;
  bool in_hunk = false;  // before the first hunk come the file names
  ForEachLine(diff, [&](std::string_view line) {
    if (line.substr(0, 2) == "@@") {
      in_hunk = true;
    } else if (in_hunk && line.substr(0, 1) == "+") {
      ++additions;
    } else if (in_hunk && line.substr(0, 1) == "-") {
      ++deletions;
    }
  });
  JsonObject data;
  data.Set("path", path).Set("additions", additions).Set("deletions", deletions);
  if (!diff.empty() && diff.size() <= kMaxDiffBytes) data.Set("diff", diff);
  host.Emit(event_type::kFileEdited, data.Take());
}

std::string WholeFileDiff(std::string_view content, char sign) {
  return sign == '+' ? DiffOf({}, content) : DiffOf(content, {});
}

}  // namespace reeve
