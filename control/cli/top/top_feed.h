// TopFeed: keeps a TopModel and a TopTown up to date, and sends orders to the daemon. Events arrive on the
// town's stream; measurements (CPU, memory, uptime) are polled. It reconnects when the daemon comes back.
// Owned by a command, on its loop.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "control/cli/client/client.h"
#include "control/cli/client/event_stream.h"
#include "control/cli/client/pending_calls.h"
#include "control/cli/top/top_model.h"
#include "control/cli/top/top_view.h"
#include "process/http_client.h"
#include "process/timer.h"

namespace reeve {

class TopFeed {
 public:
  struct Handlers {
    std::function<void()> on_change;                     // of the model or the town
    std::function<void(const Error& error)> on_end;      // the daemon refuses, or was never reached
    std::function<void(const Error& error)> on_failure;  // a poll failed
  };

  TopFeed(Loop& loop, HttpClient& http, const Client& client, TopModel& model, TopTown& town,
          Handlers handlers);

  void Start();
  // Fills the model once, without the stream. Takes two samples, to measure CPU time, and the last line of
  // each agent.
  void Look(std::function<void(const Status& looked)> done);
  // Fetches the last lines of these agents, where they are not known. Sends nothing before it returns.
  void LookBack(const std::vector<std::string>& agents);
  // POST `path`.
  void Order(const std::string& path, std::string body, PendingCalls::Done done);
  [[nodiscard]] bool has_orders() const { return orders_ != 0; }  // orders without an answer
  // Polls soon, because something was done.
  void Refresh();

 private:
  void Ask(const std::string& path, PendingCalls::Done done);
  void SampleTown();
  void SamplePage(const std::string& page_token);
  void Sampled(const Status& sampled);
  void AskApprovals();
  void AskPast();
  void Connected(bool up);
  void StreamEnded(const Result<std::string>& reason);

  Loop& loop_;
  const Client client_;
  TopModel& model_;
  TopTown& town_;
  const Handlers handlers_;
  EventStream stream_;
  Timer sample_;
  Timer reopen_;
  Timer ask_past_;
  bool sampling_ = false;
  bool asking_approvals_ = false;
  size_t orders_ = 0;
  std::deque<std::string> past_;  // agents whose past events to fetch
  size_t asking_past_ = 0;
  std::function<void(const Status& looked)> look_;  // set during Look
  int looks_ = 0;
  PendingCalls calls_;
};

}  // namespace reeve
