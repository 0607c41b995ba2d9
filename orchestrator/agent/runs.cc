#include "orchestrator/agent/runs.h"

#include <algorithm>
#include <utility>

namespace reeve {

namespace {

// How a run ends: a row for each EndReason, a column for each RunEnding::How. A run that a limit ended has
// failed, even if the agent calls it cancelled or completed. Otherwise a turn that completes is completed,
// whatever reason it had to end. A turn that should end and fails was cancelled, because an agent may report
// an interrupt as an error. So was a process that should end and exits, with any code.
constexpr auto kC = Run::Status::kCompleted, kX = Run::Status::kCancelled, kF = Run::Status::kFailed;
constexpr Run::Status kOutcomes[][5] = {
    // completed, cancelled, failed, exited, exited failed
    {kC, kX, kF, kC, kF},  // kNone
    {kC, kX, kX, kX, kX},  // kDaemon
    {kC, kX, kX, kX, kX},  // kMessage
    {kC, kX, kX, kX, kX},  // kPerson
    {kF, kF, kF, kF, kF},  // kLimit
};

}  // namespace

const Run* Runs::Find(const std::string& run_id) const {
  if (open_ && open_->id == run_id) return &*open_;
  auto found =
      std::find_if(ended_.rbegin(), ended_.rend(), [&run_id](const Run& run) { return run.id == run_id; });
  return found == ended_.rend() ? nullptr : &*found;
}

const Run* Runs::OfMessage(const std::string& message_id) const {
  if (open_ && open_->Has(message_id)) return &*open_;
  auto found = std::find_if(ended_.rbegin(), ended_.rend(),
                            [&message_id](const Run& run) { return run.Has(message_id); });
  return found == ended_.rend() ? nullptr : &*found;
}

Usage Runs::usage() const {
  Usage all = usage_;
  if (open_) all.Add(Usage::Parse(open_->usage));
  return all;
}

void Runs::Begin(uint64_t number, const std::string& message_id, int64_t now_ms) {
  open_.emplace();
  open_->id = Run::IdOf(number);
  open_->message_id = message_id;
  open_->started_ms = now_ms;
  end_reason_ = EndReason::kNone;
}

void Runs::Resolved(ResolvedApproval approval) {
  std::vector<ResolvedApproval>& all = open_->approvals;
  if (all.size() == kMaxResolved) all.erase(all.begin());
  all.push_back(std::move(approval));
}

bool Runs::RequestEnd(EndReason reason) {
  if (!open_ || reason <= end_reason_) return false;
  end_reason_ = reason;
  return true;
}

void Runs::RequestEndByLimit(const std::string& limit, Error error) {
  if (!RequestEnd(EndReason::kLimit)) return;
  open_->limit = limit;
  limit_error_ = std::move(error);
}

const Run& Runs::End(RunEnding ending, int64_t now_ms) {
  Run run = *std::exchange(open_, std::nullopt);
  run.status = kOutcomes[static_cast<size_t>(end_reason_)][static_cast<size_t>(ending.how)];
  if (run.status == Run::Status::kFailed) {
    run.error = end_reason_ == EndReason::kLimit ? std::exchange(limit_error_, {}) : std::move(ending.error);
  }
  run.exit_code = ending.exit_code;
  run.signal = ending.signal;
  run.ended_ms = now_ms;
  AddEnded(std::move(run));
  end_reason_ = EndReason::kNone;
  return ended_.back();
}

void Runs::AddEnded(Run run) {
  usage_.Add(Usage::Parse(run.usage));
  ended_.push_back(std::move(run));
  if (ended_.size() > kKept) ended_.pop_front();
}

std::deque<Run> Runs::NotInStore() const {
  const auto first = std::find_if(ended_.begin(), ended_.end(), [this](const Run& run) {
    return run.number() >= stored_before_ || &run == &ended_.back();
  });
  return {first, ended_.end()};
}

void Runs::RestoreLast(std::optional<Run> last) {
  if (last) ended_.push_back(std::move(*last));
}

}  // namespace reeve
