// OpencodeEvents: translates the events of an opencode or kilo server about one session and its sub-agents
// into reeve's vocabulary, for an AgentHost. It reports each thing once, however often and in whatever order
// the server says it, also across a break of the event stream. It handles sessions, approvals and turns;
// OpencodeMessages handles what is said in them. It does no I/O and reads no clock: opencode.cc feeds it.
// Owned by that adapter; the host outlives it and may call back from within a call.
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
#include "orchestrator/adapters/opencode/opencode_messages.h"
#include "orchestrator/json/json.h"

namespace reeve {

class OpencodeEvents {
 public:
  // `closes_turns`: the server ends each turn by session.turn.close (kilo); otherwise by becoming idle.
  OpencodeEvents(AgentHost& host, bool closes_turns)
      : host_(host), closes_turns_(closes_turns), messages_(host) {}

  // Sets the session, before anything else. Everything said in it before `horizon_ms` (of the server's clock)
  // is history and is not reported.
  void SetSession(const JsonValue& info, int64_t horizon_ms);
  [[nodiscard]] const std::string& session() const { return session_; }

  // Takes one event of the stream, unchanged.
  void Take(const JsonValue& event);

  // PromptSent: a prompt was handed over. PromptEnded: it ended without a turn, because it was refused,
  // withdrawn, or never begun.
  void PromptSent() { awaiting_turn_ = true; }
  void PromptEnded(const TurnEnd& end);
  // The server is gone: ends all open content. The agent ends the turn itself.
  void ServerGone() { messages_.EndTurn(); }
  // A person wants the present or the awaited turn to end.
  void Interrupted() { interrupted_ = true; }
  // We answer this approval or question. False: it is not pending, or no longer.
  bool Answer(const std::string& id);
  // Translates a person's answer to a pending question into the body of POST /question/ID/reply.
  [[nodiscard]] std::string ReplyTo(const std::string& question_id, std::string_view content) const;

  [[nodiscard]] bool in_turn() const { return turn_ != Turn::kNone; }
  [[nodiscard]] bool awaiting_turn() const { return awaiting_turn_; }
  // The turn seems to be over, but more of it may still come: wait a while, then call Settle(). kForCall: an
  // approval is held until its call is known, which usually comes soon after.
  enum class Wait { kNone, kForCall, kForClose, kForRest };
  [[nodiscard]] Wait wait() const;
  void Settle();

  // --- After the stream broke, call StreamBroke. When it is open again, call TakeSnapshot, then Take for the
  // events that came on the new stream meanwhile, then Reconcile.
  void StreamBroke();
  struct Snapshot {
    JsonValue session;                // GET /session/ID
    JsonValue permissions;            // GET /permission
    JsonValue questions;              // GET /question
    JsonValue todos;                  // GET /session/ID/todo
    std::vector<JsonValue> children;  // GET /session/ID/children, of each session asked, parents first
    std::vector<std::pair<std::string, JsonValue>>
        messages;  // GET /session/ID/message, of each session asked
  };
  void TakeSnapshot(const Snapshot& snapshot);
  void Reconcile(const JsonValue& statuses);  // GET /session/status
  // Whether a snapshot's messages reach back to the known ones. If not, more of them are needed.
  [[nodiscard]] bool ReachesBack(const JsonValue& messages) const { return messages_.ReachesBack(messages); }
  // Whether this child session may have said something that we missed.
  [[nodiscard]] bool Follows(const JsonValue& child) const;
  // Whether the server has a prompt whose turn we have not heard of.
  [[nodiscard]] bool HasPrompt() const { return messages_.HasPrompt(); }

  static void Members(auto& self, auto& state) {
    state("messages", self.messages_);
    state("session", self.session_);
    state("title", self.title_);
    state("title_ms", self.title_ms_);
    state.Json("todos", self.todos_);
    state.Json("held_todos", self.held_todos_);
    state("children", self.children_);
    state("pending", self.pending_);
    state("closed", self.closed_);
    state.Enum("turn", self.turn_, kTurns);
    state("opened", self.opened_);
    state("awaiting_turn", self.awaiting_turn_);
    state("interrupted", self.interrupted_);
    state("finished", self.finished_);
    state("error", self.error_);
    state("catching_up", self.catching_up_);
    state("edge_seen", self.edge_seen_);
    state("idle_assumed", self.idle_assumed_);
  }

 private:
  struct Child {
    std::string title;
    bool running = false;
    bool heard = false;         // the stream reported since it broke whether it runs
    bool idle_assumed = false;  // by a snapshot, not by the stream

    static void Members(auto& self, auto& state) {
      state("title", self.title);
      state("running", self.running);
      state("heard", self.heard);
      state("idle_assumed", self.idle_assumed);
    }
  };
  enum class Turn {
    kNone,
    kOpen,
    kIdle,  // the server is idle; its last event about the turn may still come
  };
  static constexpr const char* kTurns[] = {"none", "open", "idle"};

  [[nodiscard]] bool Ours(std::string_view session) const;
  bool TakeChilds(std::string_view type, std::string_view session);
  void TakeTurn(std::string_view type, const JsonValue& properties);
  void TakeSession(std::string_view type, const JsonValue& info);
  void TakeStatus(std::string_view session, const JsonValue& status);
  void TakeError(std::string_view session, const JsonValue& error);
  void EmitError(const Error& error, std::string_view child);
  bool TakeMessage(const JsonValue& info);
  void TakeRequest(const JsonValue& request);
  void Offer(const std::string& id, bool call_may_come);
  void OfferHeld(bool call_may_come);
  void TakeReply(const JsonValue& reply);
  void TakeRequests(const Snapshot& snapshot);
  void Withdraw(const std::string& id);
  void TakeTodos(std::string entries);
  void Close(const std::string& id);
  void ChildRuns(const std::string& id, Child& child, bool running);

  void Busy();
  void Idle();
  void Start();
  void End(std::optional<std::string_view> reason);
  [[nodiscard]] TurnEnd Outcome(std::optional<std::string_view> reason) const;

  AgentHost& host_;
  const bool closes_turns_;
  OpencodeMessages messages_;
  std::string session_;
  std::string title_;
  int64_t title_ms_ = 0;
  std::string todos_ = "[]";
  std::string held_todos_;
  std::map<std::string, Child, std::less<>> children_;  // all sessions below ours
  // Permissions and questions that wait for an answer.
  struct Request {
    std::string json;      // the request itself, unchanged
    bool offered = false;  // to the host; until then we wait for its call

    static void Members(auto& self, auto& state) {
      state.Json("json", self.json);
      state("offered", self.offered);
    }
  };
  std::map<std::string, Request, std::less<>> pending_;
  // The requests that we answered, or that ended with their turn, although the server may still list them.
  // The server lists a request that an abort ended for good.
  std::set<std::string, std::less<>> closed_;

  Turn turn_ = Turn::kNone;
  bool opened_ = false;         // by session.turn.open
  bool awaiting_turn_ = false;  // a prompt was sent, its turn has not begun
  bool interrupted_ = false;
  bool finished_ = false;       // the last answer ended normally
  std::optional<Error> error_;  // of the present turn
  bool catching_up_ = false;    // between StreamBroke and Reconcile
  bool edge_seen_ = false;      // the stream reported the beginning or end of a turn since it broke
  bool idle_assumed_ = false;   // kIdle by a snapshot, not by the stream
};

}  // namespace reeve
