// The columns of the agents' table in `reeve top`: their cells, the order in which they give way, and short
// forms of numbers.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "control/cli/show/styled.h"
#include "control/cli/top/top_model.h"

namespace reeve {

// "7s", "1m12s", "3h05m", "2d4h"; "12.3k"; "120M".
std::string ShortDuration(int64_t ms);
std::string ShortCount(int64_t count);
std::string ShortBytes(int64_t bytes);
// "needs input".
std::string StateWords(std::string_view state);

enum TopColumn : size_t { kState, kAgent, kKind, kRun, kQueue, kCpu, kMemory, kTokens, kCost, kLast };
inline constexpr size_t kTopColumns = 10;
struct TopColumnInfo {
  const char* name;
  size_t width;
  bool right;  // aligned
  std::optional<TopOrder> order;
};
extern const std::array<TopColumnInfo, kTopColumns> kTopColumnInfo;

// By column.
std::vector<Span> CellsOf(const TopAgent& agent, int64_t now_ms);
// By column; 0: not shown, for lack of room or because no agent has a value.
std::vector<size_t> ColumnWidths(size_t columns, const std::vector<const TopAgent*>& agents);
StyledLine AlignCells(const std::vector<Span>& cells, const std::vector<size_t>& widths);

}  // namespace reeve
