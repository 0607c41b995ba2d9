#include "control/api/waits.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "orchestrator/agent/agent.h"
#include "orchestrator/json/json.h"
#include "orchestrator/town.h"
#include "process/loop.h"

namespace reeve {

using Until = Waits::Condition::Until;

// One waiting request. It checks its agent at every change.
class Waits::Wait {
 public:
  Wait(Waits& waits, uint64_t id, std::string agent, Condition condition, Reply reply)
      : waits_(waits),
        id_(id),
        agent_(std::move(agent)),
        condition_(std::move(condition)),
        run_(condition_.run),
        reply_(std::move(reply)),
        deadline_(waits.loop_, [this] {
          Finish(Response{204, {}, ""});
        }) {}

  void Begin(int64_t timeout_ms) {
    until_ms_ = waits_.loop_.NowMs() + timeout_ms;
    // Listen first, check second: no change is missed in between.
    listener_ = waits_.town_.Find(agent_)->Listen([this] { Look(); });
    deadline_.Start(timeout_ms);
    Look();
  }

  void Look() {
    Agent* agent = waits_.town_.Find(agent_);
    if (!agent)
      return Finish(Response::Problem({"agent_not_found", "agent " + agent_ + " was purged meanwhile"}));
    if (reply_.gone()) return Finish({});
    NoteFirstRun(*agent);
    const auto response = Check(*agent);
    // A drain lets open turns end, so a request that waits for one still learns how it ended.
    if (!response && waits_.ended_)
      return Finish(Response::Problem({"draining", "the daemon is shutting down"}));
    if (!response) return AskStore(*agent);
    // The answer shows events of this turn, so they must be committed first. It is made again after that: its
    // cursor must not be older than what it shows.
    if (EventLog* log = agent->open_log()) (void)log->Commit();
    Finish(*Check(*agent));
  }

 private:
  // If the request names no run, it waits for the first run that it sees.
  void NoteFirstRun(const Agent& agent) {
    const bool named = !condition_.message.empty() || !condition_.after_run.empty() || !run_.empty();
    if (condition_.until == Until::kTerminal && !named && agent.runs().open()) run_ = agent.runs().open()->id;
  }

  std::optional<Response> Check(const Agent& agent) const {
    // Its start failed, or it is not started again: no run and no delivery will come.
    const bool failed = agent.state() == Agent::State::kFailed;
    if (condition_.until == Until::kTerminal) {
      const Run* run = Candidate(agent);
      if (run && run->status != Run::Status::kRunning) return Response::Json(200, run->ToJson());
      const bool elsewhere = !condition_.run.empty() ||
                             (!condition_.message.empty() && !agent.mailbox().Find(condition_.message));
      if (run || elsewhere) return std::nullopt;  // otherwise the store knows how it ended
      if (agent.deleted() && !agent.purge() && agent.ended())
        return Response::Problem({"agent_deleted", "agent " + agent_ + " has been deleted"});
      if (failed)
        return Response::Problem({"not_running", "agent " + agent_ + " has failed: " + Reason(agent)});
      return std::nullopt;
    }
    const bool ended = agent.ended();
    const bool holds = condition_.until == Until::kReady ? agent.ready() || ended
                       : condition_.until == Until::kIdle
                           ? failed || (agent.idle() && (agent.ready() || ended))
                           : ended;
    if (!holds) return std::nullopt;
    return Response::Json(200, agent.ToJson());
  }

  static std::string Reason(const Agent& agent) {
    return agent.failure() ? agent.failure()->error.message : "it is not started again";
  }

  // The run that this request waits for, if there is one yet.
  const Run* Candidate(const Agent& agent) const {
    if (!run_.empty()) return agent.runs().Find(run_);
    if (!condition_.message.empty()) return agent.runs().OfMessage(condition_.message);
    const Run* run = agent.runs().open() ? &*agent.runs().open() : agent.runs().last();
    if (run && !condition_.after_run.empty() && run->number() <= Run::NumberOf(condition_.after_run))
      return nullptr;
    return run;
  }

  // A run that the agent does not hold ended long ago or never existed. A message that is not queued and
  // began no run was a line for the current run, or has ended, or never existed. The store is asked only
  // once: Look sees every later end.
  void AskStore(Agent& agent) {
    if (condition_.until != Until::kTerminal || asked_) return;
    if (condition_.run.empty() && condition_.message.empty()) return;
    if (Candidate(agent)) return;
    if (condition_.run.empty() && agent.mailbox().Find(condition_.message)) return;
    asked_ = true;
    deadline_.Stop();  // the store answers soon, and a time-out of 0 must not hide its answer
    auto answer = [&waits = waits_, id = id_](const Result<std::string>& found) {
      if (auto wait = waits.all_.find(id); wait != waits.all_.end()) wait->second->OnFound(found);
    };
    if (!condition_.run.empty()) return agent.history().Find(condition_.run, std::move(answer));
    agent.history().OfMessage(condition_.message, std::move(answer));
  }

  void OnFound(const Result<std::string>& found) {
    if (!found) return Finish(Response::Problem(found.error()));
    auto json = JsonDocument::Parse(*found);
    if (!json) return Finish(NotFound());
    if (!(*json)["run_id"] || (*json)["status"].StringOr("") != NameOf(Run::Status::kRunning))
      return Finish(Response::Json(200, *found));
    run_ = (*json)["run_id"].StringOr("");
    deadline_.Start(std::max<int64_t>(until_ms_ - waits_.loop_.NowMs(), 0));
    Look();
  }

  [[nodiscard]] Response NotFound() const {
    const std::string none = "agent " + agent_ + " has no ";
    return Response::Problem(condition_.run.empty()
                                 ? Error{"message_not_found", none + "message " + condition_.message}
                                 : Error{"run_not_found", none + "run " + condition_.run});
  }

  void Finish(Response response) {
    deadline_.Stop();
    if (Agent* agent = waits_.town_.Find(agent_)) agent->Unlisten(listener_);
    reply_.Send(std::move(response));
    waits_.Remove(id_);
  }

  Waits& waits_;
  const uint64_t id_;
  const std::string agent_;
  const Condition condition_;
  std::string run_;  // the named run, the first run seen, or the run that the message joined
  int64_t until_ms_ = 0;
  Reply reply_;
  uint64_t listener_ = 0;
  bool asked_ = false;  // the store was asked
  Timer deadline_;
};

Waits::Waits(Loop& loop, Town& town, size_t max_waits)
    : loop_(loop), town_(town), max_waits_(max_waits), sweep_(loop, [this] { gone_.clear(); }) {}

Waits::~Waits() { EndAll(); }

void Waits::Begin(const Agent& agent, Condition condition, int64_t timeout_ms, Reply reply) {
  if (all_.size() >= max_waits_) {
    return reply.Send(Response::Problem(
        {"too_many_requests",
         std::to_string(max_waits_) + " requests to /wait are already open, which is the limit"}));
  }
  const uint64_t id = ++last_;
  auto wait = std::make_unique<Wait>(*this, id, agent.id(), std::move(condition), std::move(reply));
  all_.emplace(id, std::move(wait)).first->second->Begin(timeout_ms);
}

void Waits::EndAll() {
  ended_ = true;
  while (!all_.empty()) all_.begin()->second->Look();  // ends it
}

// The wait is destroyed in a later turn: its timer or its listener may be on the stack.
void Waits::Remove(uint64_t wait) {
  auto found = all_.find(wait);
  gone_.push_back(std::move(found->second));
  all_.erase(found);
  sweep_.Start(0);
}

}  // namespace reeve
