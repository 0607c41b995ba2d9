#include "orchestrator/agent/agent_clocks.h"

#include <algorithm>
#include <utility>

#include "process/loop.h"

namespace reeve {

AgentClocks::AgentClocks(Loop& loop, const Limits& limits, Handlers handlers)
    : loop_(loop), limits_(limits), handlers_(std::move(handlers)), timer_(loop, [this] { Look(); }) {}

int64_t AgentClocks::Since(int64_t then_ms) const {
  return then_ms < 0 ? -1 : std::max<int64_t>(0, loop_.NowMs() - then_ms);
}

int64_t AgentClocks::silent_ms() const { return Since(std::max(last_output_ms_, quiet_since_ms_)); }

void AgentClocks::BeginRun() {
  run_began_ms_ = quiet_since_ms_ = loop_.NowMs();
  run_over_ = stalled_ = false;
  doing_ = Doing::kNothing;  // the next Set is examined again
}

void AgentClocks::Set(Doing doing) {
  if (doing == doing_) return;
  if (doing == Doing::kRunning) quiet_since_ms_ = loop_.NowMs();
  if (doing == Doing::kIdle) idle_since_ms_ = loop_.NowMs();
  doing_ = doing;
  if (doing != Doing::kRunning) stalled_ = false;
  Look();
}

void AgentClocks::Received() {
  const int64_t silent = silent_ms();
  last_output_ms_ = loop_.NowMs();
  if (!std::exchange(stalled_, false)) return;
  Look();
  handlers_.resumed(silent);
}

void AgentClocks::Progressed() { last_progress_ms_ = loop_.NowMs(); }

// Reports the limits that have passed, and sets the timer for the next one. A report may change everything,
// so it comes last.
void AgentClocks::Look() {
  const int64_t now = loop_.NowMs();
  int64_t next_ms = -1;
  std::function<void()> tell;
  auto watch = [&](int64_t limit_ms, int64_t passed_ms, auto&& told) {
    if (limit_ms == 0) return;
    if (passed_ms >= limit_ms) {
      if (!tell) {
        tell = told;
      } else {
        next_ms = 0;  // one report at a time
      }
    } else if (next_ms < 0 || limit_ms - passed_ms < next_ms) {
      next_ms = limit_ms - passed_ms;
    }
  };
  const bool in_run = doing_ == Doing::kRunning || doing_ == Doing::kWaiting;
  if (in_run && !run_over_) {
    watch(limits_.wall_ms, now - run_began_ms_, [this] {
      run_over_ = true;
      handlers_.run_too_long();
    });
  }
  if (doing_ == Doing::kRunning && !stalled_) {
    watch(limits_.stall_ms, silent_ms(), [this, silent = silent_ms()] {
      stalled_ = true;
      handlers_.stalled(silent);
    });
  }
  if (doing_ == Doing::kIdle) {
    watch(limits_.idle_ms, now - idle_since_ms_, [this] {
      idle_since_ms_ = loop_.NowMs();
      handlers_.idle_too_long();
    });
  }
  if (next_ms >= 0) {
    timer_.Start(next_ms);
  } else {
    timer_.Stop();
  }
  if (tell) tell();
}

}  // namespace reeve
