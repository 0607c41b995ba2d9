// AcpEvents: what an agent says about one session by the Agent Client Protocol (agentclientprotocol.com,
// version 1), told to an AgentHost in reeve's vocabulary. No I/O and no time in here: acp.cc feeds it. Owned
// by that adapter; the host outlives it and may call back from within a call.
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
  // `prefix` begins the ids of texts that the agent gives none.
  AcpEvents(AgentHost& host, std::string prefix) : host_(host), content_(host), prefix_(std::move(prefix)) {}

  // A turn begins with a prompt and ends with what the prompt got.
  void BeginTurn();
  void EndTurn(const JsonValue& result);
  void EndTurn(const TurnEnd& end);
  void Interrupted() { interrupted_ = true; }
  // The session was there before this process: what it has cost until now is not this turn's.
  void Resumed() { cost_unknown_ = true; }
  [[nodiscard]] bool in_turn() const { return in_turn_; }

  // The `update` of a session/update.
  void TakeUpdate(const JsonValue& update);
  // A session/request_permission, by its id as it came. False: too many wait already.
  bool TakePermission(const std::string& rpc_id, const JsonValue& params);

  // What to say to the request that became this approval. Nothing: it does not wait any more.
  struct Reply {
    std::string rpc_id;
    std::string result;  // JSON
  };
  std::optional<Reply> Decide(const std::string& approval_id, bool allow);
  // All that wait, taken back.
  std::vector<Reply> Withdraw();

  // The process has ended: so does what is open of the turn's content. How the turn ended is the agent's to
  // say.
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
    std::string output;                                      // as it was last said
    size_t told = 0;                                         // bytes of it
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
    bool of_turn = true;        // asked within a turn, which takes it along

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
  void TellPlan(std::string entries);
  void TellOther(const JsonValue& update);

  AgentHost& host_;
  TurnContent content_;
  std::string prefix_;
  int texts_ = 0;  // that began in this process
  struct OpenText {
    TurnContent::Text kind = TurnContent::Text::kAssistant;
    std::string theirs;  // their id, or empty
    std::string id;      // ours

    static void Members(auto& self, auto& state) {
      state.Enum("kind", self.kind, TurnContent::kTexts);
      state("theirs", self.theirs);
      state("id", self.id);
    }
  };
  std::optional<OpenText> open_;
  std::map<std::string, Call, std::less<>> calls_;       // of the turn, by their ids
  std::map<std::string, Pending, std::less<>> pending_;  // by the approval's id
  std::string title_;
  std::string plan_;                   // its entries, as last told
  double cost_ = 0, cost_before_ = 0;  // of the session: now, and when the turn began
  bool has_cost_ = false;
  bool cost_unknown_ = false;  // until it is first told
  bool in_turn_ = false;
  bool interrupted_ = false;
};

}  // namespace reeve
