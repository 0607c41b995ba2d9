// EventStream: the events of an agent, or of several, in order and each once, whatever happens to the
// connection or the daemon in between: it goes on at its cursors, also when nothing has been heard for longer
// than the daemon is ever silent. Owned by a command, on its loop.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "control/cli/client/client.h"
#include "process/sse_parser.h"
#include "process/timer.h"

namespace reeve {

class EventStream {
 public:
  struct What {
    std::vector<std::string> agents;             // one: the stream of that agent; "*" alone: the whole town
    std::map<std::string, std::string> cursors;  // by agent; absent: from now on; "0": from the oldest
    std::string types;                           // as the API has them; empty: all
    bool follow = false;         // it goes on when the agents have exited, until they are deleted
    bool from_now = false;       // after a drop, too: what came in between is not told, on_synced is
    bool first_contact = false;  // no daemon has answered before: the lack of one ends it at once
  };
  struct Handlers {
    std::function<void(const JsonValue& event)> on_event;  // the envelope
    std::function<void()> on_synced;                       // all that was there has been told; may be absent
    // The end: "agent_exited", "agent_deleted"; or why there is no more: the lack of a daemon for a minute,
    // or what the daemon refused. May destroy the stream.
    std::function<void(const Result<std::string>& reason)> on_end;
    // Events that nobody has any more, as stream.gap tells it; may be absent.
    std::function<void(const JsonValue& gap)> on_gap;
    // There is no more for now: what came together has been told; may be absent.
    std::function<void()> on_pause = {};
    // Of several: one that was purged; may be absent.
    std::function<void(const std::string& agent)> on_purged = {};
    // Each time that the connection stands, and each time that it is lost; may be absent.
    std::function<void(bool up)> on_connection = {};
  };

  // How long a daemon may be away, once it has answered.
  static constexpr int64_t kGiveUpMs = 60'000;

  EventStream(Loop& loop, HttpClient& http, const Client& client, What what, Handlers handlers);

  void Open();
  void Close();  // nothing is told any more
  [[nodiscard]] std::string cursor(const std::string& agent) const;

 private:
  void Connect();
  [[nodiscard]] std::string Target() const;
  void Up();
  void Heard();  // something; not for a while: the connection is dead
  void Take(const SseEvent& event);
  void Ended(const Status& how);
  void End(const Result<std::string>& reason);

  Loop& loop_;
  HttpClient& http_;
  const Client client_;
  What what_;
  const Handlers handlers_;
  SseParser parser_;
  std::optional<HttpResponse> refused_;
  std::string bye_;            // why the server closes
  int64_t patience_ms_ = 0;    // with silence; 0: there is no end of it
  bool up_ = false;            // the stream stands
  int64_t down_since_ms_ = 0;  // 0: it is not
  Timer retry_;
  Timer silence_;
  std::unique_ptr<HttpCall> call_;
};

}  // namespace reeve
