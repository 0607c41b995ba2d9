// TopModel: what `reeve top` knows of a town: its agents, what each said last and waits for, which of them
// are shown, in which order, and which one is selected. Takes the API's objects and events as they come;
// knows neither server nor terminal.
//
// Objects and events arrive on different connections. Each tells its position in the agent's log (a cursor):
// what is older than what is known already does not change a state back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "control/cli/show/text.h"
#include "orchestrator/json/json.h"
#include "orchestrator/log/event.h"

namespace reeve {

// What an agent asks a person. All of it Plain.
struct TopAsk {
  std::string id;
  // Of what is asked: whoever asks may use an id again, for something else.
  uint64_t serial = 0;
  bool elicitation = false;  // it wants an answer, not a permission
  std::string tool;
  std::string gist;    // one line
  std::string text;    // all of it, several lines
  std::string schema;  // of an elicitation's answer: JSON
};

struct TopAgent {
  // What its process is in, without what its run adds.
  enum class Process { kStarting, kUp, kStopping, kBackoff, kFailed, kExited };

  std::string id, title, kind;
  std::string labels;  // "key=value key=value"
  Process process = Process::kExited;
  bool stalled = false;
  std::string run;             // its id; empty: none
  int64_t run_started_ms = 0;  // wall clock
  int64_t tokens = 0;          // of all its runs, in and out
  double cost_usd = 0;
  std::optional<double> cpu_percent;  // of one core
  std::optional<int64_t> rss_bytes;
  int64_t queue_depth = 0;
  bool queue_paused = false;
  int64_t viewers = 0;
  int64_t last_event_ms = 0;  // wall clock; 0: nothing ever
  std::vector<TopAsk> asks;   // oldest first
  size_t pending = 0;         // how many there are, also while their words are not known yet
  std::string last;           // what was said last: one line
  Colour last_colour = Colour::kNone;

  // For the model: how far it is known, and what the next sample is held against.
  Cursor known;
  std::string answer;        // the last line of what its present run has answered
  std::string saying;        // the end of the message that is being said
  bool looked_back = false;  // somebody has been told to look for its last words
  int64_t sampled_pid = 0, sampled_cpu_ms = 0, sampled_at_ms = 0;
  uint64_t seen_in_list = 0;

  // As the API names it: "needs_input".
  [[nodiscard]] std::string_view state() const;
  // Its title, or else its id.
  [[nodiscard]] const std::string& name() const { return title.empty() ? id : title; }
};

enum class TopOrder { kUrgency, kName, kRun, kTokens, kCost, kCpu, kMemory, kLastEvent };
inline constexpr size_t kTopOrders = 8;
const char* NameOf(TopOrder order);  // "urgency"

class TopModel {
 public:
  // --- what comes from the server

  // A whole list, page by page, between Begin and End: who is not on it is gone.
  void BeginList() { ++list_; }
  // `now_ms`: of a clock that only goes forward; what CPU time is measured by.
  void TakeAgent(const JsonValue& agent, int64_t now_ms);
  void EndList();
  // The envelope of an event. False when it changes nothing that is shown.
  bool TakeEvent(const JsonValue& event);
  // GET /approvals: all of them.
  void TakeApprovals(const JsonValue& approvals);
  // The last events of an agent's log, oldest first, which say what it said before anybody looked.
  void TakePast(const std::string& agent, const JsonValue& events);
  // Somebody waits for an answer whose question is not known.
  [[nodiscard]] bool lacks_approvals() const;

  // --- what is shown

  // The agents that the filter lets through, in order. Good until something is taken.
  [[nodiscard]] std::vector<const TopAgent*> Rows() const;
  [[nodiscard]] const std::map<std::string, TopAgent>& agents() const { return agents_; }
  [[nodiscard]] TopAgent* Find(const std::string& id);
  // How many are in each state, in the order of urgency; only those there are.
  [[nodiscard]] std::vector<std::pair<std::string_view, size_t>> CountStates() const;

  // Words, each in an id, title, kind, state or label; upper and lower case are the same.
  void SetFilter(std::string filter) { filter_ = std::move(filter); }
  [[nodiscard]] const std::string& filter() const { return filter_; }
  void SetOrder(TopOrder order) { order_ = order; }
  [[nodiscard]] TopOrder order() const { return order_; }
  void SetReversed(bool reversed) { reversed_ = reversed; }
  [[nodiscard]] bool reversed() const { return reversed_; }

  // The selected agent stays selected wherever it goes; when it is gone, or filtered out, the one that took
  // its place is. Null: there is none.
  const TopAgent* Selected();
  void Select(int64_t row);  // the nearest there is
  void Move(int64_t rows);   // down, or up

 private:
  TopAgent& AgentOf(const std::string& id);
  bool TakeAsk(TopAgent& agent, const JsonValue& request);  // false: one of its id is known
  static bool Say(TopAgent& agent, const JsonValue& event);
  static void Sample(TopAgent& agent, const JsonValue& object, int64_t now_ms);
  [[nodiscard]] bool Passes(const TopAgent& agent) const;

  std::map<std::string, TopAgent> agents_;
  uint64_t list_ = 0;
  uint64_t asked_ = 0;  // how many questions there have been
  std::string filter_;
  TopOrder order_ = TopOrder::kUrgency;
  bool reversed_ = false;
  std::string selected_;
  int64_t selected_row_ = 0;
};

}  // namespace reeve
