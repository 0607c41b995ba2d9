#include "control/cli/client/event_stream.h"

#include <algorithm>
#include <utility>

#include "orchestrator/log/event.h"

namespace reeve {

namespace {

constexpr int64_t kHelloMs = 30'000;  // until the first frame
// The connection is dead after so many missing heartbeats; a busy daemon may also be late by kLateMs.
constexpr int64_t kHeartbeats = 3;
constexpr int64_t kLateMs = 2'000;
constexpr size_t kMaxProblemBytes = 4096;

}  // namespace

EventStream::EventStream(Loop& loop, HttpClient& http, const Client& client, What what, Handlers handlers)
    : http_(http),
      client_(client),
      what_(std::move(what)),
      handlers_(std::move(handlers)),
      retry_(
          loop, [this] { Connect(); }, handlers_.on_away),
      silence_(loop, [this] {
        call_.reset();
        Ended(Error{"timeout", client_.server() + " is silent"});
      }) {}

void EventStream::Open() { Connect(); }

void EventStream::Close() {
  call_.reset();
  retry_.Stop();
  silence_.Stop();
  up_ = false;
}

std::string EventStream::cursor(const std::string& agent) const {
  const auto found = what_.cursors.find(agent);
  return found == what_.cursors.end() ? std::string() : found->second;
}

std::string EventStream::Target() const {
  const bool one = what_.agents.size() == 1 && what_.agents.front() != "*";
  std::string query;
  auto add = [&query](const std::string& part) { query += (query.empty() ? "?" : "&") + part; };
  if (one) {
    const std::string after = cursor(what_.agents.front());
    if (!after.empty() && !what_.from_now) add("after=" + after);
  } else {
    std::string agents;
    for (const std::string& agent : what_.agents) agents += (agents.empty() ? "" : ",") + agent;
    add("agents=" + agents);
    std::string after;
    for (const auto& [agent, cursor] : what_.cursors)
      after.append(after.empty() ? "" : ",").append(agent).append(":").append(cursor);
    if (!after.empty() && !what_.from_now) add("after=" + after);
  }
  if (what_.follow) add("follow=1");
  if (!what_.types.empty()) add("types=" + what_.types);
  return (one ? "/agents/" + PercentEncode(what_.agents.front()) + "/stream" : "/stream") + query;
}

void EventStream::Connect() {
  HttpRequest request = client_.Request("GET", Target());
  request.timeout_ms = 0;
  parser_ = SseParser();
  refused_.reset();
  bye_.clear();
  max_silence_ms_ = kHelloMs;
  Received();
  HttpClient::Stream stream;
  stream.on_head = [this](const HttpResponse& head) {
    if (head.status != 200) {
      refused_ = head;
    } else {
      Up();
    }
  };
  stream.on_body = [this](std::string_view bytes) {
    if (refused_) {
      refused_->body.append(bytes.substr(0, kMaxProblemBytes));
      return;
    }
    Received();
    parser_.Feed(bytes, [this](const SseEvent& event) { Take(event); });
    if (what_.agents.empty()) return End(std::string("agent_deleted"));
    if (call_ && handlers_.on_pause) handlers_.on_pause();
  };
  stream.on_end = [this](const Status& how) { Ended(how); };
  call_ = http_.Open(std::move(request), std::move(stream));
}

void EventStream::Up() {
  what_.first_contact = false;
  up_ = true;
  retry_.Answered();
  if (handlers_.on_connection) handlers_.on_connection(true);
}

void EventStream::Received() {
  if (max_silence_ms_ == 0) return silence_.Stop();
  silence_.Start(max_silence_ms_);
}

void EventStream::Take(const SseEvent& event) {
  if (!call_) return;  // closed by an earlier event of the same piece
  if (event.data.empty()) {
    // A block that only sets an id: the cursor behind filtered events, or before the first event.
    if (event.has_id && what_.agents.size() == 1 && Cursor::Parse(event.id))
      what_.cursors[what_.agents.front()] = event.id;
    return;
  }
  auto json = JsonDocument::Parse(event.data);
  if (!json) return;
  if (event.event == "stream.hello") {
    // The head as cursor, so that a drop before the first event loses nothing.
    std::string agent((*json)["agent"].StringOr(""));
    if (agent.empty() && what_.agents.size() == 1) agent = what_.agents.front();
    // An older daemon does not name its heartbeat; it may be silent for an hour.
    max_silence_ms_ = 0;
    if (const auto heartbeat_ms = (*json)["heartbeat_ms"].AsInt())
      max_silence_ms_ = kHeartbeats * *heartbeat_ms + kLateMs;
    Received();
    if (const auto head = (*json)["head"].AsString()) what_.cursors.emplace(agent, *head);
  } else if (event.event.rfind("stream.", 0) != 0) {
    const JsonValue epoch = (*json)["epoch"];
    const JsonValue seq = (*json)["seq"];
    if (epoch && seq)
      what_.cursors[std::string((*json)["agent"].StringOr(""))] = epoch.Raw() + "-" + seq.Raw();
    handlers_.on_event(json->root());
  } else if (event.event == "stream.bye") {
    // One of several agents was purged: the others continue, and a reconnect must not name it again.
    if (const auto agent = (*json)["agent"].AsString()) {
      what_.agents.erase(std::remove(what_.agents.begin(), what_.agents.end(), *agent), what_.agents.end());
      what_.cursors.erase(std::string(*agent));
      if (handlers_.on_purged) handlers_.on_purged(std::string(*agent));
    } else {
      bye_ = (*json)["reason"].StringOr("");
    }
  } else if (event.event == "stream.synced") {
    if (handlers_.on_synced) handlers_.on_synced();
  } else if (event.event == "stream.gap") {
    if (handlers_.on_gap) handlers_.on_gap(json->root());
  }
}

void EventStream::Ended(const Status& how) {
  silence_.Stop();
  if (std::exchange(up_, false) && handlers_.on_connection) handlers_.on_connection(false);
  if (refused_ && refused_->status == 204) return End(std::string("agent_exited"));
  if (refused_ && refused_->status < 500) return End(Client::ErrorOf(*refused_));
  if (bye_ == "agent_exited" || bye_ == "agent_deleted") return End(std::exchange(bye_, {}));
  const Error lost = refused_ ? Client::ErrorOf(*refused_)
                     : how    ? Error{"unreachable", client_.server() + " does not answer"}
                              : how.error();
  if (what_.first_contact) return End(lost);
  if (how && !refused_) retry_.Answered();  // it closed the stream in good order
  if (!retry_.After(lost)) End(lost);
}

void EventStream::End(const Result<std::string>& reason) {
  Close();
  const auto on_end = handlers_.on_end;  // the call may destroy this
  on_end(reason);
}

}  // namespace reeve
