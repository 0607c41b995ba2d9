#include "orchestrator/log_committer.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "orchestrator/agent/agent.h"
#include "process/clock.h"
#include "process/log.h"
#include "process/loop.h"

namespace reeve {

namespace {

constexpr int64_t kRetryMs = 250;  // after a failed commit; a full disk may have room again
constexpr int64_t kUpkeepMs = 1'000;
constexpr int kTrimEvery = 30;  // upkeep rounds between two checks of retention: the wall clock may be set
// A log without writers and readers for this long releases its memory and its files.
constexpr int64_t kQuietMs = 30'000;
constexpr int64_t kEndedQuietMs = 1'000;

}  // namespace

LogCommitter::LogCommitter(Loop& loop, const Clock& clock, const Agents& agents, bool sync)
    : loop_(loop),
      clock_(clock),
      agents_(agents),
      sync_(sync),
      retry_(loop,
             [this] {
               dirty_.insert(dirty_.end(), blocked_.begin(), blocked_.end());
               blocked_.clear();
             }),
      upkeep_(loop, [this] { MaintainLogs(); }) {
  upkeep_.Start(kUpkeepMs, kUpkeepMs);
}

void LogCommitter::Forget(const Agent& agent) {
  dirty_.erase(std::remove(dirty_.begin(), dirty_.end(), &agent), dirty_.end());
  blocked_.erase(std::remove(blocked_.begin(), blocked_.end(), &agent), blocked_.end());
}

void LogCommitter::Commit() {
  // Commit calls agents, which may append. Their logs are dirty again and are committed in the next turn.
  std::vector<Agent*> now;
  now.swap(dirty_);
  for (Agent* agent : now) {
    const bool writes = agent->open_log() && agent->open_log()->dirty();
    const Status committed = agent->Commit();
    std::erase(blocked_, agent);
    if (committed) {
      commits_ += writes ? 1 : 0;
      continue;
    }
    if (blocked_.empty()) {
      log::Failure("{}; retrying every {} ms", committed.error().message, kRetryMs);
      blocked_reason_ = committed.error().message;
    }
    blocked_.push_back(agent);
  }
  if (!blocked_.empty() && !retry_.active()) retry_.Start(kRetryMs);
}

Status LogCommitter::Settle() {
  Commit();
  if (!blocked_.empty()) return Error{"disk_full", blocked_reason_};
  // The next daemon assumes that everything it opens is durable.
  for (const auto& [id, agent] : agents_) {
    if (!agent->settled())
      return Error{"disk_full", "agent " + id + ": not all of its state could be stored"};
    EventLog* log = agent->open_log();
    if (!log) continue;
    log->SaveSums();  // the next daemon reads them, and this one may end without destructors
    for (const Fd& fd : log->TakeForSync()) {
      if (sync_ && fdatasync(fd.get()) != 0) return OsError("sync the log of agent " + id, errno);
    }
  }
  return {};
}

void LogCommitter::MaintainLogs() {
  const bool trim = ++upkeep_round_ % kTrimEvery == 0;
  std::vector<Fd> written;
  for (const auto& [id, agent] : agents_) {
    EventLog* log = agent->open_log();
    if (!log) continue;
    if (!syncing_) {
      // Also taken when sync is off: closed segments keep their descriptors until then.
      for (Fd& fd : log->TakeForSync()) {
        if (sync_) written.push_back(std::move(fd));
      }
    }
    if (trim) log->Trim();
    const int64_t quiet_ms = agent->ended() ? kEndedQuietMs : kQuietMs;
    if (log->readers().empty() && clock_.WallMs() - agent->last_event_ms() > quiet_ms) log->ReleaseTail();
  }
  if (!written.empty()) SyncInBackground(std::move(written));
}

// Runs off the loop, because fdatasync can take long. Only one round runs at a time.
void LogCommitter::SyncInBackground(std::vector<Fd> written) {
  syncing_ = true;
  auto shared = std::make_shared<std::vector<Fd>>(std::move(written));
  loop_.Offload(
      [shared] {
        for (const Fd& fd : *shared) {
          if (fdatasync(fd.get()) != 0) log::Failure("{}", OsError("sync an event log", errno).message);
        }
        shared->clear();
      },
      // Settle does not wait for this; an upgrade waits for all offloaded work.
      alive_.Guard([this] { syncing_ = false; }));
}

LogCommitter::Stats LogCommitter::stats() const {
  Stats stats;
  stats.commits = commits_;
  stats.blocked = blocked_.size();
  if (!blocked_.empty()) stats.blocked_reason = blocked_reason_;
  for (const auto& [id, agent] : agents_) {
    const EventLog* log = agent->open_log();
    if (!log) continue;
    const EventLog::Stats one = log->stats();
    stats.events += one.appended;
    stats.max_commit_us = std::max(stats.max_commit_us, one.max_commit_us);
    stats.bytes_on_disk += one.bytes_on_disk;
    stats.tail_bytes += one.tail_bytes;
    stats.damaged_blocks += one.damaged_blocks;
  }
  return stats;
}

}  // namespace reeve
