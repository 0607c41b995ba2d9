// PiEvents: translates the events of pi's RPC mode into events of the vocabulary, and decides when a turn has
// ended. pi reports agent_end also when it is about to try again or to compact its context. So a turn ends
// only when the answer to a get_state that was sent after agent_end says that pi does nothing more.
//
// Owned by its adapter; it does no I/O.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "orchestrator/adapters/agent_host.h"
#include "orchestrator/adapters/turn_content.h"
#include "orchestrator/agent/run.h"
#include "orchestrator/agent/turn_end.h"
#include "orchestrator/json/json.h"

namespace reeve {

class PiEvents {
 public:
  explicit PiEvents(AgentHost& host) : host_(host), content_(host) {}

  // A prompt is about to be sent.
  void BeginTurn();
  void Interrupted() { interrupted_ = true; }
  // False: the event is not known and belongs into the log as it is.
  bool Take(std::string_view type, const JsonValue& event);
  // Whether a get_state must be sent now. Its answer goes to TakeState.
  [[nodiscard]] bool TakeWish() { return std::exchange(wants_state_, false); }
  // After agent_end one is on its way already.
  void WantState() { wants_state_ = wants_state_ || !ending_; }
  void TakeState(const JsonValue& state);
  // The turn is over by a fact that pi does not report as an event.
  void EndTurn(const TurnEnd& end);
  // The process is gone: ends everything that is open. The agent ends the turn.
  void Exited() { content_.EndTurn(); }

  [[nodiscard]] bool in_turn() const { return in_turn_; }

  static void Members(auto& self, auto& state) {
    state("content", self.content_);
    state("in_turn", self.in_turn_);
    state("started", self.started_);
    state("interrupted", self.interrupted_);
    state("retrying", self.retrying_);
    state("ending", self.ending_);
    state("last", self.last_);
    state("message", self.message_);
    state("usage", self.usage_);
    state("wants_state", self.wants_state_);
  }

 private:
  bool TakeMessage(std::string_view type, const JsonValue& message);
  bool TakeUpdate(const JsonValue& update);
  bool TakeTool(std::string_view type, const JsonValue& event);
  void EndCall(const JsonValue& event);
  void TakeUsage(const JsonValue& usage);
  void TakeRetryEnd(const JsonValue& event);
  void Start();
  void Ending(TurnEnd end);
  [[nodiscard]] std::string TextId(const JsonValue& index) const;

  AgentHost& host_;
  TurnContent content_;
  bool in_turn_ = false;
  bool started_ = false;  // pi works on the turn
  bool interrupted_ = false;
  bool retrying_ = false;
  std::optional<TurnEnd> ending_;  // how the turn ends, unless pi continues
  TurnEnd last_;                   // according to the last answer of the model
  std::string message_;            // id of the answer that is being streamed
  Usage usage_;                    // of the turn
  bool wants_state_ = false;
};

}  // namespace reeve
