// ClaudeEvents: translates what Claude Code prints about its session into reeve's vocabulary, for an
// AgentHost. It handles turns, sub-agents and the program's own notices; ClaudeMessages handles what is said
// and done in them. It does no I/O and reads no clock: claude.cc feeds it. Owned by that adapter; the host
// outlives it and may call back from within a call.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "orchestrator/adapters/agent_host.h"
#include "orchestrator/adapters/claude/claude_messages.h"
#include "orchestrator/json/json.h"

namespace reeve {

class ClaudeEvents {
 public:
  // `session`: the session to resume, or empty.
  ClaudeEvents(AgentHost& host, std::string session);

  // Takes one line, unchanged; every line except those of the control protocol.
  void Take(const JsonValue& line);

  // PromptSent: the prompt with this uuid will begin a turn. PromptEnded: it ended without one.
  void PromptSent(std::string uuid);
  void PromptEnded(const TurnEnd& end);
  // The program waits for a person's answer, perhaps outside of any turn.
  void Asked() { Open(); }
  // Begins the call that the question is about. Returns its input as it was reported.
  std::string BeginCall(const std::string& call_id, const ClaudeMessages::Call& call);
  void ChangeInput(const std::string& call_id, const std::string& input) {
    messages_.ChangeInput(call_id, input);
  }
  // The process is gone: ends everything it had begun. The host ends its turn.
  void Exited();
  // The program has accepted an interrupt: ends a turn that was opened without a prompt.
  void InterruptTaken();

  [[nodiscard]] bool in_turn() const { return open_; }
  // The model of the last turn for which nobody had chosen one; empty: unknown.
  [[nodiscard]] const std::string& own_model() const { return own_model_; }
  // The number of turns that have ended.
  [[nodiscard]] uint64_t ended() const { return ended_; }
  // Whether anything works in the background. The program stays alive for it.
  [[nodiscard]] bool has_background() const;

  static void Members(auto& self, auto& state) {
    state("messages", self.messages_);
    state("session", self.session_);
    state("sub_agents", self.sub_agents_);
    state("shells", self.shells_);
    state("open", self.open_);
    state("working", self.working_);
    state("held", self.held_);
    state("prompt", self.prompt_);
    state("queued", self.queued_);
    state("ended", self.ended_);
    state("own_model", self.own_model_);
  }

 private:
  void EndContent(std::string_view error);
  struct SubAgent {
    std::string title;
    bool background = false;

    static void Members(auto& self, auto& state) {
      state("title", self.title);
      state("background", self.background);
    }
  };

  bool TakeKnown(std::string_view type, const JsonValue& line);
  bool TakeSystem(const JsonValue& line);
  bool TakeTask(std::string_view subtype, const JsonValue& line);
  void TakeInit(const JsonValue& line);
  void TakeRetry(const JsonValue& line);
  void TakeRateLimit(const JsonValue& info);
  void TakeResult(const JsonValue& result);
  void TakeLifecycle(const JsonValue& line);
  void EndSubAgent(const std::string& session);
  [[nodiscard]] bool has_background_agents() const;
  void Open();
  void End(const TurnEnd& end);
  void EndIdle(const TurnEnd& end);

  AgentHost& host_;
  ClaudeMessages messages_;
  std::string session_;
  std::map<std::string, SubAgent, std::less<>> sub_agents_;  // that are working
  std::set<std::string> shells_;                             // in the background
  bool open_ = false;                                        // a turn, as the host sees it
  bool working_ = false;         // a turn, as the program sees it: from its beginning to its result
  std::optional<TurnEnd> held_;  // how our turn ended, while sub-agents continue
  std::string prompt_;           // our uuid of a prompt that no turn has taken up yet
  bool queued_ = false;          // the program said that this prompt waits
  uint64_t ended_ = 0;
  std::string own_model_;
};

// How a turn ended, according to its result: by is_error and terminal_reason, because the subtype says
// "success" even for a failed request.
TurnEnd ClaudeTurnEnd(const JsonValue& result);

}  // namespace reeve
