#include "control/cli/top/top_model.h"
#include "orchestrator/log/event_types.h"

#include <algorithm>
#include <array>
#include <tuple>
#include <utility>

namespace reeve {

namespace {

// By urgency, as on the dashboard: first the states that need a person, then the busy ones.
constexpr std::array<std::string_view, 9> kStates = {
    "needs_input", "failed", "stalled", "running", "starting", "stopping", "backoff", "idle", "exited"};

size_t Urgency(std::string_view state) {
  return static_cast<size_t>(std::find(kStates.begin(), kStates.end(), state) - kStates.begin());
}

// ASCII only.
std::string Lower(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

// The first events of a new agent.
bool IsFirst(std::string_view type) {
  return type == event_type::kAgentStarting || type == event_type::kMessageQueued ||
         type == event_type::kWorkspaceProgress;
}

}  // namespace

const char* NameOf(TopOrder order) {
  constexpr std::array<const char*, kTopOrders> kNames = {"urgency", "name", "run time", "tokens",
                                                          "cost",    "CPU",  "memory",   "last event"};
  return kNames[static_cast<size_t>(order)];
}

// --------------------------------------------------------------------------------------- from the server

TopAgent* TopModel::Find(const std::string& id) {
  const auto found = agents_.find(id);
  return found == agents_.end() ? nullptr : &found->second;
}

TopAgent& TopModel::AgentOf(const std::string& id) {
  TopAgent& agent = agents_[id];
  agent.id = id;
  agent.list = list_;
  return agent;
}

void TopModel::EndList() {
  std::erase_if(agents_, [this](const auto& entry) { return entry.second.list != list_; });
}

void TopModel::TakeAgent(const JsonValue& object, int64_t now_ms) {
  const std::string id(object["id"].StringOr(""));
  if (!id.empty()) AgentOf(id).TakeAgent(object, now_ms);
}

bool TopModel::TakeEvent(const JsonValue& event) {
  const std::string id(event["agent"].StringOr(""));
  TopAgent* agent = Find(id);
  // Events of an agent that has just been deleted may still arrive; they must not create it again.
  if (!agent && !IsFirst(event["type"].StringOr(""))) return false;
  return (agent ? *agent : AgentOf(id)).TakeEvent(event, ++serial_);
}

void TopModel::TakeApprovals(const JsonValue& approvals) {
  std::map<std::string, std::vector<TopAsk>> known;
  for (auto& [id, agent] : agents_) known[id] = std::exchange(agent.asks, {});
  for (const JsonValue& request : approvals.Elements()) {
    TopAgent* agent = Find(std::string(request["agent"].StringOr("")));
    if (!agent || !agent->TakeAsk(request, ++serial_)) continue;
    for (const TopAsk& before : known[agent->id]) {
      if (IsSame(agent->asks.back(), before)) agent->asks.back().serial = before.serial;
    }
  }
}

void TopModel::TakePast(const std::string& id, const JsonValue& events) {
  TopAgent* agent = Find(id);
  if (!agent || !agent->last.empty()) return;
  for (const JsonValue& event : events.Elements()) agent->TakeLast(event);
}

bool TopModel::lacks_approvals() const {
  return std::any_of(agents_.begin(), agents_.end(),
                     [](const auto& entry) { return entry.second.pending != entry.second.asks.size(); });
}

// ---------------------------------------------------------------------------------------- for the screen

bool TopModel::Passes(const TopAgent& agent) const {
  std::string state(agent.state());
  std::replace(state.begin(), state.end(), '_', ' ');
  const std::string about = Lower(agent.id + "\n" + agent.title + "\n" + agent.kind + "\n" +
                                  std::string(agent.state()) + "\n" + state + "\n" + agent.labels);
  const std::string wanted = Lower(filter_);
  for (std::string_view rest = wanted; !rest.empty();) {
    const size_t end = std::min(rest.find(' '), rest.size());
    if (about.find(rest.substr(0, end)) == std::string::npos) return false;
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return true;
}

// The row with the smallest key comes first.
double TopModel::SortKey(const TopAgent& agent) const {
  switch (order_) {
    case TopOrder::kUrgency:
      return static_cast<double>(Urgency(agent.state()));
    case TopOrder::kName:
      return 0;
    case TopOrder::kRun:  // the longest run first, agents without one last
      return agent.lifecycle.busy() ? static_cast<double>(agent.lifecycle.run_started_ms) : 1e18;
    case TopOrder::kTokens:
      return -static_cast<double>(agent.tokens);
    case TopOrder::kCost:
      return -agent.cost_usd;
    case TopOrder::kCpu:
      return -agent.cpu_percent.value_or(-1);
    case TopOrder::kMemory:
      return -static_cast<double>(agent.rss_bytes.value_or(-1));
    case TopOrder::kLastEvent:
      return -static_cast<double>(agent.last_event_ms);
  }
  return 0;
}

std::vector<const TopAgent*> TopModel::Rows() const {
  std::vector<std::tuple<double, std::string_view, std::string_view, const TopAgent*>> rows;
  for (const auto& [id, agent] : agents_) {
    if (Passes(agent)) rows.emplace_back(SortKey(agent), agent.name(), id, &agent);
  }
  std::sort(rows.begin(), rows.end());
  if (reversed_) std::reverse(rows.begin(), rows.end());
  std::vector<const TopAgent*> agents;
  agents.reserve(rows.size());
  for (const auto& row : rows) agents.push_back(std::get<const TopAgent*>(row));
  return agents;
}

std::vector<std::pair<std::string_view, size_t>> TopModel::CountStates() const {
  std::array<size_t, kStates.size()> counts{};
  for (const auto& [id, agent] : agents_) ++counts[Urgency(agent.state())];
  std::vector<std::pair<std::string_view, size_t>> found;
  for (size_t i = 0; i < kStates.size(); ++i) {
    if (counts[i] != 0) found.emplace_back(kStates[i], counts[i]);
  }
  return found;
}

const TopAgent* TopModel::Selected() {
  const auto rows = Rows();
  if (rows.empty()) return nullptr;
  auto found =
      std::find_if(rows.begin(), rows.end(), [this](const TopAgent* row) { return row->id == selected_; });
  if (found == rows.end())
    found = rows.begin() + std::clamp<int64_t>(selected_row_, 0, static_cast<int64_t>(rows.size()) - 1);
  selected_ = (*found)->id;
  selected_row_ = found - rows.begin();
  return *found;
}

void TopModel::Select(int64_t row) {
  selected_.clear();
  selected_row_ = row;
  (void)Selected();
}

void TopModel::Move(int64_t rows) {
  (void)Selected();
  Select(selected_row_ + rows);
}

}  // namespace reeve
