// AttachPrompt: the terminal of `reeve agents attach`: what an agent says scrolls by above the line that is
// being typed, and what it asks is answered with a key. Owned by the command, on its loop; the terminal is
// its own while it lives.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <string>
#include <string_view>

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
    // "allow_once", "allow_always", "deny".
    std::function<void(const std::string& approval, const char* decision)> decide;
    std::function<void(std::string_view text)> note;  // a line of our own, above
    std::function<void(bool interrupted)> leave;
    std::function<void()> quit;  // whatever is under way
  };

  AttachPrompt(Loop& loop, std::string agent, size_t columns, bool colours, Actions actions);

  // How things stand: GET /agents/{id}/snapshot. Then what happens.
  void Begin(const JsonValue& snapshot);
  void Take(const JsonValue& event);
  // Above the prompt.
  void Print(std::string_view text) { screen_.Print(text); }

  void Type(std::string_view bytes);
  // It could not be sent: there it is again.
  void GiveBack(const std::string& text);
  // The decision could not be made: it may be again.
  void AskAgain();
  void Resize(size_t columns);
  void Suspend();  // Ctrl-Z, SIGTSTP
  // Draws the prompt anew after another process has used the terminal.
  void Retake();
  // Takes the prompt away, and leaves the terminal as it was.
  void End();

 private:
  struct Approval {
    std::string id;
    std::string what;  // "bash ls"
  };
  void Take(const Key& key, bool alone);
  void Add(const JsonValue& pending);
  void Forget(std::string_view id);
  // Whether a key would answer the approval that is shown.
  [[nodiscard]] bool asks() const { return ready_ && !approvals_.empty() && !answered_ && editor_.empty(); }
  void Hold();  // no key answers for a while
  void Draw();

  const std::string agent_;
  size_t columns_;
  const bool colours_;
  const Actions actions_;
  TerminalMode mode_{TerminalMode::Screen::kMain};
  PromptScreen screen_;
  KeyReader keys_;
  LineEditor editor_;
  std::string state_;
  std::deque<Approval> approvals_;  // the first is shown
  bool answered_ = false;           // the first; what comes of it is not known yet
  bool ready_ = false;              // it has been seen, and nobody was typing
  bool interrupted_ = false;        // by the last key
  Timer seen_;
};

}  // namespace reeve
