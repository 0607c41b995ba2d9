#include "tests/support/recording_host.h"

#include <algorithm>
#include <utility>

namespace reeve {

void RecordingHost::Emit(std::string_view type, std::string_view data) {
  lines_.push_back(std::string(type) + " " + std::string(data));
  if (on_emit) on_emit();
}

void RecordingHost::OnReady() {
  lines_.emplace_back("> ready");
  if (on_ready) on_ready();
}

void RecordingHost::OnTurnStarted() { lines_.emplace_back("> turn started"); }

void RecordingHost::OnTurnEnded(const TurnEnd& end) {
  switch (end.outcome) {
    case TurnEnd::Outcome::kCompleted:
      lines_.emplace_back("> turn completed");
      break;
    case TurnEnd::Outcome::kCancelled:
      lines_.emplace_back("> turn cancelled");
      break;
    case TurnEnd::Outcome::kFailed:
      lines_.push_back("> turn failed " + end.error.code + ": " + end.error.message);
      break;
  }
  if (on_turn_ended) on_turn_ended();
}

void RecordingHost::OnApproval(ApprovalRequest request) {
  if (request.elicitation) {
    lines_.push_back("> elicitation " + request.id + " " + request.message + " " + request.schema);
  } else {
    lines_.push_back("> approval " + request.id + " " + request.tool + " " + request.input + " " +
                     request.call_id);
  }
  if (on_approval) on_approval(request);
}

void RecordingHost::OnApprovalGone(const std::string& id) { lines_.push_back("> approval gone " + id); }
void RecordingHost::OnSteered(const std::string& id, const Status& taken) {
  lines_.push_back(taken ? "> steered " + id : "> not steered " + id + ": " + taken.error().message);
}
void RecordingHost::OnSession(std::string id) { lines_.push_back("> session " + id); }
void RecordingHost::OnBroken(Error error) {
  lines_.push_back("> broken " + error.code + ": " + error.message);
}

Status RecordingHost::WriteStdin(std::string_view bytes) {
  lines_.push_back("> stdin " + std::string(bytes));
  return {};
}

void RecordingHost::CloseStdin() { lines_.emplace_back("> stdin closed"); }

void RecordingHost::OnStopPrepared() { lines_.emplace_back("> stop prepared"); }

Result<std::unique_ptr<Child>> RecordingHost::SpawnHelper(SpawnSpec spawn, Child::Handlers handlers) {
  if (spawn_beside) return spawn_beside(std::move(spawn), std::move(handlers));
  return Error{"not_running", "nothing can be run here"};
}

Result<std::unique_ptr<Child>> RecordingHost::AdoptHelper(ChildState state, Child::Handlers handlers) {
  if (adopt_beside) return adopt_beside(std::move(state), std::move(handlers));
  return Error{"handover_state", "nothing ran here"};
}

void RecordingHost::Signal(int signum) { lines_.push_back("> signal " + std::to_string(signum)); }

std::string RecordingHost::Text() const {
  std::string text;
  for (const std::string& line : lines_) text.append(line).append("\n");
  return text;
}

size_t RecordingHost::Count(std::string_view beginning) const {
  return static_cast<size_t>(std::count_if(
      lines_.begin(), lines_.end(),
      [beginning](const std::string& line) { return line.compare(0, beginning.size(), beginning) == 0; }));
}

}  // namespace reeve
