// Room show/: how events, states and times read for a person.
//
// EventPrinter: events as a person reads them on a terminal. It joins deltas into messages, folds a tool call
// to a line or two, and makes requests stand out; with `json` it prints each envelope as it is, one per line.
// Nothing an agent says can control the terminal. Owned by a command; knows neither server nor loop.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "control/cli/show/line_printer.h"
#include "orchestrator/json/json.h"

namespace reeve {

class EventPrinter {
 public:
  using Options = PrintOptions;
  using Write =
      LinePrinter::Write;  // gets whole lines, except for messages with `live` and for parts of lines

  EventPrinter(Options options, Write write);

  void Print(const JsonValue& event);  // the envelope
  // `gap`: as in the stream.gap event and in pages of events.
  void Gap(const std::string& agent, const JsonValue& gap);
  // A line of the command's own.
  void Note(std::string_view text);
  // Call when no more events are at hand: prints the parts of a line of output, and a request that was held
  // back because the next event might have been the policy's answer to it.
  void Pause();
  // Ends an unfinished line. Call before something else is written.
  void Break() { lines_.Break(); }
  // No more events will come: ends unfinished messages.
  void End();
  // The texts and tool calls that have begun, before the first event: the answer of GET …/snapshot.
  void Begin(const std::string& agent, const JsonValue& snapshot);
  void Resize(size_t columns) { lines_.Resize(columns); }

 private:
  using Origin = LinePrinter::Origin;
  // A message that is not complete.
  struct Message {
    std::string text;
    size_t shown = 0;       // bytes of `text` on the terminal
    size_t dropped = 0;     // bytes before `text`, shown and no longer kept
    uint64_t position = 0;  // of the printer, after the last part
  };
  struct Call {
    std::string agent, name, gist;
    std::optional<int64_t> started_ms{};
    int64_t waited_ms = 0;  // for a person, since its start
    uint64_t position = 0;  // of the printer, after the line of its start
  };
  struct Held {
    std::string agent, id;
    std::string text;  // the event
  };
  // A line of a program's output that has not ended.
  struct Output {
    Origin origin;
    std::string stream;
    std::string text;       // the bytes that are not shown yet
    uint64_t position = 0;  // of the printer, after the last part; 0: no part is shown
    bool returned = false;  // the shown part ended with '\r'
  };
  static Origin OriginOf(const JsonValue& event);

  void Take(const JsonValue& event);
  void TakeDelta(const JsonValue& event, bool reasoning);
  void TakeWhole(const JsonValue& event, bool reasoning);
  void TakeOutput(const JsonValue& event);
  void ShowOutput(bool ends);
  void TakeToolStart(const JsonValue& event);
  void TakeToolEnd(const JsonValue& event, bool failed);
  void TakeRequest(const JsonValue& event);
  void TakeResolution(const JsonValue& event);
  void TakeEdit(const JsonValue& event);
  // The time that a person took for the answer does not count as work.
  void NoteWaiting(const JsonValue& event);
  void TakePlan(const JsonValue& event);
  void TakeUser(const JsonValue& event);
  void TakeProgress(const JsonValue& event);
  void TakeRun(const JsonValue& event);
  // A line about the agent: "-- agent is ready · 09:14:05".
  void Report(const JsonValue& event, Colour colour, const char* mark = "-- ");

  void Show(const Origin& origin, const std::string& key, bool reasoning, bool ends);
  // Ends the unfinished messages of `agent`; empty: of all agents.
  void Close(const std::string& agent);

  const bool json_;
  const bool live_;
  const bool marks_stderr_;
  const Write write_;
  LinePrinter lines_;
  std::map<std::string, Message> messages_;  // by agent, kind and message id
  std::map<std::string, Call> calls_;        // by agent and call id
  std::deque<std::string> call_order_;
  std::map<std::string, int64_t> asked_ms_;   // requests without an answer, by agent and id
  std::map<std::string, int64_t> waited_ms_;  // for a person, in the present run, by agent
  std::optional<Held> held_;
  std::optional<Output> output_;
  std::map<std::string, std::string> phases_;  // of workspaces, by agent
};

}  // namespace reeve
