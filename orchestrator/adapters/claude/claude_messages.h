// ClaudeMessages: reports what is said and done in a Claude Code session to an AgentHost, in reeve's
// vocabulary: texts, thoughts, tool calls, edits, plans and usage. ClaudeEvents, which handles turns and
// sub-agents, owns it and feeds it. It does no I/O and reads no clock.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "orchestrator/adapters/agent_host.h"
#include "orchestrator/json/json.h"

namespace reeve {

class ClaudeMessages {
 public:
  explicit ClaudeMessages(AgentHost& host) : host_(host) {}

  // Take lines of these types, unchanged. False: nothing in the line is known.
  bool TakeStream(const JsonValue& line);
  bool TakeAssistant(const JsonValue& line);
  bool TakeUser(const JsonValue& line);
  // Takes the tokens and the cost of a turn from its result.
  void TakeUsage(const JsonValue& result);
  // Reports a text that was not streamed.
  void EmitText(bool spoken, std::string_view message_id, std::string_view text);

  struct Call {
    std::string name;     // common name (tool_names.h)
    std::string input;    // JSON object
    std::string session;  // of the sub-agent that called, or empty

    static void Members(auto& self, auto& state) {
      state("name", self.name);
      state.Json("input", self.input);
      state("session", self.session);
    }
  };
  // A call is known to have begun. The first report of it counts.
  void BeginCall(const std::string& call_id, Call call);
  // Returns the input of the call as it was reported, if `input` is the same with its members in another
  // order.
  [[nodiscard]] std::string ReportedInput(const std::string& call_id, std::string input) const;
  // A person changed the input of the call.
  void ChangeInput(const std::string& call_id, const std::string& input);

  void BeginTurn();
  // Ends everything that is open: texts with what was said so far, calls as failed. `error`: the turn's own
  // error, which is not reported a second time.
  void EndTurn(std::string_view error = {});
  // The process resumed a session, so the total cost it reports includes an unknown part.
  void ForgetCost() { total_cost_usd_.reset(); }

  static void Members(auto& self, auto& state) {
    state("open", self.open_);
    state("message", self.message_);
    state("numbered", self.numbered_);
    state("texts", self.texts_);
    state("calls", self.calls_);
    state("closed", self.closed_);
    state("api_error", self.api_error_);
    state("turn", self.turn_);
    state("running", self.running_);
    state("prompt_tokens", self.prompt_tokens_);
    state("total_cost_usd", self.total_cost_usd_);
  }

 private:
  struct Text {
    std::string message;  // upstream id
    std::string id;
    bool spoken = true;  // false: a thought
    std::string said;

    static void Members(auto& self, auto& state) {
      state("message", self.message);
      state("id", self.id);
      state("spoken", self.spoken);
      state("said", self.said);
    }
  };
  struct Usage {
    int64_t input_tokens = 0;
    int64_t output_tokens = 0;
    double cost_usd = 0;
    bool has_cost = false;

    static void Members(auto& self, auto& state) {
      state("input_tokens", self.input_tokens);
      state("output_tokens", self.output_tokens);
      state("cost_usd", self.cost_usd);
      state("has_cost", self.has_cost);
    }
  };

  std::string NextId(std::string_view message_id);
  void EmitDelta(Text& text, std::string_view more);
  void CloseText();
  bool TakeBlock(const JsonValue& line, const JsonValue& block);
  bool FinishCall(const JsonValue& result, const JsonValue& structured);
  void EmitEdit(const Call& call, const JsonValue& result);
  void EmitUsage(const Usage& usage);
  void EmitApiError(const Error& error, std::string_view session);

  AgentHost& host_;
  std::optional<Text> open_;  // the text being streamed
  std::string message_;       // the message being streamed
  std::string numbered_;      // the message whose texts are being counted
  int texts_ = 0;             // the number of its texts
  std::map<std::string, Call, std::less<>> calls_;
  std::set<std::string> closed_;    // calls that ended with the turn: their results may still come
  std::optional<Error> api_error_;  // of the last request; usually the turn ends with the same error
  Usage turn_;                      // from results
  Usage running_;                   // since the last result, from the messages themselves
  int64_t prompt_tokens_ = 0;       // of the message being streamed
  std::optional<double> total_cost_usd_ = 0;
};

// Emits a line that fits no other event type.
void EmitClaudeOutput(AgentHost& host, const JsonValue& value);

}  // namespace reeve
