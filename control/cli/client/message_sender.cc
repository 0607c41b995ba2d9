#include "control/cli/client/message_sender.h"

#include <utility>

#include "control/cli/client/agent_names.h"
#include "process/random.h"

namespace reeve {

namespace {

// The first copy of a repeated request may still be under way.
bool IsTemporary(const std::string& code) {
  return code == "unreachable" || code == "unknown_host" || code == "timeout" || code == "draining" ||
         code == "busy" || code == "request_under_way" || code == "queue_full";
}

}  // namespace

MessageSender::MessageSender(Loop& loop, HttpClient& http, const Client& client, std::string agent, Sent sent)
    : http_(http), client_(client), agent_(std::move(agent)), sent_(std::move(sent)), retry_(loop, [this] {
        Post();
      }) {}

void MessageSender::Send(std::string text) {
  waiting_.push_back({std::move(text), RandomHex(16)});
  if (waiting_.size() == 1) Post();
}

void MessageSender::Post() {
  HttpRequest request = client_.Request("POST", AgentPath(agent_) + "/message",
                                        JsonObject().Set("text", waiting_.front().text).Take());
  request.headers.emplace_back("Idempotency-Key", waiting_.front().key);
  call_ = http_.Send(std::move(request), [this](const Result<HttpResponse>& answer) { Take(answer); });
}

void MessageSender::Take(const Result<HttpResponse>& answer) {
  const Result<JsonDocument> accepted = Client::JsonOf(answer);
  if (!accepted && IsTemporary(accepted.error().code) && retry_.After(accepted.error())) return;
  retry_.Answered();
  const std::string text = std::move(waiting_.front().text);
  waiting_.pop_front();
  sent_(text, accepted);
  if (!waiting_.empty()) Post();
}

}  // namespace reeve
