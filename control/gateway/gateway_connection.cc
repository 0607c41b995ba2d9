#include "control/gateway/gateway_connection.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <utility>

#include "control/api/api.h"
#include "control/gateway/delta_joiner.h"
#include "control/gateway/gateway.h"
#include "control/streams/viewers.h"
#include "orchestrator/agent/agent.h"
#include "orchestrator/agent/approval_excerpt.h"
#include "orchestrator/json/json.h"
#include "orchestrator/log/event_types.h"
#include "orchestrator/town.h"
#include "process/log.h"
#include "process/loop.h"

namespace reeve {

namespace {

constexpr std::string_view kReadyPing = "ready";  // the payload of the ping behind gateway.ready

// A message with an event that is in no log. `params` is an object.
std::string Notification(const std::string& params) {
  return R"({"jsonrpc":"2.0","method":"event","params":)" + params + "}";
}

int64_t NowUs() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

WebSocket::Limits LimitsOf(Gateway& gateway, const RpcCaller& caller) {
  WebSocket::Limits limits;
  limits.budget = &gateway.budget();
  const bool operates = caller.caller.scope >= Scope::kOperate;
  limits.budget_bytes = operates ? Gateway::kMaxPartialBytes : Gateway::kMaxPartialBytes / 2;
  return limits;
}

// An event about an agent's stream that is in no log.
std::string ControlEvent(const Agent& agent, std::string_view type, const std::string& data) {
  return JsonObject().Set("agent", agent.id()).Set("type", type).SetRaw("data", data).Take();
}

std::string GatewayEvent(std::string_view type, const std::string& data) {
  return Notification(JsonObject().Set("type", type).SetRaw("data", data).Take());
}

}  // namespace

// Events of one agent, or of all of them.
struct GatewayConnection::Subscription {
  // The place in the log of one agent.
  struct Shown final : LogCursor {
    Shown(Subscription& of, LogCursor::Owner& owner, Deliveries& account, const Place& place)
        : LogCursor(owner, account, place), subscription(of) {}
    Subscription& subscription;
  };

  uint64_t id;
  std::string prefix;  // EventBatches::Prefix
  bool all_agents;     // later ones, too
  bool coalesce;
  TypeFilter types;
  std::vector<std::unique_ptr<Shown>> shown = {};

  static Subscription& Of(LogCursor& cursor) { return static_cast<Shown&>(cursor).subscription; }
};

GatewayConnection::GatewayConnection(Gateway& gateway, Opening opening)
    : Viewer(gateway.api().viewers, opening.caller.caller.token),
      gateway_(gateway),
      peer_(std::move(opening.peer)),
      caller_(std::move(opening.caller)),
      ready_(std::move(opening.ready)),
      socket_(std::move(opening.socket), std::move(opening.head), LimitsOf(gateway, caller_), *this,
              hub_.loop()),
      last_text_ms_(hub_.loop().NowMs()),
      rpc_(std::make_unique<Rpc>(
          gateway.api(), gateway.idempotency(), caller_, GatewayMethods(),
          [this](const Operation& method, const Call& call, Reply reply) {
            Run(method, call, std::move(reply));
          },
          [this](const std::string& message) { SendAnswer(message); })) {}

GatewayConnection::~GatewayConnection() = default;

void GatewayConnection::Begin(const std::string& resume, bool resumes) {
  ready_.back() = ',';
  socket_.Queue(GatewayEvent("gateway.ready", ready_ + JsonObject().Set("resume", resume).Take().substr(1)));
  std::string().swap(ready_);
  if (resumes) socket_.QueuePing(kReadyPing);
  gateway_.owners().Came(caller_.caller.connection);
  Enqueue();
}

void GatewayConnection::OnPong(std::string_view payload) {
  if (payload == kReadyPing) hub_.tickets().DropEarlier(stream());
}

// -------------------------------------------------------------------------------------------------- calls

void GatewayConnection::OnText(std::string_view message) {
  calls_.emplace_back(message);
  if (!next_calls_) next_calls_ = std::make_unique<Timer>(hub_.loop(), [this] { RunCalls(); });
  if (!next_calls_->active()) next_calls_->Start(0);
}

// Runs some of the calls that wait. Nothing more is read before all of them have run.
void GatewayConnection::RunCalls() {
  const int64_t begin = NowUs();
  for (int run = 0; run < kCallsPerTurn && !calls_.empty(); ++run) {
    if ((!end_ && socket_.unsent() > kMaxUnsent) || NowUs() - begin > kCallSliceUs) break;
    const std::string message = std::move(calls_.front());
    calls_.pop_front();
    rpc_->Receive(message);
  }
  if (end_ && calls_.empty()) return Finish();
  TakeMore();
}

// Decides whether more calls are run, or read. Those that came before the end of a connection are answered.
void GatewayConnection::TakeMore() {
  if (calls_.empty()) socket_.Answered();
  const bool may = end_ || socket_.unsent() <= kMaxUnsent;
  if (!end_) socket_.SetReading(may && calls_.empty());
  if (may && !calls_.empty() && !next_calls_->active()) next_calls_->Start(0);
}

void GatewayConnection::SendAnswer(const std::string& message) {
  socket_.Queue(message);
  CountUnsent();
  const bool too_much = socket_.unsent() > kMaxAnswers ||
                        (gateway_.unsent() > Gateway::kMaxUnsentBytes && socket_.unsent() > kMaxUnsent);
  if (too_much && socket_.open()) {
    log::Warning("gateway connection of {}: it does not read its answers", peer_);
    calls_.clear();
    socket_.Drop();
  }
  Enqueue();
}

void GatewayConnection::CountUnsent() {
  const size_t before = std::exchange(counted_unsent_, socket_.unsent());
  gateway_.CountUnsent(before, counted_unsent_);
}

void GatewayConnection::Run(const Operation& method, const Call& call, Reply reply) {
  if (method.name == "events.subscribe") return Subscribe(call, std::move(reply));
  if (method.name == "events.unsubscribe") return Unsubscribe(call, std::move(reply));
  if (method.name == "gateway.sign_out") {
    hub_.tickets().RevokeStream(stream());
    return reply.Send({204, {}, ""});
  }
  reply.Send(Response::Json(200, JsonObject().Set("time", FormatTime(gateway_.api().clock.WallMs())).Take()));
}

size_t GatewayConnection::CountPlaces() const {
  size_t places = 0;
  for (const auto& [id, subscription] : subscriptions_) places += subscription->shown.size();
  return places;
}

bool GatewayConnection::MayShow(const std::string& agent) const {
  const auto& agents = caller_.agents;
  return !agents || std::find(agents->begin(), agents->end(), agent) != agents->end();
}

void GatewayConnection::Subscribe(const Call& call, Reply reply) {
  if (subscriptions_.size() >= kMaxSubscriptions) {
    return reply.Refuse({"too_many_requests", "the connection has " + std::to_string(kMaxSubscriptions) +
                                                  " subscriptions, which is the limit"});
  }
  const std::string agent = call.String("agent");
  const bool all = agent == "*";
  if (!all && !MayShow(agent))
    return reply.Refuse({"agent_not_found", "there is no agent " + agent.substr(0, 64)});
  const JsonValue after = call.Json("after");
  const bool good =
      all ? after.Is(JsonType::kObject) || after.AsString() == "0" : after.Is(JsonType::kString);
  if (after && !good) {
    return reply.Refuse(
        {"invalid_request", all ? R"(after: must be an object that maps agent ids to cursors, or "0")"
                                : std::string("after: ").append(kCursorMust)});
  }
  // The position after which the history of an agent begins.
  const auto start = [&after](const std::string& id) {
    return ReadCursor("after", after.Is(JsonType::kObject) ? after[id].AsString() : after.AsString());
  };
  if (const auto read = start(agent); !read) return reply.Refuse(read.error());
  for (const auto& [id, cursor] : after.Members()) {
    const auto read = ReadCursor("after", cursor.AsString().value_or("?"));
    if (!read) return reply.Refuse(read.error());
    if (!gateway_.api().town.Find(std::string(id)) || !MayShow(std::string(id)))
      return reply.Refuse({"agent_not_found", "after: there is no agent " + std::string(id.substr(0, 64))});
  }
  const Town& town = gateway_.api().town;
  std::vector<LogCursor::Place> places;
  std::vector<const Agent*> unreadable;
  if (!all) {
    auto place = LogCursor::Find(town, agent, *start(agent));
    if (!place) return reply.Refuse(place.error());
    places.push_back(*place);
  } else {
    for (const auto& [id, one] : town.agents()) {
      // A client may have been away when an agent that it knows was deleted.
      if ((one->deleted() && !after[id]) || !MayShow(id)) continue;
      if (auto place = LogCursor::Find(town, id, *start(id))) {
        places.push_back(*place);
      } else {
        unreadable.push_back(one.get());
      }
    }
  }
  if (CountPlaces() + places.size() > kMaxPlaces) {
    return reply.Refuse({"too_many_requests", "the subscriptions of the connection show more than " +
                                                  std::to_string(kMaxPlaces) + " logs, which is the limit"});
  }

  const uint64_t id = ++last_subscription_;
  auto subscription = std::make_unique<Subscription>(Subscription{
      id, EventBatches::Prefix(id), all, call.Flag("coalesce").value_or(false), call.Types("types")});
  reply.Send(Response::Json(200, JsonObject().Set("subscription", id).Take()));
  for (const Agent* one : unreadable) {
    EventBatches::AppendEvent(
        byes_, subscription->prefix,
        ControlEvent(*one, "stream.bye", JsonObject().Set("reason", "unreadable").Take()));
  }
  for (const LogCursor::Place& place : places) Show(*subscription, place);
  subscriptions_.emplace(id, std::move(subscription));
}

void GatewayConnection::Unsubscribe(const Call& call, Reply reply) {
  const auto found = subscriptions_.find(static_cast<uint64_t>(call.Integer("subscription").value_or(0)));
  if (found == subscriptions_.end()) {
    return reply.Refuse({"not_found", "subscription: this connection has no subscription " +
                                          std::to_string(call.Integer("subscription").value_or(0))});
  }
  std::erase_if(active_, [&found](LogCursor* one) { return &Subscription::Of(*one) == found->second.get(); });
  subscriptions_.erase(found);
  reply.Send({204, {}, ""});
}

// ------------------------------------------------------------------------------------------------- events

void GatewayConnection::Show(Subscription& subscription, const LogCursor::Place& place) {
  subscription.shown.push_back(
      std::make_unique<Subscription::Shown>(subscription, *this, hub_.counts(), place));
  TakeTurn(*subscription.shown.back());
}

void GatewayConnection::TakeTurn(LogCursor& cursor) {
  if (!std::exchange(cursor.in_turn, true)) active_.push_back(&cursor);
  Enqueue();
}

void GatewayConnection::OnCommit(LogCursor& cursor) { TakeTurn(cursor); }

void GatewayConnection::OnTrim(LogCursor&) {}  // a position is never within an event

void GatewayConnection::OnGap(LogCursor& cursor) { TakeTurn(cursor); }

void GatewayConnection::OnLost(LogCursor& cursor, const Error& error) {
  log::Failure("a subscription to agent {} ends: {}", cursor.agent().id(), error.message);
  Remove(cursor, "unreadable");
}

void GatewayConnection::AgentMade(Agent& agent, EventLog& log) {
  if (!MayShow(agent.id())) return;
  for (const auto& [id, subscription] : subscriptions_) {
    if (subscription->all_agents) Show(*subscription, {&agent, &log, {log.begin_position(), {}}});
  }
}

void GatewayConnection::AgentDeleted(Agent&) {}  // the log says it

void GatewayConnection::AgentPurged(Agent& agent) {
  std::vector<LogCursor*> shown;
  for (const auto& [id, subscription] : subscriptions_) {
    for (const auto& one : subscription->shown) {
      if (&one->agent() == &agent) shown.push_back(one.get());
    }
  }
  for (LogCursor* cursor : shown) Remove(*cursor, "agent_deleted");
}

// Ends the part of a subscription that concerns one agent, and the subscription if it was for that one alone.
void GatewayConnection::Remove(LogCursor& cursor, const char* reason) {
  Subscription& subscription = Subscription::Of(cursor);
  const std::string bye =
      ControlEvent(cursor.agent(), "stream.bye", JsonObject().Set("reason", reason).Take());
  EventBatches::AppendEvent(byes_, subscription.prefix, bye);
  std::erase(active_, &cursor);
  std::erase_if(subscription.shown, [&cursor](const auto& one) { return one.get() == &cursor; });
  if (const uint64_t id = subscription.id; !subscription.all_agents) subscriptions_.erase(id);
  Enqueue();
}

// A viewer that comes later must learn of the questions that still wait for a person.
void GatewayConnection::AppendPending(std::string& frames, const Subscription& subscription,
                                      const Agent& agent) {
  for (const PendingApproval& pending : agent.approvals().pending()) {
    const std::string_view type =
        pending.request.elicitation ? event_type::kElicitationRequested : event_type::kApprovalRequested;
    if (!subscription.types.Matches(type)) continue;
    const ApprovalExcerpt excerpt = ExcerptOf(pending);
    JsonObject event;
    event.Set("agent", agent.id()).Set("type", type).Set("run", pending.run).Set("pending", true);
    if (excerpt.cut) event.Set("excerpt", true);
    event.SetRaw("data", excerpt.approval.ToJson());
    EventBatches::AppendEvent(frames, subscription.prefix, event.Take());
  }
}

// Appends what is to be sent next: some events of one agent after the other.
// Reading a log is work, whatever the filter lets through: it is taken from `share`.
void GatewayConnection::Fill(std::string& frames, int64_t& share) {
  AppendSome(frames, share);
  frames += byes_;
  byes_.clear();
}

void GatewayConnection::AppendSome(std::string& frames, int64_t& share) {
  size_t cold = 0;  // turns in a row whose part of the log is being fetched
  while (frames.size() < kWriteBytes && share > 0 && cold < active_.size()) {
    LogCursor& cursor = *active_.front();
    const Subscription& subscription = Subscription::Of(cursor);
    if (warming(cursor)) {
      active_.push_back(&cursor);
      active_.pop_front();
      ++cold;
      continue;
    }
    cold = 0;
    if (const auto gap = cursor.TakeGap()) {
      JsonObject data;
      data.Set("from", gap->from.ToString()).Set("to", gap->to.ToString()).Set("reason", gap->reason);
      EventBatches::AppendEvent(frames, subscription.prefix,
                                ControlEvent(cursor.agent(), "stream.gap", data.Take()));
    }
    if (!cursor.at_end()) {
      if (!AppendEvents(cursor, frames, share)) continue;
      active_.push_back(&cursor);
      active_.pop_front();
      continue;
    }
    cursor.Delivered(cursor.log().committed());
    active_.pop_front();
    cursor.in_turn = false;
    if (std::exchange(cursor.synced, true)) continue;
    const std::string data = JsonObject().Set("cursor", cursor.log().committed().ToString()).Take();
    EventBatches::AppendEvent(frames, subscription.prefix,
                              ControlEvent(cursor.agent(), "stream.synced", data));
    AppendPending(frames, subscription, cursor.agent());
  }
}

// Returns false if the log cannot be read now; or no more, and then the cursor has gone.
bool GatewayConnection::AppendEvents(LogCursor& cursor, std::string& frames, int64_t& share) {
  const Subscription& subscription = Subscription::Of(cursor);
  const auto append = [&frames, &subscription, this](std::string_view envelope) {
    EventBatches::AppendEvent(frames, subscription.prefix, envelope);
    ++events_;
  };
  Result<uint64_t> read = uint64_t{0};
  if (subscription.coalesce) {
    DeltaJoiner joiner(append);
    read = cursor.ReadEvents(subscription.types, hub_.scratch(),
                             [&joiner](const FrameView& frame, std::string_view) { joiner.Add(frame); });
    joiner.Flush();
  } else if (subscription.types.all()) {
    read = gateway_.batches().Append(cursor, subscription.id, hub_.scratch(), frames, &events_);
  } else {
    read = cursor.ReadEvents(subscription.types, hub_.scratch(),
                             [&append](const FrameView& frame, std::string_view) { append(frame.envelope); });
  }
  if (read) {
    share -= static_cast<int64_t>(*read);
  } else {
    ReadFailed(cursor, read.error());
  }
  return read.ok();
}

// ------------------------------------------------------------------------------------------------ writing

bool GatewayConnection::Pump() {
  auto share = static_cast<int64_t>(hub_.limits().share_bytes);
  std::string& frames = gateway_.frames();
  while (share > 0) {
    if (gone() || blocked() || end_) return false;
    frames.clear();
    if (socket_.open()) Fill(frames, share);
    const size_t size = frames.size() + socket_.unsent();
    if (size == 0) {
      TakeMore();
      return share <= 0;
    }
    const uint64_t before = socket_.counts().sent_bytes;
    const WebSocket::Sent sent = socket_.Send(frames);
    CountUnsent();
    TakeMore();
    if (sent == WebSocket::Sent::kGone) return false;  // OnEnd follows
    last_text_ms_ = hub_.loop().NowMs();
    ++hub_.counts().writes;
    hub_.counts().bytes += socket_.counts().sent_bytes - before;
    if (sent == WebSocket::Sent::kSome) {
      Block();
      return false;
    }
  }
  return true;
}

void GatewayConnection::OnWritable() { Unblock(); }

void GatewayConnection::OnLast() { TakeMore(); }

void GatewayConnection::CheckTimeouts(int64_t now_ms) {
  if (end_) return;
  socket_.CheckTime(hub_.responsive_ms());
  // A page cannot see the pings, so it hears this.
  if (!socket_.open() || queued() || blocked() || now_ms - last_text_ms_ < hub_.limits().heartbeat_ms) return;
  socket_.Queue(GatewayEvent("gateway.heartbeat", "{}"));
  Enqueue();
}

// ------------------------------------------------------------------------------------------------- ending

// Calls that wait are not run.
void GatewayConnection::CloseWith(uint16_t code, std::string_view reason) {
  calls_.clear();
  socket_.Close(code, reason);
  Enqueue();
}

void GatewayConnection::Bye(const char* reason) {
  CloseWith(std::string_view(reason) == "replaced" ? kReplaced : close_code::kGoingAway, reason);
}

void GatewayConnection::Drop() { CloseWith(close_code::kPolicy, "the token is no longer valid"); }

void GatewayConnection::Restart() {
  CloseWith(close_code::kServiceRestart, "another daemon follows");
  (void)socket_.Send();
  TellEnd({close_code::kServiceRestart, "another daemon follows", false});
}

// Calls that came before the end take effect, as a request over HTTP does whose client has gone.
void GatewayConnection::OnEnd(const WebSocket::End& end) {
  end_ = end;
  if (calls_.empty()) return Finish();
  TakeMore();
}

void GatewayConnection::Finish() {
  TellEnd(*end_);
  Viewer::Drop();
}

// Writes the line in the log, once.
void GatewayConnection::TellEnd(const WebSocket::End& end) {
  if (std::exchange(told_, true)) return;
  const WebSocket::Counts& counts = socket_.counts();
  const Rpc::Counts calls = rpc_->counts();
  std::string reason;
  AppendJsonString(reason, end.reason);  // the peer may have chosen it
  const Owners::Left left = gateway_.owners().Went(caller_.caller.connection);
  log::Info(
      "gateway connection of {} ({}) ended: code={} by={} reason={} messages={} events={} "
      "parse_errors={} handler_crashes={} send_failures={} agents_ending={} agents_detached={}",
      peer_, caller_.caller.by, end.code, end.by_peer ? "peer" : "reeve", reason, counts.received, events_,
      calls.parse_errors, calls.crashes, counts.send_failures, left.ending, left.detached);
}

void GatewayConnection::Close() {
  TellEnd(end_.value_or(WebSocket::End{close_code::kAbnormal, "the daemon ends", false}));
  gateway_.CountUnsent(std::exchange(counted_unsent_, 0), 0);
  rpc_.reset();
  next_calls_.reset();
  active_.clear();
  subscriptions_.clear();
}

}  // namespace reeve
