// TopLog: a pane with the live log of one agent, as EventPrinter prints it. It stays at the end until the
// person scrolls back. Owned by a command, on its loop.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "control/cli/client/client.h"
#include "control/cli/client/event_stream.h"
#include "control/cli/client/pending_calls.h"
#include "control/cli/show/event_printer.h"
#include "control/cli/show/styled.h"
#include "process/http_client.h"

namespace reeve {

class TopLog {
 public:
  TopLog(Loop& loop, HttpClient& http, const Client& client, std::string agent, size_t columns,
         std::function<void()> on_change);

  [[nodiscard]] const std::string& agent() const { return agent_; }
  // The visible part: at most `rows` lines.
  std::vector<StyledLine> Draw(size_t columns, size_t rows);
  // Positive: back in time. Clamped by the next Draw.
  void Scroll(int64_t rows_up);
  [[nodiscard]] size_t back() const { return back_; }  // lines below the visible part
  // "", or why no events arrive.
  [[nodiscard]] const std::string& state() const { return state_; }

 private:
  void Take(std::string_view painted);
  void EndLine();
  void Follow(const std::string& cursor);

  Loop& loop_;
  HttpClient& http_;
  const Client client_;
  const std::string agent_;
  const std::function<void()> on_change_;
  EventPrinter printer_;
  PendingCalls calls_;
  std::unique_ptr<EventStream> stream_;
  std::string state_ = "reading…";
  std::deque<StyledLine> lines_;   // the last is unfinished
  Colour colour_ = Colour::kNone;  // at the end of lines_
  size_t columns_;
  size_t back_ = 0;
};

}  // namespace reeve
