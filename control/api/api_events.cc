#include <memory>
#include <utility>

#include "control/api/api.h"
#include "process/loop.h"
#include "process/timer.h"

namespace reeve {

namespace {

constexpr int64_t kMaxEvents = 10'000;
// A page ends with the event that takes it past this: what one answer may hold in memory.
constexpr size_t kMaxPageBytes = size_t{8} << 20;
constexpr int64_t kMaxWaitMs = 50'000;

Response EventsPage(EventLog& log, const Request& request) {
  auto limit = ReadNumber(request, "limit", 1'000, 1, kMaxEvents);
  if (!limit) return Response::Problem(limit.error());
  auto tail = ReadNumber(request, "tail", 0, 1, kMaxEvents);
  if (!tail) return Response::Problem(tail.error());
  auto after = ReadCursor("after", request.Query("after"));
  if (!after) return Response::Problem(after.error());
  if (*after && *tail != 0) return Response::Problem({"invalid_request", "tail: not together with after"});
  const TypeFilter types(request.Query("types").value_or(""));

  auto start = log.Find(after->value_or(Cursor{}));
  if (!start) return Response::Problem(start.error());
  if (*tail != 0) {
    const uint64_t head = log.committed().seq;
    const auto back = static_cast<uint64_t>(*tail);
    auto position = log.PositionAfter(head > back ? head - back : 0);
    if (!position) return Response::Problem(position.error());
    start->position = *position;
  }
  std::string events = "[";
  int64_t count = 0;
  const int64_t most = *tail != 0 ? *tail : *limit;
  auto end = log.Scan(start->position, [&](const FrameView& frame, std::string_view) {
    if (types.Matches(frame.type)) {
      if (events.size() > 1) events += ',';
      events += frame.envelope;
      ++count;
    }
    return count < most && events.size() < kMaxPageBytes;
  });
  if (!end) return Response::Problem(end.error());
  auto cursor = log.CursorAt(*end);
  if (!cursor) return Response::Problem(cursor.error());
  JsonObject page;
  page.SetRaw("events", events + "]").Set("cursor", cursor->ToString());
  if (const auto& gap = start->gap) {
    page.SetRaw("gap", JsonObject()
                           .Set("from", gap->from.ToString())
                           .Set("to", gap->to.ToString())
                           .Set("reason", gap->reason)
                           .Take());
  } else {
    page.SetRaw("gap", "null");
  }
  return Response::Json(200, page.Take());
}

void Events(ApiContext& api, const Request& request, Reply reply) {
  auto agent = FindAgent(api, request);  // a deleted agent's log stays readable
  if (!agent) return reply.Send(Response::Problem(agent.error()));
  auto log = (*agent)->log();
  reply.Send(log ? EventsPage(**log, request) : Response::Problem(log.error()));
}

void Snapshot(ApiContext& api, const Request& request, Reply reply) {
  auto agent = FindLiveAgent(api, request);
  if (!agent) return reply.Send(Response::Problem(agent.error()));
  auto snapshot = (*agent)->Snapshot();
  reply.Send(snapshot ? Response::Json(200, *snapshot) : Response::Problem(snapshot.error()));
}

// One request that waits for something to become true of an agent. Owns itself through its listener and timer
// until it has answered; at most kMaxWaitMs.
class Wait : public std::enable_shared_from_this<Wait> {
 public:
  enum class Until { kReady, kTerminal, kIdle, kExited };
  struct What {
    Until until = Until::kTerminal;
    // With kTerminal, at most one of them: which run. All empty: the present one, else the last, else the
    // first.
    std::string message;
    std::string run;
    std::string after_run;
  };

  Wait(ApiContext& api, std::string agent, What what, Reply reply)
      : api_(api),
        agent_(std::move(agent)),
        what_(std::move(what)),
        run_(what_.run),
        reply_(std::move(reply)),
        deadline_(api.loop, [this] {
          Finish(Response{204, {}, ""});
        }) {}

  void Begin(int64_t timeout_ms) {
    Agent& agent = *api_.town.Find(agent_);
    until_ms_ = api_.loop.NowMs() + timeout_ms;
    // Registers before it looks: nothing can happen in between.
    listener_ = agent.Listen([self = shared_from_this()] { self->Look(); });
    keep_ = shared_from_this();
    deadline_.Start(timeout_ms);
    Look();
  }

 private:
  void Look() {
    if (!keep_) return;
    Agent* agent = api_.town.Find(agent_);
    if (!agent)
      return Finish(Response::Problem({"agent_not_found", "agent " + agent_ + " was purged meanwhile"}));
    if (reply_.gone()) return Finish({});
    if (what_.until == Until::kTerminal && what_.message.empty() && what_.after_run.empty() && run_.empty() &&
        agent->run())
      run_ = agent->run()->id;
    auto response = Check(*agent);
    // Open turns end in a drain, too: who waits for one learns how.
    if (!response && api_.town.drain().finished())
      return Finish(Response::Problem({"draining", "the daemon is shutting down"}));
    if (!response) return Ask(*agent);
    // What we are about to tell is in the log of this turn: committed before it is seen.
    if (EventLog* log = agent->open_log()) (void)log->Commit();
    Finish(std::move(*response));
  }

  std::optional<Response> Check(const Agent& agent) const {
    if (what_.until == Until::kTerminal) {
      const Run* run = Candidate(agent);
      if (run && run->status != Run::Status::kRunning) return Response::Json(200, run->ToJson());
      return std::nullopt;
    }
    const bool ended = agent.ended();
    const bool holds = what_.until == Until::kReady  ? agent.ready() || ended
                       : what_.until == Until::kIdle ? agent.idle() && (agent.ready() || ended)
                                                     : ended;
    if (!holds) return std::nullopt;
    return Response::Json(200, agent.ToJson());
  }

  // A run that is not here has ended long ago, or never was. A message that neither waits nor began a run was
  // a line for the present run, or has ended, or never was. Asked once: what ends from here on is seen in
  // passing.
  void Ask(Agent& agent) {
    if (what_.until != Until::kTerminal || asked_ || (what_.run.empty() && what_.message.empty())) return;
    if (Candidate(agent)) return;
    if (what_.run.empty() && agent.Waits(what_.message)) return;
    asked_ = true;
    deadline_.Stop();  // the store answers soon, and who does not want to wait wants to know
    auto answer = [self = shared_from_this()](const Result<std::string>& found) {
      if (!found) return self->Finish(Response::Problem(found.error()));
      self->TakeFound(*found);
    };
    if (!what_.run.empty()) return agent.FindRunRecord(what_.run, std::move(answer));
    agent.FindRunOfMessage(what_.message, std::move(answer));
  }

  void TakeFound(const std::string& found) {
    if (!keep_) return;
    auto json = JsonDocument::Parse(found);
    if (!json) {
      const std::string none = "agent " + agent_ + " has no ";
      return Finish(Response::Problem(what_.run.empty()
                                          ? Error{"message_not_found", none + "message " + what_.message}
                                          : Error{"run_not_found", none + "run " + what_.run}));
    }
    if (!(*json)["run_id"] || (*json)["status"].StringOr("") != NameOf(Run::Status::kRunning))
      return Finish(Response::Json(200, found));
    run_ = (*json)["run_id"].StringOr("");
    deadline_.Start(std::max<int64_t>(until_ms_ - api_.loop.NowMs(), 0));
    Look();
  }

  // The run that this waits for, if there is one yet.
  const Run* Candidate(const Agent& agent) const {
    if (!run_.empty()) return agent.FindRun(run_);
    if (!what_.message.empty()) return agent.RunOfMessage(what_.message);
    const Run* run = agent.run() ? &*agent.run() : agent.LastRun();
    if (run && !what_.after_run.empty() && run->number() <= Run::NumberOf(what_.after_run)) return nullptr;
    return run;
  }

  void Finish(Response response) {
    auto self = std::move(keep_);  // the last thing to let go of us
    if (!self) return;
    deadline_.Stop();
    if (Agent* agent = api_.town.Find(agent_)) agent->Unlisten(listener_);
    reply_.Send(std::move(response));
    // Not within our own timer or listener.
    api_.loop.Post([self] {});
  }

  ApiContext& api_;
  const std::string agent_;
  const What what_;
  std::string run_;  // that which was asked for, the first that was seen, or the one the message went into
  int64_t until_ms_ = 0;
  Reply reply_;
  uint64_t listener_ = 0;
  bool asked_ = false;  // the store
  Timer deadline_;
  std::shared_ptr<Wait> keep_;
};

void BeginWait(ApiContext& api, const Request& request, Reply reply) {
  Wait::What what;
  what.message = request.Query("message_id").value_or("");
  what.run = request.Query("run_id").value_or("");
  what.after_run = request.Query("after_run").value_or("");
  const int named =
      (what.run.empty() ? 0 : 1) + (what.message.empty() ? 0 : 1) + (what.after_run.empty() ? 0 : 1);
  // What came of a deleted agent's run can still be asked.
  auto agent =
      what.run.empty() && what.message.empty() ? FindLiveAgent(api, request) : FindAgent(api, request);
  if (!agent) return reply.Send(Response::Problem(agent.error()));
  auto timeout = ReadNumber(request, "timeout_ms", kMaxWaitMs, 0, kMaxWaitMs);
  if (!timeout) return reply.Send(Response::Problem(timeout.error()));
  const std::string_view name = request.Query("until").value_or("terminal");
  if (name == "ready") {
    what.until = Wait::Until::kReady;
  } else if (name == "idle") {
    what.until = Wait::Until::kIdle;
  } else if (name == "exited") {
    what.until = Wait::Until::kExited;
  } else if (name != "terminal") {
    return reply.Send(Response::Problem({"invalid_request", "until: ready, terminal, idle or exited"}));
  }
  if (named > 1 || (named == 1 && what.until != Wait::Until::kTerminal)) {
    return reply.Send(Response::Problem(
        {"invalid_request", "run_id, message_id, after_run: one of them, and until terminal only"}));
  }
  std::make_shared<Wait>(api, (*agent)->id(), std::move(what), std::move(reply))->Begin(*timeout);
}

}  // namespace

void AddEventRoutes(Router& router, ApiContext& api) {
  auto with = [&api](void (*handler)(ApiContext&, const Request&, Reply)) {
    return [&api, handler](const Request& request, Reply reply) { handler(api, request, std::move(reply)); };
  };
  router.Add("GET", "/agents/{id}/events", Access::kView, with(Events));
  router.Add("GET", "/agents/{id}/snapshot", Access::kView, with(Snapshot));
  router.Add("GET", "/agents/{id}/wait", Access::kView, with(BeginWait));
}

}  // namespace reeve
