#include "orchestrator/adapters/edits.h"

#include <cstdint>

namespace reeve {

namespace {

// More of a diff than a person reads; beyond it the counts must do.
constexpr size_t kMaxDiffBytes = size_t{64} << 10;

// Calls `line` for each, without its end.
template <typename Each>
void ForEachLine(std::string_view text, Each line) {
  while (!text.empty()) {
    const size_t end = text.find('\n');
    line(text.substr(0, end));
    if (end == std::string_view::npos) return;
    text.remove_prefix(end + 1);
  }
}

}  // namespace

void TellEdit(AgentHost& host, std::string_view path, std::string_view diff) {
  if (path.empty()) return;
  int64_t additions = 0, deletions = 0;
  bool in_hunk = false;  // before the first there are the files' names
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
  host.Emit("file.edited", data.Take());
}

std::string WholeFileDiff(std::string_view content, char sign) {
  int64_t count = 0;
  std::string lines;
  ForEachLine(content, [&](std::string_view line) {
    ++count;
    lines.append(1, sign).append(line).append("\n");
  });
  const std::string range = "1," + std::to_string(count);
  return (sign == '+' ? "@@ -0,0 +" + range : "@@ -" + range + " +0,0") + " @@\n" + lines;
}

}  // namespace reeve
