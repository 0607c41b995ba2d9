// ClaudeEvents: what Claude Code prints about its session, told to an AgentHost in reeve's vocabulary. It
// sees to turns, sub-agents and the program's own notices; ClaudeMessages to what is said and done in them.
// No I/O and no time in here: claude.cc feeds it. Owned by that adapter; the host outlives it and may call
// back from within a call.
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
  // `session`: the one that is resumed, or empty.
  ClaudeEvents(AgentHost& host, std::string session);

  // One line, as it came, but those of the control protocol.
  void Take(const JsonValue& line);

  // A prompt by this uuid begins a turn, or is over without one.
  void PromptSent(std::string uuid);
  void PromptEnded(const TurnEnd& end);
  // Something waits for a person, which may be outside of any turn.
  void Asked() { Open(); }
  // The call that it is about. Its input, as it was told.
  std::string BeginCall(const std::string& call_id, const ClaudeMessages::Call& call);
  void ChangeInput(const std::string& call_id, const std::string& input) {
    messages_.ChangeInput(call_id, input);
  }
  // The process has gone: what it had begun is closed. Its turn is the host's to end.
  void Exited();
  // An interrupt has been taken: what a turn was opened for without a prompt is over.
  void InterruptTaken();

  [[nodiscard]] bool in_turn() const { return open_; }
  // How many turns have ended.
  [[nodiscard]] uint64_t ended() const { return ended_; }
  // Whether anything works in the background: the program stays for it.
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
  std::map<std::string, SubAgent, std::less<>> sub_agents_;  // at work
  std::set<std::string> shells_;                             // in the background
  bool open_ = false;                                        // a turn, for the host
  bool working_ = false;         // a turn, for the program: from its beginning to its result
  std::optional<TurnEnd> held_;  // how its turn ended, while sub-agents work on
  std::string prompt_;           // uuid of ours that no turn has taken up yet
  bool queued_ = false;          // the program said that it waits
  uint64_t ended_ = 0;
};

// How a result says that its turn ended. By is_error and terminal_reason: the subtype says "success" of a
// failed request.
TurnEnd ClaudeTurnEnd(const JsonValue& result);

}  // namespace reeve
