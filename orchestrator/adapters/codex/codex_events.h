// CodexEvents: translates what `codex app-server` says about one thread and its sub-agents into reeve's
// vocabulary, for an AgentHost. It does no I/O and reads no clock: codex.cc feeds it. Owned by that adapter;
// the host outlives it and may call back from within a call.
//
// A sub-agent is a thread of its own, and may continue when the turn that asked for it has ended. The turn
// that we report lasts until all of them are done.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "orchestrator/adapters/agent_host.h"
#include "orchestrator/adapters/turn_content.h"
#include "orchestrator/json/json.h"

namespace reeve {

class CodexEvents {
 public:
  explicit CodexEvents(AgentHost& host) : host_(host), content_(host) {}

  void SetThread(std::string id);
  [[nodiscard]] const std::string& thread() const { return thread_; }
  // PromptSent: a prompt was handed over; its turn begins when codex says so, not before. PromptRefused:
  // codex did not take it.
  void PromptSent() { awaiting_turn_ = true; }
  void PromptRefused(Error error);
  [[nodiscard]] bool awaiting_turn() const { return awaiting_turn_; }
  [[nodiscard]] bool in_turn() const { return in_turn_; }
  // The running turn of our thread, for steering; empty: none.
  [[nodiscard]] std::string turn() const;
  // The running turns, each as thread and turn: ours and the sub-agents'.
  [[nodiscard]] std::vector<std::pair<std::string, std::string>> Running() const;

  // Takes a notification.
  void Take(std::string_view method, const JsonValue& params);
  // Takes a request of the server, with its unchanged id. False: a person cannot answer it.
  bool TakeRequest(const std::string& rpc_id, std::string_view method, const JsonValue& params);

  // The answer to the request that became this approval or elicitation. Nothing: it does not wait any more.
  struct Reply {
    std::string rpc_id;
    std::string result;  // JSON
  };
  std::optional<Reply> Decide(const std::string& approval_id, const ApprovalAnswer& answer);
  std::optional<Reply> Answer(const std::string& elicitation_id, const ElicitationAnswer& answer);

  // The process has ended: ends the open content of the turn. The agent reports how the turn ended.
  void Exited() { content_.EndTurn(); }

  static void Members(auto& self, auto& state) {
    state("content", self.content_);
    state("thread", self.thread_);
    state("session_told", self.session_told_);
    state("threads", self.threads_);
    state("pending", self.pending_);
    state("warned", self.warned_);
    state("awaiting_turn", self.awaiting_turn_);
    state("in_turn", self.in_turn_);
    state("end", self.end_);
    state("told", self.told_);
  }

 private:
  struct Usage {
    int64_t input_tokens = 0;
    int64_t output_tokens = 0;
    bool operator==(const Usage&) const = default;

    static void Members(auto& self, auto& state) {
      state("input_tokens", self.input_tokens);
      state("output_tokens", self.output_tokens);
    }
  };
  struct Thread {
    std::string title;
    std::string turn;   // the turn that runs
    Usage total, base;  // of the thread: as reported last, and when our turn began

    static void Members(auto& self, auto& state) {
      state("title", self.title);
      state("turn", self.turn);
      state("total", self.total);
      state("base", self.base);
    }
  };
  // The kind of answer that a request of the server expects.
  enum class Wants { kDecision, kPermissions, kToolConsent, kAnswers, kForm };
  static constexpr const char* kWants[] = {"decision", "permissions", "tool_consent", "answers", "form"};
  struct Pending {
    std::string rpc_id;
    Wants wants = Wants::kDecision;
    std::string asked;    // the permissions or the questions, as JSON
    std::string call_id;  // of kAnswers: codex itself does not report this call
    bool of_turn = true;  // asked within a turn, and ends with it

    static void Members(auto& self, auto& state) {
      state.Json("rpc_id", self.rpc_id);
      state.Enum("wants", self.wants, kWants);
      state.Json("asked", self.asked);
      state("call_id", self.call_id);
      state("of_turn", self.of_turn);
    }
  };

  [[nodiscard]] bool Ours(std::string_view thread) const { return thread == thread_; }
  // The sub-agent's thread for `session`; nothing for our own thread.
  [[nodiscard]] std::string SessionOf(std::string_view thread) const;

  void TurnStarted(std::string_view thread, std::string_view turn);
  void TurnCompleted(std::string_view thread, const JsonValue& turn);
  void EndIfDone();
  void TakeItem(std::string_view thread, const JsonValue& item, bool completed);
  void StartCall(std::string_view thread, const JsonValue& item);
  void EndCall(const JsonValue& item);
  void TakeReasoning(const JsonValue& item);
  bool TakeDelta(std::string_view thread, std::string_view method, const JsonValue& params);
  void TakeUsage(std::string_view thread, const JsonValue& usage);
  void TakeError(std::string_view thread, const JsonValue& params);
  void TakeWarning(const std::string& code, std::string_view message);
  void EmitOther(std::string_view method, const JsonValue& params);
  void EmitEdits(const JsonValue& changes);
  void Offer(ApprovalRequest request, Pending pending, std::string_view about);
  void OfferCommand(const std::string& rpc_id, std::string_view method, const JsonValue& params);
  void OfferPermissions(const std::string& rpc_id, const JsonValue& params);
  void OfferQuestions(const std::string& rpc_id, const JsonValue& params);
  void OfferForm(const std::string& rpc_id, const JsonValue& params);
  void Resolved(const std::string& rpc_id);

  AgentHost& host_;
  TurnContent content_;
  std::string thread_;
  bool session_told_ = false;
  std::map<std::string, Thread, std::less<>> threads_ = {{"", {}}};  // ours and the sub-agents'
  std::map<std::string, Pending, std::less<>> pending_;              // by the approval's id
  std::set<std::string, std::less<>> warned_;  // warnings that were reported: each once, not at every turn

  bool awaiting_turn_ = false;
  bool in_turn_ = false;
  std::optional<TurnEnd> end_;  // how our turn ended, while sub-agents continue
  std::optional<Usage> told_;   // the turn's usage, as reported last
};

}  // namespace reeve
