#include "orchestrator/config/closest_match.h"

#include <algorithm>
#include <utility>

namespace reeve {

namespace {

// The number of edits that turn `b` into `a` (Levenshtein distance).
size_t Distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
    }
  }
  return row[b.size()];
}

}  // namespace

std::string ClosestMatch(std::string_view name, const std::vector<std::string>& known, size_t most) {
  const std::string* best = nullptr;
  size_t least = most + 1;
  for (const std::string& one : known) {
    const size_t distance = name.size() > 64 ? least : Distance(name, one);
    if (distance < least) best = &one, least = distance;
  }
  return best ? *best : "";
}

}  // namespace reeve
