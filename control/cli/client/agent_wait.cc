#include "control/cli/client/agent_wait.h"

#include <algorithm>
#include <utility>

#include "control/cli/client/agent_names.h"
#include "control/cli/line/exit_code.h"
#include "control/cli/show/event_words.h"
#include "control/cli/show/text.h"
#include "process/loop.h"

namespace reeve {

namespace {

constexpr int64_t kLongestMs = 50'000;  // the daemon's limit for one request
constexpr int64_t kAnswerMs = 5'000;    // allowance for the answer itself
constexpr int64_t kRetryMs = 500;       // a shorter rest of the time limit is not worth another attempt

}  // namespace

AgentWait::AgentWait(Loop& loop, HttpClient& http, const Client& client, Condition condition, Done done)
    : loop_(loop),
      http_(http),
      client_(client),
      condition_(std::move(condition)),
      done_(std::move(done)),
      retry_(loop, [this] { Next(); }) {}

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

Outcome OutcomeOfRun(const JsonValue& run) {
  const std::string_view status = run["status"].StringOr("");
  const auto lasted = run["duration_ms"].AsInt();
  const std::string after = lasted ? " after " + DurationWords(*lasted) : "";
  if (status == "cancelled") return {kCancelled, "cancelled", lasted ? after : " before it began"};
  if (status != "failed") return {kOk, "completed", after};
  const auto code = static_cast<int>(run["exit_code"].AsInt().value_or(0));
  const std::string why = Plain(run["error"]["message"].StringOr(""));
  return {code == 0 ? kFailed : code, "failed",
          (code == 0 ? "" : " with " + std::to_string(code)) + after + (why.empty() ? "" : ": " + why)};
}

Outcome OutcomeOfAgent(const JsonValue& agent, const std::string& until) {
  const std::string state(agent["state"].StringOr(""));
  const std::string reason = Plain(agent["reason"].StringOr(""));
  if (state == "failed") return {kFailed, state, reason.empty() ? "" : ": " + reason};
  if (until == "ready") {
    if (state == "exited") return {kFailed, state, ""};
    return {kOk, "ready", ""};
  }
  std::string rest;
  const int64_t waiting = agent["queue_depth"].AsInt().value_or(0);
  if (waiting != 0)
    rest = ", " + std::to_string(waiting) + (waiting == 1 ? " message waits" : " messages wait");
  if (!agent["last_run"]) return {kOk, state, rest};
  const Outcome last = OutcomeOfRun(agent["last_run"]);
  return {last.code, state, rest + ", its last run " + last.state + last.rest};
}

}  // namespace reeve
