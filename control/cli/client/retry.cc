#include "control/cli/client/retry.h"

#include <utility>

#include "process/loop.h"

namespace reeve {

namespace {

constexpr int64_t kPauseMs = 500;
constexpr int64_t kNoticeMs = 2'000;  // an upgrade and a restart are shorter
constexpr int64_t kGiveUpMs = 60'000;

}  // namespace

Retry::Retry(Loop& loop, std::function<void()> again, Tell tell)
    : loop_(loop), timer_(loop, std::move(again)), tell_(std::move(tell)), notice_(loop, [this] {
        told_ = true;
        if (tell_) tell_(true);
      }) {}

void Retry::Answered() {
  away_since_ms_ = 0;
  notice_.Stop();
  if (std::exchange(told_, false) && tell_) tell_(false);
}

void Retry::Stop() {
  timer_.Stop();
  notice_.Stop();
}

bool Retry::After(const Error& error) {
  const bool there =
      error.code == "draining" || error.code == "queue_full" || error.code == "request_under_way";
  if (there) {
    Answered();
  } else if (away_since_ms_ == 0) {
    away_since_ms_ = loop_.NowMs();
    notice_.Start(kNoticeMs);
  } else if (loop_.NowMs() - away_since_ms_ > kGiveUpMs) {
    return false;
  }
  timer_.Start(kPauseMs);
  return true;
}

}  // namespace reeve
