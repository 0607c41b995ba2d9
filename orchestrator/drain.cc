#include "orchestrator/drain.h"

#include <fmt/core.h>

#include <utility>

#include "orchestrator/agent/agent.h"
#include "orchestrator/log_committer.h"
#include "process/clock.h"

namespace reeve {

namespace {

constexpr int64_t kLookMs = 20;
// The time for the last step.
constexpr int64_t kStopMs = Agent::LongestStopMs(Agent::kDefaultGraceMs);
constexpr size_t kSavesAtOnce = 8;      // if all began at once, all would be late
constexpr int64_t kSaveMarginMs = 500;  // time for a failure to reach the log

}  // namespace

Drain::Drain(Loop& loop, const Clock& clock, const Agents& agents, LogCommitter& logs)
    : clock_(clock), agents_(agents), logs_(logs), watch_(loop, [this] { Look(); }) {}

void Drain::Begin(int64_t timeout_ms, Done done) {
  step_ = Step::kTurns;
  done_ = std::move(done);
  deadline_ms_ = clock_.MonotonicMs() + timeout_ms;
  // An agent without turns understands TERM as a request to finish, so it gets the whole time for that.
  for (const auto& [id, agent] : agents_) {
    if (!agent->has_turns() && agent->runs().open()) programs_[id] = agent->runs().open()->id;
    agent->Drain(agent->has_turns() ? Agent::kDefaultGraceMs : timeout_ms);
  }
  watch_.Start(0, kLookMs);
}

void Drain::Look() {
  const int64_t now = clock_.MonotonicMs();
  if (step_ == Step::kTurns && now >= deadline_ms_) {
    StopProcesses();
    deadline_ms_ = now + kStopMs;
  }
  const int64_t left_ms = deadline_ms_ - now + (step_ == Step::kTurns ? kStopMs : 0);
  SaveWip(left_ms);
  if (!waits_for_.empty() && left_ms > 0) return;
  NameUnfinished();
  Finish();
}

void Drain::StopProcesses() {
  step_ = Step::kProcesses;
  for (const auto& [id, agent] : agents_) {
    if (!agent->has_process()) continue;
    if (agent->runs().open()) {
      unfinished_.push_back("agent " + id + ": its run " + agent->runs().open()->id + " did not end in time");
      programs_.erase(id);
    }
    agent->Shutdown(Agent::kDefaultGraceMs);
  }
}

// Also updates waits_for_.
void Drain::SaveWip(int64_t left_ms) {
  using WipState = AgentWorkspace::WipState;
  size_t saving = 0;  // each save runs several gits; Git itself limits the pushes
  waits_for_.clear();
  for (const auto& [id, agent] : agents_) {
    const WipState state = agent->SaveWip(saving < kSavesAtOnce, left_ms - kSaveMarginMs);
    if (state == WipState::kSaves) ++saving;
    if (state != WipState::kNothing || agent->has_process()) waits_for_.push_back(id);
  }
}

void Drain::NameUnfinished() {
  for (const auto& [id, run] : programs_) {
    const auto agent = agents_.find(id);
    if (agent == agents_.end() || agent->second->has_process()) continue;
    const Run* last = agent->second->runs().last();
    if (!last || last->id != run || !last->signal) continue;  // it has ended as a program does
    unfinished_.push_back(
        fmt::format("agent {}: its run {} was cut off by signal {}", id, run, *last->signal));
  }
  for (const std::string& id : waits_for_) {
    const bool process = agents_.at(id)->has_process();
    unfinished_.push_back(fmt::format("agent {}: its {} in time", id,
                                      process ? "process did not end" : "uncommitted work was not saved"));
  }
}

void Drain::Finish() {
  step_ = Step::kFinished;
  watch_.Stop();
  logs_.Commit();
  std::exchange(done_, {})(std::move(unfinished_));
}

}  // namespace reeve
