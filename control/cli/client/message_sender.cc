#include "control/cli/client/message_sender.h"

#include <utility>

#include "control/cli/client/agent_names.h"
#include "control/cli/client/event_stream.h"
#include "process/loop.h"
#include "process/random.h"

namespace reeve {

namespace {

constexpr int64_t kRetryMs = 500;

// It will be another time: the daemon restarts, or works on this very request, or the queue is full now.
bool IsTemporary(const std::string& code) {
  return code == "unreachable" || code == "timeout" || code == "draining" || code == "busy" ||
         code == "request_under_way" || code == "queue_full";
}

}  // namespace

MessageSender::MessageSender(Loop& loop, HttpClient& http, const Client& client, std::string agent, Sent sent)
    : loop_(loop),
      http_(http),
      client_(client),
      agent_(std::move(agent)),
      sent_(std::move(sent)),
      retry_(loop, [this] { Ask(); }) {}

void MessageSender::Send(std::string text) {
  waiting_.push_back({std::move(text), RandomHex(16)});
  if (waiting_.size() == 1) Ask();
}

void MessageSender::Ask() {
  HttpRequest request = client_.Request("POST", AgentPath(agent_) + "/message",
                                        JsonObject().Set("text", waiting_.front().text).Take());
  request.headers.emplace_back("Idempotency-Key", waiting_.front().key);
  call_ = http_.Send(std::move(request), [this](const Result<HttpResponse>& answer) { Take(answer); });
}

void MessageSender::Take(const Result<HttpResponse>& answer) {
  Result<JsonDocument> accepted = answer ? JsonDocument::Parse(answer->body) : answer.error();
  if (answer && answer->status / 100 != 2) accepted = Client::ErrorOf(*answer);
  if (!accepted && IsTemporary(accepted.error().code)) {
    if (accepted.error().code == "queue_full") {
      down_since_ms_ = 0;  // it takes as long as it takes
    } else if (down_since_ms_ == 0) {
      down_since_ms_ = loop_.NowMs();
    }
    if (down_since_ms_ == 0 || loop_.NowMs() - down_since_ms_ < EventStream::kGiveUpMs)
      return retry_.Start(kRetryMs);
  }
  down_since_ms_ = 0;
  const std::string text = std::move(waiting_.front().text);
  waiting_.pop_front();
  sent_(text, accepted);
  if (!waiting_.empty()) Ask();
}

}  // namespace reeve
