// MessageSender: sends an agent messages in order, the next when the one before has been accepted. Each acts
// once, however often a daemon that is away or restarts has to be asked. Owned by a command, on its loop.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>

#include "control/cli/client/client.h"
#include "process/timer.h"

namespace reeve {

class MessageSender {
 public:
  // The answer to one: {message_id, disposition}; or why it is not sent.
  using Sent = std::function<void(const std::string& text, const Result<JsonDocument>& answer)>;

  MessageSender(Loop& loop, HttpClient& http, const Client& client, std::string agent, Sent sent);

  void Send(std::string text);
  [[nodiscard]] bool idle() const { return waiting_.empty(); }

 private:
  struct Message {
    std::string text;
    std::string key;  // of idempotency
  };
  void Ask();
  void Take(const Result<HttpResponse>& answer);

  Loop& loop_;
  HttpClient& http_;
  const Client client_;
  const std::string agent_;
  const Sent sent_;
  std::deque<Message> waiting_;  // the first is being asked for
  int64_t down_since_ms_ = 0;    // 0: the daemon is there
  Timer retry_;
  std::unique_ptr<HttpCall> call_;
};

}  // namespace reeve
