// TopModel: the agents of a town as `reeve top` knows them, which of them are shown, their order, and the
// selected one. Knows neither server nor terminal.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "control/cli/top/top_agent.h"
#include "orchestrator/json/json.h"

namespace reeve {

enum class TopOrder { kUrgency, kName, kRun, kTokens, kCost, kCpu, kMemory, kLastEvent };
inline constexpr size_t kTopOrders = 8;
const char* NameOf(TopOrder order);  // "urgency"

class TopModel {
 public:
  // --- from the server

  // A complete list arrives page by page between BeginList and EndList, which drops agents that are not in
  // it.
  void BeginList() { ++list_; }
  // `now_ms`: monotonic clock.
  void TakeAgent(const JsonValue& agent, int64_t now_ms);
  void EndList();
  // An event's envelope. False if it changes nothing that is shown.
  bool TakeEvent(const JsonValue& event);
  // All pending requests: GET /approvals.
  void TakeApprovals(const JsonValue& approvals);
  // The last events of an agent's log, oldest first, for its last line.
  void TakePast(const std::string& agent, const JsonValue& events);
  // An agent has a pending request whose text is not known.
  [[nodiscard]] bool lacks_approvals() const;

  // --- for the screen

  // The agents that pass the filter, in order. Valid until the next Take.
  [[nodiscard]] std::vector<const TopAgent*> Rows() const;
  [[nodiscard]] const std::map<std::string, TopAgent>& agents() const { return agents_; }
  [[nodiscard]] TopAgent* Find(const std::string& id);
  // The number of agents in each state, by urgency, without zeros.
  [[nodiscard]] std::vector<std::pair<std::string_view, size_t>> CountStates() const;

  // Words; each must occur in the id, title, kind, state or labels, in upper or lower case.
  void SetFilter(std::string filter) { filter_ = std::move(filter); }
  [[nodiscard]] const std::string& filter() const { return filter_; }
  void SetOrder(TopOrder order) { order_ = order; }
  [[nodiscard]] TopOrder order() const { return order_; }
  void SetReversed(bool reversed) { reversed_ = reversed; }
  [[nodiscard]] bool reversed() const { return reversed_; }

  // The selection follows its agent to another row. If the agent is gone or filtered out, the agent now in
  // its row is selected. Null if there are no rows.
  const TopAgent* Selected();
  void Select(int64_t row);  // clamped
  void Move(int64_t rows);   // positive: down

 private:
  TopAgent& AgentOf(const std::string& id);
  [[nodiscard]] bool Passes(const TopAgent& agent) const;
  [[nodiscard]] double SortKey(const TopAgent& agent) const;

  std::map<std::string, TopAgent> agents_;
  uint64_t list_ = 0;
  uint64_t serial_ = 0;  // of the last request
  std::string filter_;
  TopOrder order_ = TopOrder::kUrgency;
  bool reversed_ = false;
  std::string selected_;
  int64_t selected_row_ = 0;
};

}  // namespace reeve
