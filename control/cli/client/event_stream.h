// EventStream: the events of one or several agents, in order and each once. It reconnects at its cursors when
// the connection breaks, the daemon restarts, or nothing arrives for 3 × heartbeat_ms. Owned by a command;
// the loop and the HTTP client must outlive it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "control/cli/client/client.h"
#include "control/cli/client/retry.h"
#include "process/sse_parser.h"
#include "process/timer.h"

namespace reeve {

class EventStream {
 public:
  struct What {
    std::vector<std::string> agents;             // "*" alone: all agents of the town
    std::map<std::string, std::string> cursors;  // by agent; absent: from now on; "0": from the oldest event
    std::string types;                           // of events, as in the API; empty: all
    bool follow = false;                         // continue after agents have exited, until they are deleted
    bool from_now = false;       // skip the events missed while disconnected; on_synced is called instead
    bool first_contact = false;  // end at once if the first connection fails
  };
  struct Handlers {
    std::function<void(const JsonValue& event)> on_event;  // the envelope
    std::function<void()> on_synced;                       // all past events have arrived; may be absent
    // The end: "agent_exited" or "agent_deleted"; or the daemon's refusal, or that the daemon has been away
    // for a minute. May destroy the stream.
    std::function<void(const Result<std::string>& reason)> on_end;
    // Events that were removed before they could be sent, as in stream.gap; may be absent.
    std::function<void(const JsonValue& gap)> on_gap;
    // Called after each batch of events; may be absent.
    std::function<void()> on_pause = {};
    // One of several agents was purged; may be absent.
    std::function<void(const std::string& agent)> on_purged = {};
    // Called whenever the connection is established or lost; may be absent.
    std::function<void(bool up)> on_connection = {};
    Retry::Tell on_away = {};
  };

  EventStream(Loop& loop, HttpClient& http, const Client& client, What what, Handlers handlers);

  void Open();
  void Close();  // no handler is called afterwards
  [[nodiscard]] std::string cursor(const std::string& agent) const;

 private:
  void Connect();
  [[nodiscard]] std::string Target() const;
  void Up();
  void Received();  // restarts the silence timer
  void Take(const SseEvent& event);
  void Ended(const Status& how);
  void End(const Result<std::string>& reason);

  HttpClient& http_;
  const Client client_;
  What what_;
  const Handlers handlers_;
  SseParser parser_;
  std::optional<HttpResponse> refused_;
  std::string bye_;             // the server's reason for closing
  int64_t max_silence_ms_ = 0;  // 0: unlimited
  bool up_ = false;             // connected
  Retry retry_;
  Timer silence_;
  std::unique_ptr<HttpCall> call_;
};

}  // namespace reeve
