// AttachPrompt: the terminal of `reeve agents attach`. Output scrolls by above the line that is being typed,
// and a key answers the agent's request. Owned by the command, on its loop; it owns the terminal while it
// lives.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <string>
#include <string_view>

#include "control/cli/show/agent_state.h"
#include "control/cli/terminal/keys.h"
#include "control/cli/terminal/line_editor.h"
#include "control/cli/terminal/prompt_screen.h"
#include "control/cli/terminal/terminal_mode.h"
#include "orchestrator/json/json.h"
#include "process/timer.h"

namespace reeve {

class AttachPrompt {
 public:
  struct Actions {
    std::function<void(std::string text)> send;
    std::function<void()> interrupt;
    // "allow_once", "allow_always", "allow_tool", "allow_session", "deny".
    std::function<void(const std::string& approval, const char* decision)> decide;
    std::function<void(std::string_view text)> note;  // prints a line above the prompt
    std::function<void(bool interrupted)> leave;
    std::function<void()> quit;  // leaves at once
  };

  AttachPrompt(Loop& loop, std::string agent, size_t columns, bool colours, Actions actions);

  // GET /agents/{id}/snapshot; then the events after it.
  void Begin(const JsonValue& snapshot);
  void Take(const JsonValue& event);
  // Prints above the prompt.
  void Print(std::string_view text) { screen_.Print(text); }

  void Type(std::string_view bytes);
  // Puts a text that could not be sent back into the line.
  void Restore(const std::string& text);
  // Lets a key answer again, after a decision that failed.
  void AskAgain();
  void Resize(size_t columns);
  void Suspend();  // Ctrl-Z, SIGTSTP
  // Takes the terminal back after another process has used it.
  void Retake();
  // Removes the prompt and restores the terminal.
  void End();

 private:
  struct Approval {
    std::string id;
    std::string gist;  // "bash ls"
  };
  void Press(const Key& key, bool alone);
  void Add(const JsonValue& pending);
  void Remove(std::string_view id);
  // A key would answer the approval that is shown.
  [[nodiscard]] bool asks() const { return ready_ && !approvals_.empty() && !answered_ && editor_.empty(); }
  void Hold();  // no key answers for a while
  void Draw();

  const std::string agent_;
  size_t columns_;
  const Actions actions_;
  TerminalMode mode_{TerminalMode::Screen::kMain};
  PromptScreen screen_;
  KeyReader keys_;
  LineEditor editor_;
  AgentState state_;
  std::deque<Approval> approvals_;  // the first is shown
  bool answered_ = false;           // the first is answered, and its event has not arrived
  bool ready_ = false;              // the first has been visible long enough
  bool interrupted_ = false;        // by the last key
  Timer hold_;
};

}  // namespace reeve
