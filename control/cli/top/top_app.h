// TopApp: `reeve top` on a terminal: the screen, what its keys do, and what they are asked about first. Owned
// by the command, on its loop.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "control/cli/terminal/full_screen.h"
#include "control/cli/terminal/input_reader.h"
#include "control/cli/terminal/keys.h"
#include "control/cli/terminal/line_editor.h"
#include "control/cli/top/top_answer.h"
#include "control/cli/top/top_feed.h"
#include "control/cli/top/top_log.h"
#include "control/cli/top/top_model.h"
#include "control/cli/top/top_view.h"
#include "process/clock.h"
#include "process/http_client.h"
#include "process/loop.h"
#include "process/timer.h"

namespace reeve {

class TopApp {
 public:
  TopApp(Loop& loop, const Client& client, bool colours);

  // Until somebody quits: the exit code. Error: why there is nothing to see, or no more.
  Result<int> Run();

 private:
  static constexpr int kSignalled = 128;  // as shells have it: and the signal

  // What is typed, and for what. `agent` and `ask` are those it was begun for, whatever is selected
  // meanwhile.
  struct Typing {
    enum class What { kFilter, kMessage, kReason, kAnswer };
    What what;
    std::string agent, ask;
    std::string prompt;
    LineEditor editor = {};
  };
  struct Asking {
    std::string agent, ask;
    uint64_t serial = 0;  // of what is asked: an answer is to that, not to what has the same id later
    bool deny = false;
    size_t skip = 0;     // lines that have been read
    bool shown = false;  // before that no key answers: it was not meant for this
  };
  struct Confirming {
    std::string agent, command;
  };

  void TakeInput(const std::string& bytes);
  void Take(const std::vector<Key>& keys);
  void Press(const Key& key);
  void PressInList(const Key& key);
  void PressInLog(const Key& key);
  void PressForAgent(const Key& key);
  void PressWhileAsking(const Key& key);
  void PressWhileTyping(const Key& key);
  void Typed(const Typing& typing, const std::string& text);

  // A run that keys would cut short; a process that they would start.
  static bool IsBusy(const TopAgent& agent);
  static bool IsOver(const TopAgent& agent);
  [[nodiscard]] std::string Target();  // the agent that keys are about; "": none
  void Ask(const std::string& agent, bool deny);
  const TopAsk* Asked();  // what is being answered; null: nothing, or nobody asks it any more
  void NextField();
  void Decide(const char* decision, const std::string& reason);
  void Answer(const char* action, const std::string& content);
  void Order(const std::string& agent, const std::string& command);
  void Send(const std::string& agent, const std::string& what, const std::string& path, std::string body,
            const std::string& done);

  void Quit();
  void Suspend();
  void Say(std::string_view text, Colour colour);
  void Changed();  // draws, soon
  void Draw();
  [[nodiscard]] StyledLine Hints(size_t columns);
  void End(Result<int> how);

  Loop& loop_;
  const Client client_;
  const bool colours_;
  SystemClock clock_;
  HttpClient http_;
  std::unique_ptr<FullScreen> screen_;  // while Run runs
  InputReader input_;
  TopModel model_;
  TopTown town_;
  TopView view_;
  TopFeed feed_;
  Timer draw_;
  Timer tick_;  // run times go on without events
  int64_t drawn_ms_ = 0;
  KeyReader keys_;
  Timer lapse_;  // of keys that may be parts of one

  bool help_ = false;
  std::unique_ptr<TopLog> log_;
  std::optional<Typing> typing_;
  std::optional<Asking> asking_;
  std::optional<Confirming> confirming_;
  std::optional<TopAnswer> answer_;
  bool quitting_ = false;  // when what was ordered has been answered
  std::string notice_;
  Colour notice_colour_ = Colour::kNone;
  int64_t noticed_ms_ = 0;
  Result<int> how_ = 0;
};

}  // namespace reeve
