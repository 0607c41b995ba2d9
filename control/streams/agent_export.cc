#include "control/streams/agent_export.h"

#include <optional>
#include <utility>

#include "orchestrator/agent/agent.h"
#include "orchestrator/agent/mailbox.h"
#include "orchestrator/json/json.h"
#include "orchestrator/log/event_log.h"
#include "orchestrator/store/store.h"
#include "orchestrator/town.h"
#include "process/loop.h"

namespace reeve {

namespace {

// A message may be as large as the body of a request.
constexpr size_t kMessagesAPage = 16;

}  // namespace

AgentExport::AgentExport(Loop& loop, Town& town, Store& store, std::string id, std::function<void()> ready)
    : loop_(loop), town_(town), store_(store), id_(std::move(id)), ready_(std::move(ready)) {}

AgentExport::Progress AgentExport::Fill(std::string& out, size_t bytes) {
  Progress progress = Progress::kMore;
  while (progress == Progress::kMore && out.size() < bytes) {
    switch (step_) {
      case Step::kAgent:
        Begin(out);
        break;
      case Step::kRuns:
      case Step::kMessages:
        progress = FillAnswered(out);
        break;
      case Step::kEvents:
        progress = FillEvents(out, bytes);
        break;
      case Step::kDone:
        return Progress::kDone;
    }
  }
  return progress;
}

void AgentExport::Begin(std::string& out) {
  Agent* agent = town_.Find(id_);
  if (!agent) return Fail({"agent_not_found", "there is no agent " + id_}, out);
  auto log = agent->log();
  if (!log) return Fail(log.error(), out);
  (void)(*log)->Commit();  // the log must hold what the record shows; on a full disk this fails
  epoch_ = (*log)->epoch();
  position_ = (*log)->begin_position();
  end_ = (*log)->end_position();
  last_ = (*log)->oldest();
  Line(out, "export.agent", agent->ToJson());
  step_ = Step::kRuns;
}

// Only one question to the store is open at a time: all runs, then the messages page by page.
AgentExport::Progress AgentExport::FillAnswered(std::string& out) {
  if (answered_) {
    out += *std::exchange(answered_, std::nullopt);
    asked_ = false;
    if (step_ != Step::kDone && last_page_) step_ = step_ == Step::kRuns ? Step::kMessages : Step::kEvents;
    return Progress::kMore;
  }
  if (!std::exchange(asked_, true)) step_ == Step::kRuns ? AskForRuns() : AskForMessages();
  return Progress::kWaiting;
}

void AgentExport::AskForRuns() {
  store_.ListRuns(id_, UINT64_MAX, Store::kMaxEnded,
                  [this, ready = ready_,
                   alive = std::weak_ptr<bool>(alive_)](const Result<std::vector<RunRecord>>& runs) {
                    if (alive.expired()) return;
                    std::string lines;
                    if (!runs) Fail(runs.error(), lines);
                    if (runs) {
                      for (auto run = runs->rbegin(); run != runs->rend(); ++run)
                        Line(lines, "export.run", run->body);
                    }
                    last_page_ = true;
                    answered_ = std::move(lines);
                    ready();
                  });
}

void AgentExport::AskForMessages() {
  store_.ListMessages(id_, message_, kMessagesAPage,
                      [this, ready = ready_, alive = std::weak_ptr<bool>(alive_)](
                          const Result<std::vector<MessageRecord>>& messages) {
                        if (alive.expired()) return;
                        std::string lines;
                        if (!messages) Fail(messages.error(), lines);
                        if (messages) {
                          for (const MessageRecord& record : *messages) {
                            message_ = record.made;
                            const auto message = Message::FromJson(record.id, record.body);
                            if (message)
                              Line(lines, "export.message", message->Describe(record.state, record.run));
                          }
                        }
                        last_page_ = !messages || messages->size() < kMessagesAPage;
                        answered_ = std::move(lines);
                        ready();
                      });
}

AgentExport::Progress AgentExport::FillEvents(std::string& out, size_t bytes) {
  Agent* agent = town_.Find(id_);
  auto found = agent ? agent->log() : Result<EventLog*>(Error{});
  if (!found || (*found)->epoch() != epoch_) {
    Fail({"agent_not_found", "agent " + id_ + " was purged meanwhile"}, out);
    return Progress::kMore;
  }
  const EventLog& log = **found;
  while (position_ < end_ && out.size() < bytes) {
    auto view = log.Read(position_, std::min<uint64_t>(EventLog::kChunkBytes, end_ - position_), scratch_);
    if (!view && view.error().code == "cold") {
      // A copy: this object may be destroyed during the call.
      loop_.Offload(
          log.Warm(position_),
          [ready = ready_, alive = std::weak_ptr<bool>(alive_)] {
            if (!alive.expired()) ready();
          },
          Loop::Loss::kHarmless);
      return Progress::kWaiting;
    }
    if (!view && view.error().code == "expired") {
      Skip(log.oldest(), log.begin_position(), "expired");
      continue;
    }
    if (!view && view.error().code == "damaged") {
      auto next = log.Find(last_);
      if (next && next->gap) {
        Skip(next->gap->to, next->position, next->gap->reason);
        continue;
      }
    }
    if (!view) {
      Fail(view.error(), out);
      return Progress::kMore;
    }
    for (int i = 0; i < view->count; ++i) {
      raw_.append(static_cast<const char*>(view->pieces[i].iov_base), view->pieces[i].iov_len);
    }
    position_ += view->bytes;
    if (Status taken = TakeFrames(out); !taken) {
      Fail(taken.error(), out);
      return Progress::kMore;
    }
  }
  if (position_ >= end_) Finish(out);
  return Progress::kMore;
}

Status AgentExport::TakeFrames(std::string& out) {
  size_t done = 0;
  while (raw_.find("\n\n", done) != std::string::npos) {
    size_t size = 0;
    const auto frame = ParseFrame(std::string_view(raw_).substr(done), &size);
    if (!frame) return Error{"os_error", "the log of agent " + id_ + " is damaged after " + last_.ToString()};
    ReportGap(out);
    out.append(frame->envelope).append("\n");
    last_ = frame->id;
    ++events_;
    done += size;
  }
  raw_.erase(0, done);
  return {};
}

// The events up to `last` are missing.
void AgentExport::Skip(Cursor last, uint64_t position, const char* reason) {
  if (!gap_from_) {
    gap_from_ = last_;
    gap_reason_ = reason;
  }
  raw_.clear();
  last_ = last;
  position_ = position;
}

void AgentExport::ReportGap(std::string& out) {
  const auto from = std::exchange(gap_from_, std::nullopt);
  if (!from) return;
  Line(out, "export.gap",
       JsonObject()
           .Set("from", from->ToString())
           .Set("to", last_.ToString())
           .Set("reason", gap_reason_)
           .Take());
}

void AgentExport::Fail(const Error& error, std::string& out) {
  ReportGap(out);
  Line(out, "export.error", JsonObject().Set("code", error.code).Set("detail", error.message).Take());
  step_ = Step::kDone;
}

void AgentExport::Finish(std::string& out) {
  ReportGap(out);
  Line(out, "export.end", JsonObject().Set("events", events_).Set("cursor", last_.ToString()).Take());
  step_ = Step::kDone;
}

void AgentExport::Line(std::string& out, std::string_view type, std::string_view data) const {
  out += JsonObject().Set("agent", id_).Set("type", type).SetRaw("data", data).Take();
  out += '\n';
}

}  // namespace reeve
