// EventPrinter: events as a person reads them on a terminal: deltas joined into messages, a tool call folded
// to a line or two, what waits for an answer standing out; or with json each envelope as it is, a line each.
// What an agent says cannot command the terminal. Owned by a command; knows neither server nor loop.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "control/cli/show/text.h"
#include "orchestrator/json/json.h"

namespace reeve {

class EventPrinter {
 public:
  struct Options {
    bool json = false;  // and nothing else of this holds
    bool colours = false;
    bool names = false;     // of several agents: each line begins with the id of its own
    size_t name_width = 0;  // columns for that, where it is known beforehand
    bool times = false;     // each line begins with its time; else the lines of agents and runs end with it
    bool live = false;      // what is being said is shown as it comes; not with `names`
    size_t columns = 0;     // folded lines are cut there; 0: at 200
  };
  // Gets whole lines, but for what is being said with `live`.
  using Write = std::function<void(std::string_view text)>;

  EventPrinter(Options options, Write write);

  void Print(const JsonValue& event);  // the envelope
  // As stream.gap and the pages of events tell it.
  void Gap(const std::string& agent, const JsonValue& gap);
  // A line of the command's own.
  void Note(std::string_view text);
  // There is nothing more for now: shows what was held back in the hope that the next event makes it
  // needless.
  void Pause();
  // Ends an unfinished line: somebody else writes.
  void Break();
  // There is nothing more at all: ends what is half said.
  void End();
  // What was said of a message before the first event that is printed: GET …/snapshot's partial_text.
  void Begin(const std::string& agent, std::string_view partial_text);
  void Resize(size_t columns) { options_.columns = columns; }

 private:
  // One that is being said. `shown` bytes of it stand on the terminal.
  struct Message {
    std::string text;
    size_t shown = 0;    // of the text
    size_t dropped = 0;  // before the text: was shown, and is not kept
  };
  struct Call {
    std::string name, gist;
    std::optional<int64_t> started_ms;
  };
  struct Held {
    std::string agent, id;
    std::string text;  // the event
  };
  // Where a line begins; what it says of itself.
  struct Origin {
    std::string agent;
    std::string time;
  };
  static Origin OriginOf(const JsonValue& event);

  void Take(const JsonValue& event);
  void TakeDelta(const JsonValue& event, bool reasoning);
  void TakeWhole(const JsonValue& event, bool reasoning);
  Message& Find(const JsonValue& event, const std::string& key);
  void Show(const Origin& origin, const std::string& key, bool reasoning, bool ends);
  void TakeToolStart(const JsonValue& event);
  void TakeToolEnd(const JsonValue& event, bool failed);
  void TakeRequest(const JsonValue& event);
  void TakeResolution(const JsonValue& event);
  void TakePlan(const JsonValue& event);
  void TakeUser(const JsonValue& event);
  void TakeProgress(const JsonValue& event);
  void RunEnded(const JsonValue& event);
  // Ends what `agent` (empty: anybody) was saying.
  void Close(const std::string& agent);

  // A line, or several: what follows the first begins with `indent`.
  void Line(const Origin& origin, Colour colour, std::string_view text, std::string_view indent = {});
  // At most `lines` of it, each cut.
  void Lines(const Origin& origin, std::string_view text, size_t lines, std::string_view indent);
  [[nodiscard]] std::string Prefix(const Origin& origin);
  // "… · 09:14:05", where lines do not begin with it anyway.
  [[nodiscard]] std::string Stamped(const std::string& words, const Origin& origin);
  [[nodiscard]] std::string Clock(const std::string& time);
  [[nodiscard]] size_t Width() const;

  Options options_;
  const Write write_;
  std::map<std::string, Message> messages_;  // by kind, agent and message
  std::string saying_;                       // the key of the one whose line is unfinished
  bool mid_line_ = false;
  std::map<std::string, Call> calls_;  // by agent and call
  std::deque<std::string> call_order_;
  std::string last_call_;                      // the key of the call whose line is the last one; or empty
  std::optional<Held> held_;                   // a request, which a rule may have answered at once
  std::map<std::string, std::string> phases_;  // of workspaces, by agent
  std::string day_;                            // of the last time that was shown
};

}  // namespace reeve
