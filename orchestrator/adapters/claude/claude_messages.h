// ClaudeMessages: what is said and done in a Claude Code session, told to an AgentHost in reeve's vocabulary:
// texts, thoughts, tool calls, edits, plans and usage. Turns and sub-agents are ClaudeEvents' business, which
// owns it and feeds it. No I/O and no time in here.
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

  // Lines of these types, as they came. False: nothing in it is known.
  bool TakeStream(const JsonValue& line);
  bool TakeAssistant(const JsonValue& line);
  bool TakeUser(const JsonValue& line);
  // The tokens and the cost of a turn, of its result.
  void TakeUsage(const JsonValue& result);
  // A text that was not streamed.
  void TellText(bool spoken, std::string_view message_id, std::string_view text);

  struct Call {
    std::string name;     // common
    std::string input;    // JSON object
    std::string session;  // of the sub-agent that called, or empty

    static void Members(auto& self, auto& state) {
      state("name", self.name);
      state.Json("input", self.input);
      state("session", self.session);
    }
  };
  // A call is known to have begun; the first word on it is told.
  void BeginCall(const std::string& call_id, Call call);
  // The input of a call as it was told, where `input` is the same with its members in another order.
  [[nodiscard]] std::string InputAsTold(const std::string& call_id, std::string input) const;
  // A person changed what it shall do.
  void ChangeInput(const std::string& call_id, const std::string& input);

  void BeginTurn();
  // What is open is closed: texts as far as they were said, calls as failed. `error`: what the turn's end
  // says went wrong, which needs no second word.
  void EndTurn(std::string_view error = {});
  // The process resumed a session: what it says the whole of it cost includes an unknown part.
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
    bool spoken = true;  // otherwise thought
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
  void TellDelta(Text& text, std::string_view more);
  void CloseText();
  bool TakeBlock(const JsonValue& line, const JsonValue& block);
  bool FinishCall(const JsonValue& result, const JsonValue& structured);
  void TellEdit(const Call& call, const JsonValue& result);
  void TellUsage(const Usage& usage);
  void TellApiError(const Error& error, std::string_view session);

  AgentHost& host_;
  std::optional<Text> open_;  // being streamed
  std::string message_;       // being streamed
  std::string numbered_;      // the message whose texts are being counted
  int texts_ = 0;             // of it
  std::map<std::string, Call, std::less<>> calls_;
  std::set<std::string> closed_;    // calls that the turn's end closed: their results may still come
  std::optional<Error> api_error_;  // the last request's; mostly the turn's end says the same
  Usage turn_;                      // by results
  Usage running_;                   // since the last result, by the messages themselves
  int64_t prompt_tokens_ = 0;       // of the message being streamed
  std::optional<double> total_cost_usd_ = 0;
};

// What fits nothing else.
void TellClaudeOutput(AgentHost& host, const JsonValue& value);
// 0 for what is no number, or beyond what a counter may hold.
int64_t ClaudeCount(const JsonValue& value);

}  // namespace reeve
