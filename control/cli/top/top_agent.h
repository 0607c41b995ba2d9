// TopAgent: one agent as `reeve top` knows it: its state, what it asks, its last line and its measurements.
// Takes the API's objects and events; knows neither server nor terminal.
//
// Objects and events arrive on different connections. Both carry a position in the agent's log, so that an
// older one never overwrites a newer state.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "control/cli/show/agent_state.h"
#include "control/cli/show/text.h"
#include "orchestrator/json/json.h"
#include "orchestrator/log/event.h"

namespace reeve {

// A request to a person. All texts are Plain.
struct TopAsk {
  std::string id;
  uint64_t serial = 0;       // unique; an agent may use an id again for another request
  bool elicitation = false;  // asks for an answer instead of a permission
  std::string tool;
  std::string gist;    // one line
  std::string text;    // complete, several lines
  std::string schema;  // of the answer to an elicitation: JSON
};

struct TopAgent {
  std::string id, title, kind;
  std::string labels;  // "key=value key=value"
  AgentState lifecycle;
  int64_t tokens = 0;  // of all runs, in and out
  double cost_usd = 0;
  std::optional<double> cpu_percent;  // of one core
  std::optional<int64_t> rss_bytes;
  int64_t queue_depth = 0;
  bool queue_paused = false;
  int64_t viewers = 0;
  int64_t last_event_ms = 0;  // wall clock; 0: none
  std::vector<TopAsk> asks;   // oldest first
  size_t pending = 0;         // number of requests, also of those not in `asks` yet
  std::string last;           // the last line that the agent wrote
  Colour last_colour = Colour::kNone;
  bool looked_back = false;  // for TopFeed: its past events were asked for, to fill `last`
  uint64_t list = 0;         // for TopModel: the list that it was last seen in

  // `now_ms`: monotonic clock, to measure CPU time by.
  void TakeAgent(const JsonValue& object, int64_t now_ms);
  // False if the event changes nothing that is shown. `serial` is for the request in it.
  bool TakeEvent(const JsonValue& event, uint64_t serial);
  // False if the request is known.
  bool TakeAsk(const JsonValue& request, uint64_t serial);
  // Updates `last` alone.
  bool TakeLast(const JsonValue& event);

  // The API's name: "needs_input".
  [[nodiscard]] std::string_view state() const { return lifecycle.Name(pending != 0); }
  [[nodiscard]] const std::string& name() const { return title.empty() ? id : title; }

  std::string saying;  // the end of the message that is arriving; bounded

 private:
  void TakeSample(const JsonValue& object, int64_t now_ms);
  bool SetLast(const std::string& line, Colour colour = Colour::kNone);

  Cursor known_;          // position in the log
  std::string printing_;  // the line of output that has not ended; bounded
  std::string answer_;    // the last line of the present run's last message
  int64_t sampled_pid_ = 0, sampled_cpu_ms_ = 0, sampled_at_ms_ = 0;
};

// Equal requests: a person who has read one has read the other.
bool IsSame(const TopAsk& one, const TopAsk& other);

}  // namespace reeve
