// AcpEvents: translates what an agent says about one session by the Agent Client Protocol
// (agentclientprotocol.com, version 1) into reeve's vocabulary, for an AgentHost. It does no I/O and reads no
// clock: acp.cc feeds it. Owned by that adapter; the host outlives it and may call back from within a call.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "orchestrator/adapters/agent_host.h"
#include "orchestrator/adapters/turn_content.h"
#include "orchestrator/json/json.h"

namespace reeve {

class AcpEvents {
 public:
  // `prefix` begins the ids of texts that have none from the agent.
  AcpEvents(AgentHost& host, std::string prefix) : host_(host), content_(host), prefix_(std::move(prefix)) {}

  // A turn begins with a prompt and ends with the prompt's result.
  void BeginTurn();
  void EndTurn(const JsonValue& result);
  void EndTurn(const TurnEnd& end);
  void Interrupted() { interrupted_ = true; }
  // The session existed before this process, so its cost until now does not belong to this turn.
  void Resumed() { cost_unknown_ = true; }
  [[nodiscard]] bool in_turn() const { return in_turn_; }

  // Takes the `update` of a session/update.
  void TakeUpdate(const JsonValue& update);
  // Takes a session/request_permission with its unchanged id. False: too many are waiting already.
  bool TakePermission(const std::string& rpc_id, const JsonValue& params);

  // The answer to the request that became this approval. Nothing: the request does not wait any more.
  struct Reply {
    std::string rpc_id;
    std::string result;  // JSON
  };
  std::optional<Reply> Decide(const std::string& approval_id, bool allow);
  // Withdraws all waiting permissions.
  std::vector<Reply> Withdraw();

  // The process has ended: ends the open content of the turn. The agent reports how the turn ended.
  void Exited() { content_.EndTurn(); }

  static void Members(auto& self, auto& state) {
    state("content", self.content_);
    state("prefix", self.prefix_);
    state("texts", self.texts_);
    state("open", self.open_);
    state("calls", self.calls_);
    state("pending", self.pending_);
    state("title", self.title_);
    state.Json("plan", self.plan_);
    state("cost", self.cost_);
    state("cost_before", self.cost_before_);
    state("has_cost", self.has_cost_);
    state("cost_unknown", self.cost_unknown_);
    state("in_turn", self.in_turn_);
    state("interrupted", self.interrupted_);
  }

 private:
  struct Call {
    std::string name;
    std::string input = "{}";
    std::string output;                                      // the newest state of it
    size_t told = 0;                                         // how many bytes of it were reported
    std::vector<std::pair<std::string, std::string>> edits;  // path and diff

    static void Members(auto& self, auto& state) {
      state("name", self.name);
      state.Json("input", self.input);
      state("output", self.output);
      state("told", self.told);
      state("edits", self.edits);
    }
  };
  struct Pending {
    std::string rpc_id;
    std::string allow, reject;  // ids of options; empty: none
    bool of_turn = true;        // asked within a turn, and ends with it

    static void Members(auto& self, auto& state) {
      state.Json("rpc_id", self.rpc_id);
      state("allow", self.allow);
      state("reject", self.reject);
      state("of_turn", self.of_turn);
    }
  };

  void TakeChunk(TurnContent::Text kind, const JsonValue& update);
  void TakeCall(const JsonValue& call, bool asked);
  void Learn(Call& known, const JsonValue& call);
  void EmitPlan(const JsonValue& entries);
  void EmitOther(const JsonValue& update);

  AgentHost& host_;
  TurnContent content_;
  std::string prefix_;
  int texts_ = 0;  // number of texts that began in this process
  struct OpenText {
    TurnContent::Text kind = TurnContent::Text::kAssistant;
    std::string theirs;  // the agent's id, or empty
    std::string id;      // our id

    static void Members(auto& self, auto& state) {
      state.Enum("kind", self.kind, TurnContent::kTexts);
      state("theirs", self.theirs);
      state("id", self.id);
    }
  };
  std::optional<OpenText> open_;
  std::map<std::string, Call, std::less<>> calls_;       // of the turn, by the agent's ids
  std::map<std::string, Pending, std::less<>> pending_;  // by the approval's id
  std::string title_;
  std::string plan_;                   // its entries, as reported last
  double cost_ = 0, cost_before_ = 0;  // of the session: now, and when the turn began
  bool has_cost_ = false;
  bool cost_unknown_ = false;  // until the agent first reports it
  bool in_turn_ = false;
  bool interrupted_ = false;
};

}  // namespace reeve
