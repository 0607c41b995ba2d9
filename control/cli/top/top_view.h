// How `reeve top` looks: the model's rows and what is around them as lines of a screen, whatever its size;
// and as a plain table. Draws nothing itself.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "control/cli/show/styled.h"
#include "control/cli/top/top_model.h"

namespace reeve {

// What GET /health says of the town, and how we stand to it.
struct TopTown {
  std::string name, status, reason;
  int64_t viewers = 0;
  int64_t uptime_ms = 0;
  bool known = false;  // it has told
  bool connected = false;
};

// "7s", "1m12s", "3h05m", "2d4h"; "12.3k"; "120M".
std::string ShortDuration(int64_t ms);
std::string ShortCount(int64_t count);
std::string ShortBytes(int64_t bytes);

class TopView {
 public:
  TopView(TopModel& model, const TopTown& town) : model_(model), town_(town) {}

  // The town and the agents, `rows` lines at most; what is under the cursor stays within. `now_ms`: wall
  // clock.
  std::vector<StyledLine> Draw(size_t columns, size_t rows, int64_t now_ms);
  // Those that were drawn.
  [[nodiscard]] const std::vector<std::string>& visible() const { return visible_; }
  // How many agents fit on a page.
  [[nodiscard]] size_t page() const { return page_; }

  // Of one agent, for the head of what is shown about it alone.
  static StyledLine Describe(const TopAgent& agent, int64_t now_ms);
  // Everything, not cut to a screen.
  static std::string Table(const TopModel& model, const TopTown& town, bool colours, size_t columns,
                           int64_t now_ms);
  // One agent, with all that the table says of it.
  static std::string Json(const TopAgent& agent);

 private:
  [[nodiscard]] StyledLine Title(size_t columns, size_t shown) const;
  [[nodiscard]] StyledLine Counts(size_t columns) const;

  TopModel& model_;
  const TopTown& town_;
  size_t first_ = 0;  // the row on top
  size_t page_ = 1;
  std::vector<std::string> visible_;
};

// What an agent asks, to be read before it is answered: at most `rows` lines; `skip` of those that are too
// many have been read, and are at most so many as there are.
std::vector<StyledLine> DrawAsk(const TopAgent& agent, const TopAsk& ask, const std::string& text,
                                size_t columns, size_t rows, size_t& skip);
// What `?` shows.
std::vector<StyledLine> TopHelp(size_t columns);

}  // namespace reeve
