#include "control/cli/client/agent_wait.h"

#include <algorithm>
#include <utility>

#include "control/cli/client/agent_names.h"
#include "process/loop.h"

namespace reeve {

namespace {

constexpr int64_t kLongestMs = 50'000;  // the daemon's limit for one request
constexpr int64_t kAnswerMs = 5'000;    // allowance for the answer itself
constexpr int64_t kRetryMs = 500;       // a shorter rest of the time limit is not worth another attempt

}  // namespace

AgentWait::AgentWait(Loop& loop, HttpClient& http, const Client& client, Condition condition, Done done,
                     Retry::Tell tell)
    : loop_(loop),
      http_(http),
      client_(client),
      condition_(std::move(condition)),
      done_(std::move(done)),
      retry_(
          loop, [this] { Next(); }, std::move(tell)) {}

void AgentWait::Begin() {
  deadline_ms_ = loop_.NowMs() + condition_.timeout_ms;
  Next();
}

// The time left until the deadline, at most `most`.
int64_t AgentWait::LeftMs(int64_t most) const {
  if (condition_.timeout_ms < 0) return most;
  return std::clamp<int64_t>(deadline_ms_ - loop_.NowMs(), 0, most);
}

void AgentWait::Next() {
  const bool of_a_run = condition_.until == "terminal" && condition_.message.empty();
  if (of_a_run && run_.empty()) {
    LookUp();
  } else {
    Ask();
  }
}

void AgentWait::LookUp() { Send(AgentPath(condition_.agent), kAnswerMs, &AgentWait::TakeAgent); }

void AgentWait::TakeAgent(const HttpResponse& answer) {
  auto agent = Client::JsonOf(answer);
  if (!agent) return End(agent.error());
  run_ = (*agent)["run"]["run_id"].StringOr((*agent)["last_run"]["run_id"].StringOr(""));
  Ask();
}

void AgentWait::Ask() {
  const int64_t wait_ms = LeftMs(kLongestMs);
  std::string path = AgentPath(condition_.agent) + "/wait?until=" + condition_.until;
  if (!condition_.message.empty()) path += "&message_id=" + PercentEncode(condition_.message);
  if (!run_.empty()) path += "&run_id=" + PercentEncode(run_);
  path += "&timeout_ms=" + std::to_string(wait_ms);
  Send(path, wait_ms + kAnswerMs, &AgentWait::TakeAnswer);
}

void AgentWait::TakeAnswer(const HttpResponse& answer) {
  if (answer.status == 204 && condition_.timeout_ms >= 0 && LeftMs(1) == 0)
    return End(Error{"timed_out", "the time limit passed"});
  if (answer.status == 204) return Next();
  End(Client::JsonOf(answer));
}

void AgentWait::Send(const std::string& path, int64_t timeout_ms,
                     void (AgentWait::*take)(const HttpResponse& answer)) {
  HttpRequest request = client_.Request("GET", path);
  request.timeout_ms = timeout_ms;
  call_ = http_.Send(std::move(request), [this, take](const Result<HttpResponse>& answer) {
    if (!answer) return Lost(answer.error());
    if (answer->status >= 500 || answer->status == 429) return Lost(Client::ErrorOf(*answer));
    if (answer->status / 100 != 2) return End(Client::ErrorOf(*answer));
    retry_.Answered();
    (this->*take)(*answer);
  });
}

void AgentWait::Lost(const Error& error) {
  if (condition_.timeout_ms >= 0 && LeftMs(kRetryMs) < kRetryMs)
    return End(Error{"timed_out", "the daemon does not answer: " + error.message});
  if (!retry_.After(error)) End(error);
}

void AgentWait::End(Result<JsonDocument> answer) {
  const Done done = done_;  // the call may destroy this
  done(std::move(answer));
}

}  // namespace reeve
