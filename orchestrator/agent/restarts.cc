#include "orchestrator/agent/restarts.h"

#include <algorithm>
#include <cstdlib>

namespace reeve {

namespace {

constexpr int64_t kBackoffMinMs = 1'000;
constexpr int64_t kBackoffMaxMs = 60'000;
constexpr int64_t kHealthyMs = 60'000;  // after a process that lived this long the backoff starts again

}  // namespace

Restarts::Decision Restarts::Next(const RestartPolicy& policy, int64_t now_ms, int64_t lived_ms, bool failed,
                                  bool messages_wait) {
  using When = RestartPolicy::When;
  const bool by_policy = policy.when == When::kAlways || (policy.when == When::kOnFailure && failed);
  if (!by_policy && !messages_wait) return {};
  while (!times_.empty() && times_.front() <= now_ms - policy.window_ms) times_.pop_front();
  if (times_.size() >= static_cast<size_t>(policy.max_restarts)) return {Decision::What::kGiveUp, 0};
  if (lived_ms >= kHealthyMs) step_ = 0;
  // Jitter: agents that ended together must not start together.
  const int64_t base = kBackoffMinMs << std::min(step_++, 6);
  const int64_t delay_ms = std::min(kBackoffMaxMs, base + std::rand() % (base / 2));
  times_.push_back(now_ms);
  ++total_;
  return {Decision::What::kAfter, delay_ms};
}

void Restarts::Forgive() {
  times_.clear();
  step_ = 0;
}

}  // namespace reeve
