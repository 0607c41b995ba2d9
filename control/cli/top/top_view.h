// TopView: `reeve top` as lines for a screen of any size, as a plain table, and as JSON. Writes nothing
// itself.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "control/cli/show/styled.h"
#include "control/cli/top/top_model.h"

namespace reeve {

// The town as GET /health describes it, and the connection to it.
struct TopTown {
  std::string name, status, reason;
  int64_t viewers = 0;
  int64_t uptime_ms = 0;
  bool known = false;  // GET /health has been answered
  bool connected = false;
};

class TopView {
 public:
  TopView(TopModel& model, const TopTown& town) : model_(model), town_(town) {}

  // The town and its agents: at most `rows` lines, with the selected agent in sight. `now_ms`: wall clock.
  std::vector<StyledLine> Draw(size_t columns, size_t rows, int64_t now_ms);
  // The ids of the agents that Draw has returned.
  [[nodiscard]] const std::vector<std::string>& visible() const { return visible_; }
  // Agents on a page.
  [[nodiscard]] size_t page() const { return page_; }

  // One agent, for the head of its log.
  static StyledLine Describe(const TopAgent& agent, int64_t now_ms);
  // All agents.
  static std::string Table(const TopModel& model, const TopTown& town, bool colours, size_t columns,
                           int64_t now_ms);
  static std::string Json(const TopAgent& agent);

 private:
  [[nodiscard]] StyledLine Title(size_t columns, size_t shown) const;
  [[nodiscard]] StyledLine Counts(size_t columns) const;

  TopModel& model_;
  const TopTown& town_;
  size_t first_ = 0;  // row at the top
  size_t page_ = 1;
  std::vector<std::string> visible_;
};

// An agent's request: at most `rows` lines, beginning with line `skip` of the text, which is clamped.
std::vector<StyledLine> DrawAsk(const TopAgent& agent, const TopAsk& ask, const std::string& text,
                                size_t columns, size_t rows, size_t& skip);
// The list of keys, for `?`.
std::vector<StyledLine> TopHelp(size_t columns);

}  // namespace reeve
