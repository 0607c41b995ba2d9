// SseViewer: a live stream of Server-Sent Events (control/api/API.md, "Live streams"). Its events are the
// log's bytes, unchanged, so it sends them straight from the log's memory; only a filter makes it copy.
//
// Owned by Viewers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "control/http/answer_stream.h"
#include "control/streams/viewer.h"
#include "orchestrator/log/event.h"
#include "process/result.h"
#include "tickets/ticket_store.h"

namespace reeve {

class Reply;

// A request for a stream. A value.
struct StreamRequest {
  bool several = false;     // GET /stream: control frames name their agent, and there are no event ids
  bool all_agents = false;  // later agents included
  struct From {
    std::string agent;
    std::optional<Cursor> after;  // nothing: live only
  };
  std::vector<From> agents;
  // Agents that cannot be shown. A stream of several says goodbye to each of these, and shows the others.
  std::vector<std::string> missing;
  TypeFilter types;
  bool follow = false;      // stay open when the agent has ended
  Grant grant;              // for the resume ticket
  std::string url_ticket;   // empty: a bearer token opened it
  std::string cookie_path;  // the path to which the browser sends the resume cookie
  bool cross_site = false;  // a page of an allowed foreign origin opened it over TLS
  std::vector<std::pair<std::string, std::string>> headers;  // CORS
  std::string request_id;
};

class SseViewer final : public Viewer {
 public:
  // Answers `reply` with a stream; its head and first frames are sent at the end of this turn. Errors, with
  // `reply` unused: "agent_not_found" and a log that cannot be read, unless there are others; "stream_ended"
  // (204) when everything after the cursor has been delivered and nothing can follow. `replaces` is a viewer
  // to close, because its resume ticket was used.
  static Status Open(Viewers& hub, Reply& reply, StreamRequest request, uint64_t replaces);

  void Bye(const char* reason) override;
  bool Pump() override;
  void CheckTimeouts(int64_t now_ms) override;
  void Close() override;
  void AgentMade(Agent& agent, EventLog& log) override;
  void AgentDeleted(Agent& agent) override;
  void AgentPurged(Agent& agent) override;

 private:
  enum class Sent { kAll, kSome, kGone };

  SseViewer(Viewers& hub, std::unique_ptr<AnswerStream> answer, const StreamRequest& request);
  void Begin(const StreamRequest& request, const std::vector<LogCursor::Place>& places);
  void Show(const LogCursor::Place& place, const std::string& resume);

  void OnCommit(LogCursor& cursor) override;
  void OnTrim(LogCursor& cursor) override;
  void OnGap(LogCursor& cursor) override;
  void OnReady(int events);
  void TakeTurn(LogCursor& cursor);
  [[nodiscard]] std::string& Control();
  void WaitForSocket();
  bool Fill();
  bool FillFiltered(LogCursor& cursor);
  Sent Send();
  void NextAfter(const LogCursor& last);
  void End();
  [[nodiscard]] const char* EndReason() const;
  [[nodiscard]] bool Shows(const Agent& agent) const;
  void Report(LogCursor& cursor);
  void ReportOpenGaps();

  const bool several_;
  const bool all_agents_;
  const bool follow_;
  const TypeFilter types_;
  std::unique_ptr<AnswerStream> answer_;
  std::vector<std::unique_ptr<LogCursor>> cursors_;
  // Those with unsent events; the first one is being sent. Only that one may have a position within a frame:
  // a switch to another agent, and every control frame, happens between two frames.
  std::vector<LogCursor*> active_;
  std::string pending_;  // sent first: control frames, and events that passed a filter
  size_t pending_sent_ = 0;
  size_t open_gaps_ = 0;  // cursors with a gap
  int64_t share_ = 0;     // bytes that may still be sent or filtered in this turn
  int64_t last_write_ms_;
  int64_t bye_ms_ = 0;  // when the goodbye was queued; 0: it was not
  bool ended_ = false;  // the end of the answer is sent; the client closes the connection
  bool torn_ = false;   // the rest of a frame that was sent in part cannot be read
};

}  // namespace reeve
