// Room top/: `reeve top`: its model of the town, its views and its keys.
//
// TopApp: `reeve top` on a terminal: the screen, its keys, and the questions before an action. Owned by the
// command, on its loop.
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

  // Runs until the person quits. Returns the exit code. Error: the terminal or the daemon cannot be used.
  Result<int> Run();

 private:
  static constexpr int kSignalled = 128;  // plus the signal, as in a shell

  // A line that is being typed. `agent` is the selected one when it was begun.
  struct Typing {
    enum class Purpose { kFilter, kMessage, kReason, kAnswer };
    Purpose purpose;
    std::string agent;
    std::string prompt;
    LineEditor editor = {};
  };
  // A request that is being answered.
  struct Asking {
    std::string agent, ask;
    uint64_t serial = 0;  // the answer is for this request, not for a later one with the same id
    bool deny = false;
    size_t skip = 0;     // lines above the visible part
    bool shown = false;  // no key answers a request that has not been on the screen
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

  [[nodiscard]] std::string Target();  // id of the agent that keys apply to; "": none
  void Ask(const std::string& agent, bool deny);
  const TopAsk* Asked();  // the request that is being answered; null: none, or it is no longer pending
  void NextField();
  void Decide(const char* decision, const std::string& reason);
  void Answer(const char* action, const std::string& content);
  void Order(const std::string& agent, const std::string& command);
  void Send(const std::string& agent, const std::string& order, const std::string& path, std::string body,
            const std::string& done);

  void Quit();
  void Suspend();
  void End(Result<int> code);
  void Say(std::string_view text, Colour colour);
  void Changed();  // draws soon
  void Draw();
  [[nodiscard]] std::vector<StyledLine> DrawRequest(size_t columns, size_t rows);
  [[nodiscard]] std::vector<StyledLine> DrawLog(size_t columns, size_t rows);
  [[nodiscard]] StyledLine Hints(size_t columns);
  [[nodiscard]] StyledLine ConfirmingHints() const;
  [[nodiscard]] StyledLine AskingHints();

  Loop& loop_;
  const Client client_;
  const bool colours_;
  SystemClock clock_;
  HttpClient http_;
  std::unique_ptr<FullScreen> screen_;  // from Run on; restores the terminal in the end
  InputReader input_;
  TopModel model_;
  TopTown town_;
  TopView view_;
  TopFeed feed_;
  Timer draw_;
  Timer tick_;  // run times change without events
  int64_t drawn_ms_ = 0;
  KeyReader keys_;
  Timer lapse_;  // decides that an Escape is a key

  bool help_ = false;
  std::unique_ptr<TopLog> log_;
  std::optional<Typing> typing_;
  std::optional<Asking> asking_;
  std::optional<Confirming> confirming_;
  std::optional<TopAnswer> answer_;
  bool quitting_ = false;  // quits when all orders have been answered
  std::string notice_;
  Colour notice_colour_ = Colour::kNone;
  int64_t noticed_ms_ = 0;
  Result<int> code_ = 0;
};

}  // namespace reeve
