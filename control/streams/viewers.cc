#include "control/streams/viewers.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "orchestrator/agent/agent.h"
#include "process/loop.h"
#include "tickets/ticket_store.h"

namespace reeve {

namespace {

// CheckTimeouts visits all viewers once a second, a twentieth at a time.
constexpr int64_t kScanMs = 50;
constexpr size_t kScanParts = 20;
constexpr int64_t kScanSliceUs = 1'000;

int64_t NowUs() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

}  // namespace

Viewers::Viewers(Loop& loop, Town& town, TicketStore& tickets, Limits limits)
    : loop_(loop), town_(town), tickets_(tickets), limits_(limits), scan_(loop, [this] {
        CheckTimeouts();
      }) {}

Viewers::~Viewers() = default;

void Viewers::Add(std::unique_ptr<Viewer> viewer, uint64_t replaces) {
  if (Viewer* old = Find(replaces)) old->Bye("replaced");
  if (!scan_.active()) {
    scan_.Start(kScanMs, kScanMs);
    scanned_ms_ = loop_.NowMs();
  }
  all_.push_back(std::move(viewer));
  ++stats_.opened;
}

void Viewers::Enqueue(Viewer& viewer) {
  if (viewer.queued_ || viewer.gone_ || viewer.blocked_) return;
  viewer.queued_ = true;
  ready_.push_back(&viewer);
}

bool Viewers::Serve() {
  const int64_t begin = NowUs();
  const size_t end = ready_.size();  // a viewer that is added now waits for the next turn
  for (size_t served = 0; next_ < end; ++served) {
    if (served % 16 == 15 && NowUs() - begin > limits_.slice_ms * 1000) break;
    Viewer& viewer = *ready_[next_++];
    viewer.queued_ = false;
    if (viewer.Pump()) Enqueue(viewer);
  }
  // Under overload the list is never empty, so its served part is removed now and then.
  if (next_ == ready_.size() || next_ > 65'536) {
    ready_.erase(ready_.begin(), ready_.begin() + static_cast<std::ptrdiff_t>(next_));
    next_ = 0;
  }
  gone_.erase(std::remove_if(gone_.begin(), gone_.end(), [](const auto& viewer) { return !viewer->queued_; }),
              gone_.end());
  return next_ < ready_.size();
}

void Viewers::Remove(Viewer& viewer) {
  if (viewer.gone_) return;
  viewer.gone_ = true;
  tickets_.CloseStream(viewer.stream_);
  auto found =
      std::find_if(all_.begin(), all_.end(), [&viewer](const auto& one) { return one.get() == &viewer; });
  gone_.push_back(std::move(*found));
  *found = std::move(all_.back());
  all_.pop_back();
  gone_.back()->Close();
}

Viewer* Viewers::Find(uint64_t stream) const {
  auto found =
      std::find_if(all_.begin(), all_.end(), [stream](const auto& one) { return one->stream() == stream; });
  return stream == 0 || found == all_.end() ? nullptr : found->get();
}

void Viewers::CheckTimeouts() {
  const int64_t begin = NowUs();
  const int64_t now_ms = loop_.NowMs();
  responsive_ms_ += std::min(now_ms - std::exchange(scanned_ms_, now_ms), 2 * kScanMs);
  size_t share = all_.size() / kScanParts + 1;
  for (; share > 0 && !all_.empty(); --share) {
    if (checked_ >= all_.size()) checked_ = 0;
    // The last viewer takes the place of a removed one, and is then checked in the next round.
    all_[checked_++]->CheckTimeouts(now_ms);
    if (NowUs() - begin > kScanSliceUs) break;
  }
  if (closed_ && (all_.empty() || now_ms > close_deadline_ms_)) {
    auto closed = std::exchange(closed_, nullptr);
    closed();
  }
  if (all_.empty() && !closed_) scan_.Stop();  // no viewers: an idle daemon sleeps
}

void Viewers::Shutdown(int64_t timeout_ms, std::function<void()> closed) {
  for (auto& viewer : all_) viewer->Bye("shutdown");
  close_deadline_ms_ = loop_.NowMs() + timeout_ms;
  closed_ = std::move(closed);
  scan_.Start(kScanMs, kScanMs);
}

void Viewers::Clear() {
  while (!all_.empty()) Remove(*all_.back());
  ready_.clear();
  next_ = 0;
  gone_.clear();
}

void Viewers::Restart() {
  for (auto& viewer : all_) viewer->Restart();
}

void Viewers::CloseByToken(uint64_t token) {
  std::vector<Viewer*> theirs;
  for (auto& viewer : all_) {
    if (viewer->token() == token) theirs.push_back(viewer.get());
  }
  for (Viewer* viewer : theirs) viewer->Drop();
}

void Viewers::AgentMade(Agent& agent) {
  auto log = agent.log();
  if (!log) return;
  for (auto& viewer : all_) viewer->AgentMade(agent, **log);
}

void Viewers::AgentDeleted(Agent& agent) {
  for (auto& viewer : all_) viewer->AgentDeleted(agent);
}

void Viewers::AgentPurged(Agent& agent) {
  for (auto& viewer : all_) viewer->AgentPurged(agent);
}

Viewers::Stats Viewers::stats() const {
  Stats stats = stats_;
  stats.viewers = all_.size();
  stats.blocked = static_cast<size_t>(
      std::count_if(all_.begin(), all_.end(), [](const auto& viewer) { return viewer->blocked(); }));
  return stats;
}

}  // namespace reeve
