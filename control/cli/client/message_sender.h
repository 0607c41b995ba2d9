// MessageSender: sends messages to an agent in order, each after the previous one was accepted. An
// idempotency key makes each act once, however often it must be repeated while the daemon is away. Owned by a
// command; the loop and the HTTP client must outlive it.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>

#include "control/cli/client/client.h"
#include "control/cli/client/retry.h"

namespace reeve {

class MessageSender {
 public:
  // The answer to one message, {message_id, disposition}, or why it was not accepted.
  using Sent = std::function<void(const std::string& text, const Result<JsonDocument>& answer)>;

  MessageSender(Loop& loop, HttpClient& http, const Client& client, std::string agent, Sent sent);

  void Send(std::string text);
  [[nodiscard]] bool idle() const { return waiting_.empty(); }

 private:
  struct Message {
    std::string text;
    std::string key;  // for Idempotency-Key
  };
  void Post();
  void Take(const Result<HttpResponse>& answer);

  HttpClient& http_;
  const Client client_;
  const std::string agent_;
  const Sent sent_;
  std::deque<Message> waiting_;  // the first one is being sent
  Retry retry_;
  std::unique_ptr<HttpCall> call_;
};

}  // namespace reeve
