// TopFeed: keeps a TopModel and a TopTown as the daemon has them, and takes orders to it. What happens comes
// by the town's stream, at once; what has to be measured (CPU, memory, uptime) is asked for now and then.
// When the daemon goes away it waits for the next one. Owned by a command, on its loop.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "control/cli/client/client.h"
#include "control/cli/client/event_stream.h"
#include "control/cli/top/top_model.h"
#include "control/cli/top/top_view.h"
#include "process/http_client.h"
#include "process/timer.h"

namespace reeve {

class TopFeed {
 public:
  struct Handlers {
    std::function<void()> on_change;                     // of the model, or the town
    std::function<void(const Error& error)> on_end;      // the daemon does not want us, or never was there
    std::function<void(const Error& error)> on_failure;  // something could not be asked
  };

  TopFeed(Loop& loop, HttpClient& http, const Client& client, TopModel& model, TopTown& town,
          Handlers handlers);

  void Start();
  // Once, without the stream: everything there is, twice, so that there is something to say about CPU time,
  // and the last words of all. Calls `done` with what went wrong.
  void Look(std::function<void(const Status& how)> done);
  // Finds out what these said last, of those where that is not known. Later: asks nothing now.
  void LookBack(const std::vector<std::string>& agents);
  // POST `path`; `done` gets what was answered, or why not.
  void Order(const std::string& path, std::string body,
             std::function<void(const Result<JsonDocument>&)> done);
  [[nodiscard]] bool has_orders() const { return orders_ != 0; }  // that are not answered yet
  // Takes the present state soon: something was done.
  void Refresh();

 private:
  using Take = std::function<void(const Result<JsonDocument>& answer)>;
  void Ask(HttpRequest request, Take take);
  void SampleTown();
  void SamplePage(const std::string& page_token);
  void Sampled(const Status& how);
  void AskApprovals();
  void AskPast();
  void Connected(bool up);
  void StreamEnded(const Result<std::string>& reason);

  Loop& loop_;
  HttpClient& http_;
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
  std::deque<std::string> past_;  // to be asked for
  size_t asking_past_ = 0;
  std::function<void(const Status& how)> look_;
  int looks_ = 0;
  uint64_t next_call_ = 0;
  std::map<uint64_t, std::unique_ptr<HttpCall>> calls_;
};

}  // namespace reeve
