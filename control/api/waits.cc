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

namespace {

// Whether the agent of a wait is as wanted, and the answer. Not for kTerminal.
std::optional<Response> CheckState(Until until, const Agent& agent) {
  const bool ended = agent.ended();
  bool holds = false;
  switch (until) {
    case Until::kReady:
      holds = agent.ready() || ended;
      break;
    case Until::kIdle:
      holds = agent.state() == Agent::State::kFailed || (agent.idle() && (agent.ready() || ended));
      break;
    case Until::kExited:
      holds = ended;
      break;
    case Until::kMade:
      holds = agent.made() && !agent.deleted();
      break;
    case Until::kTerminal:
      break;
  }
  if (!holds) return std::nullopt;
  return Response::Json(200, agent.ToJson());
}

}  // namespace

namespace {

// Memory that a wait takes, roughly, with its connection and its part in the agents to which it listens.
size_t BytesOf(const Waits::Condition& condition, size_t agents) {
  constexpr size_t kWait = 2048;
  constexpr size_t kListener = 256;
  size_t bytes = kWait + agents * kListener + condition.message.size() + condition.run.size() +
                 condition.after_run.size();
  for (const auto& [name, value] : condition.labels)
    bytes += 2 * sizeof(std::string) + name.size() + value.size();
  return bytes;
}

}  // namespace

// One waiting request. It checks its agents at every change.
class Waits::Wait {
 public:
  Wait(Waits& waits, Condition condition, size_t agents, Reply reply)
      : waits_(waits),
        id_(++waits.last_),
        bytes_(BytesOf(condition, agents)),
        condition_(std::move(condition)),
        reply_(std::move(reply)),
        deadline_(waits.loop_, [this] {
          Finish(Response{204, {}, ""});
        }) {}
  virtual ~Wait() = default;
  Wait(const Wait&) = delete;
  Wait& operator=(const Wait&) = delete;

  [[nodiscard]] uint64_t id() const { return id_; }
  [[nodiscard]] uint64_t token() const { return condition_.token; }
  [[nodiscard]] size_t bytes() const { return bytes_; }  // that it took when it began
  void Begin(int64_t timeout_ms) {
    until_ms_ = waits_.loop_.NowMs() + timeout_ms;
    deadline_.Start(timeout_ms);
    reply_.OnGone([this] { Finish({}); });
    if (!reply_.gone()) ListenAndLook();
  }
  // No further condition can become true, unless one holds already.
  virtual void End() = 0;
  virtual void AgentMade(Agent& agent) = 0;

 protected:
  // Listens first and looks second, so that no change is missed in between.
  virtual void ListenAndLook() = 0;

  void Follow(Agent& agent, std::function<void()> look) {
    listeners_.emplace(agent.id(), agent.Listen(std::move(look)));
  }
  // `check` gives the answer, which shows events of this turn. They must be committed first. The answer is
  // made again after that: its cursor must not be older than what it shows.
  void FinishWith(Agent& agent, const std::function<std::optional<Response>()>& check) {
    if (EventLog* log = agent.open_log()) (void)log->Commit();
    Finish(*check());
  }
  void FinishDraining() { Finish(Response::Problem({"draining", "the daemon is shutting down"})); }
  void Finish(Response response) {
    deadline_.Stop();
    for (const auto& [agent_id, listener] : std::exchange(listeners_, {})) {
      if (Agent* agent = waits_.town_.Find(agent_id)) agent->Unlisten(listener);
    }
    reply_.Send(std::move(response));
    waits_.Remove(id_);
  }

  Waits& waits_;
  const uint64_t id_;
  const size_t bytes_;
  const Condition condition_;
  int64_t until_ms_ = 0;
  Reply reply_;
  std::map<std::string, uint64_t> listeners_;  // by agent
  Timer deadline_;
};

// Waits for one agent.
class Waits::AgentWait final : public Waits::Wait {
 public:
  AgentWait(Waits& waits, std::string agent, Condition condition, Reply reply)
      : Wait(waits, std::move(condition), 1, std::move(reply)),
        agent_(std::move(agent)),
        run_(condition_.run) {}

  void End() override { Look(); }
  void AgentMade(Agent& agent) override {
    if (agent.id() != agent_ || !listeners_.empty()) return;
    Follow(agent, [this] { Look(); });
    Look();
  }

 private:
  void ListenAndLook() override {
    if (Agent* agent = waits_.town_.Find(agent_)) Follow(*agent, [this] { Look(); });
    Look();
  }

  void Look() {
    Agent* agent = waits_.town_.Find(agent_);
    if (!agent && condition_.until == Until::kMade) {
      listeners_.clear();  // those of an agent that was purged meanwhile
      if (waits_.ended_) FinishDraining();
      return;
    }
    if (!agent)
      return Finish(Response::Problem({"agent_not_found", "agent " + agent_ + " was purged meanwhile"}));
    NoteFirstRun(*agent);
    const auto response = Check(*agent);
    // A drain lets open turns end, so a request that waits for one still learns how it ended.
    if (!response && waits_.ended_) return FinishDraining();
    if (!response) return AskStore(*agent);
    FinishWith(*agent, [this, agent] { return Check(*agent); });
  }

  // If the request names no run, it waits for the first run that it sees.
  void NoteFirstRun(const Agent& agent) {
    const bool named = !condition_.message.empty() || !condition_.after_run.empty() || !run_.empty();
    if (condition_.until == Until::kTerminal && !named && agent.runs().open()) run_ = agent.runs().open()->id;
  }

  std::optional<Response> Check(const Agent& agent) const {
    if (condition_.until != Until::kTerminal) return CheckState(condition_.until, agent);
    const Run* run = Candidate(agent);
    if (run && run->status != Run::Status::kRunning) return Response::Json(200, run->ToJson());
    const bool elsewhere =
        !condition_.run.empty() || (!condition_.message.empty() && !agent.mailbox().Find(condition_.message));
    if (run || elsewhere) return std::nullopt;  // otherwise the store knows how it ended
    if (agent.deleted() && !agent.purge() && agent.ended())
      return Response::Problem({"agent_deleted", "agent " + agent_ + " has been deleted"});
    // Its start failed, or it is not started again: no run and no delivery will come.
    if (agent.state() == Agent::State::kFailed)
      return Response::Problem({"not_running", "agent " + agent_ + " has failed: " + Reason(agent)});
    return std::nullopt;
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
    auto answer = [this, &waits = waits_, id = id_](const Result<std::string>& found) {
      if (waits.all_.count(id) != 0) OnFound(found);
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

  const std::string agent_;
  std::string run_;     // the named run, the first run seen, or the run that the message joined
  bool asked_ = false;  // the store was asked
};

// Waits for the first agent that has the labels and fulfils the condition.
class Waits::AnyWait final : public Waits::Wait {
 public:
  AnyWait(Waits& waits, Condition condition, Reply reply)
      : Wait(waits, std::move(condition), waits.town_.agents().size(), std::move(reply)) {
    ++waits_.any_;
  }
  ~AnyWait() override { --waits_.any_; }

  void End() override { FinishDraining(); }
  void AgentMade(Agent& agent) override {
    Follow(agent, [this, id = agent.id()] { LookAt(id); });
    LookAt(agent.id());
  }

 private:
  void ListenAndLook() override {
    for (const auto& [id, agent] : waits_.town_.agents()) {
      if (!agent->deleted()) Follow(*agent, [this, of = id] { LookAt(of); });
    }
    Agent* first = nullptr;
    for (const auto& [id, agent] : waits_.town_.agents()) {
      if (Check(*agent) && (!first || EndOf(*agent) < EndOf(*first))) first = agent.get();
    }
    if (first) return LookAt(first->id());
    if (waits_.ended_) FinishDraining();
  }

  void LookAt(const std::string& id) {
    Agent* agent = waits_.town_.Find(id);
    if (!agent || agent->deleted()) return;
    if (Check(*agent)) FinishWith(*agent, [this, agent] { return Check(*agent); });
  }

  // The answer is the run that ended first. So a client that continues after the end of that one misses none.
  int64_t EndOf(const Agent& agent) const {
    return condition_.until == Until::kTerminal && agent.runs().last() ? agent.runs().last()->ended_ms : 0;
  }

  std::optional<Response> Check(const Agent& agent) const {
    const auto has = [&agent](const auto& label) {
      const auto its = agent.spec().labels.find(label.first);
      return its != agent.spec().labels.end() && its->second == label.second;
    };
    if (agent.deleted() || !std::all_of(condition_.labels.begin(), condition_.labels.end(), has))
      return std::nullopt;
    if (condition_.until != Until::kTerminal) return CheckState(condition_.until, agent);
    const Run* last = agent.runs().last();
    const bool later =
        condition_.since_ms == 0 ? !agent.runs().open() : last && last->ended_ms > condition_.since_ms;
    if (!last || !later) return std::nullopt;
    std::string json = last->ToJson();
    json.back() = ',';
    return Response::Json(200, json + JsonObject().Set("agent", agent.id()).Take().substr(1));
  }
};

Waits::Waits(Loop& loop, Town& town, size_t max_waits)
    : loop_(loop), town_(town), max_waits_(max_waits), sweep_(loop, [this] { gone_.clear(); }) {}

Waits::~Waits() { EndAll(); }

bool Waits::TakeRoom(const Condition& condition, size_t agents, Reply& reply) {
  const size_t bytes = BytesOf(condition, agents);
  const auto held = bytes_.find(condition.token);
  std::string limit;
  if (all_.size() >= max_waits_)
    limit = std::to_string(max_waits_) + " requests to /wait are already open, which is the limit";
  else if (held != bytes_.end() && held->second + bytes > kMaxTokenBytes)
    limit = "the open requests to /wait of this token take " + std::to_string(kMaxTokenBytes >> 20) +
            " MiB, which is the limit";
  if (!limit.empty()) return reply.Send(Response::Problem({"too_many_requests", limit})), false;
  bytes_[condition.token] += bytes;
  return true;
}

void Waits::Begin(const std::string& agent, Condition condition, int64_t timeout_ms, Reply reply) {
  if (!TakeRoom(condition, 1, reply)) return;
  Add(std::make_unique<AgentWait>(*this, agent, std::move(condition), std::move(reply)), timeout_ms);
}

void Waits::BeginAny(Condition condition, int64_t timeout_ms, Reply reply) {
  if (any_ >= kMaxAnyWaits) {
    return reply.Send(Response::Problem(
        {"too_many_requests", std::to_string(kMaxAnyWaits) +
                                  " requests that wait for any agent are already open, which is the limit"}));
  }
  if (!TakeRoom(condition, town_.agents().size(), reply)) return;
  Add(std::make_unique<AnyWait>(*this, std::move(condition), std::move(reply)), timeout_ms);
}

void Waits::Add(std::unique_ptr<Wait> wait, int64_t timeout_ms) {
  const uint64_t id = wait->id();
  all_.emplace(id, std::move(wait)).first->second->Begin(timeout_ms);
}

void Waits::AgentMade(Agent& agent) {
  std::vector<uint64_t> ids;
  for (const auto& [id, wait] : all_) ids.push_back(id);
  for (uint64_t id : ids) {
    if (auto wait = all_.find(id); wait != all_.end()) wait->second->AgentMade(agent);
  }
}

void Waits::EndAll() {
  ended_ = true;
  while (!all_.empty()) all_.begin()->second->End();
}

// The wait is destroyed in a later turn: its timer or its listener may be on the stack.
void Waits::Remove(uint64_t wait) {
  auto found = all_.find(wait);
  const auto held = bytes_.find(found->second->token());
  held->second -= found->second->bytes();
  if (held->second == 0) bytes_.erase(held);
  gone_.push_back(std::move(found->second));
  all_.erase(found);
  sweep_.Start(0);
}

}  // namespace reeve
