#include "orchestrator/agent/journal.h"

#include <utility>
#include <vector>

#include "orchestrator/agent/agent_context.h"
#include "process/clock.h"

namespace reeve {

Journal::Journal(AgentContext& context, std::string agent, std::function<void()> dirty)
    : context_(context), agent_(std::move(agent)), dirty_(std::move(dirty)) {}

Status Journal::Open() {
  if (log_) return {};
  auto opened = EventLog::Open(context_.clock, context_.events_dir + "/" + agent_, agent_,
                               context_.next_epoch(), context_.log_limits, last_);
  if (!opened) return opened.error();
  log_ = std::move(*opened);
  last_.reset();
  EndTurn();
  return {};
}

Cursor Journal::Append(std::string_view type, std::string_view data) {
  AppendContent(type, data);
  dirty_();
  return log_->head();
}

void Journal::AppendContent(std::string_view type, std::string_view data) {
  last_event_ms_ = context_.clock.WallMs();
  log_->Append(type, run_, data);
}

Result<Cursor> Journal::AppendNow(std::initializer_list<Event> events, std::string_view run) {
  std::vector<EventLog::NewEvent> stamped;
  for (const Event& event : events) stamped.push_back({event.type, run.empty() ? run_ : run, event.data});
  auto appended = log_->AppendNow(stamped);
  if (appended) last_event_ms_ = context_.clock.WallMs();
  dirty_();
  return appended;
}

Status Journal::CommitNow() { return log_->Commit(); }

}  // namespace reeve
