#include "control/cli/commands/attach_prompt.h"

#include <algorithm>
#include <map>
#include <utility>

#include "control/cli/show/event_words.h"
#include "control/cli/show/text.h"

namespace reeve {

namespace {

// Before a key answers, what it answers has been there so long, and so long nothing was typed: who is writing
// a sentence that begins with "y" does not mean what comes up under their fingers.
constexpr int64_t kHoldMs = 700;

// What an event makes of the state; empty: nothing.
std::string StateAfter(std::string_view type, const std::string& state) {
  static const std::map<std::string_view, const char*> kStates = {
      {"agent.starting", "starting"}, {"agent.stopping", "stopping"}, {"agent.restarting", "backoff"},
      {"agent.exited", "exited"},     {"agent.failed", "failed"},     {"agent.stalled", "stalled"},
      {"agent.resumed", "running"},   {"run.started", "running"},     {"run.completed", "idle"},
      {"run.failed", "idle"},         {"run.cancelled", "idle"}};
  if (type == "agent.ready") return state == "running" ? "" : "idle";
  const auto found = kStates.find(type);
  return found == kStates.end() ? "" : found->second;
}

}  // namespace

AttachPrompt::AttachPrompt(Loop& loop, std::string agent, size_t columns, bool colours, Actions actions)
    : agent_(std::move(agent)),
      columns_(columns),
      colours_(colours),
      actions_(std::move(actions)),
      screen_(columns, WriteToTerminal),
      seen_(loop, [this] {
        ready_ = true;
        Draw();
      }) {}

void AttachPrompt::Begin(const JsonValue& snapshot) {
  state_ = Plain(snapshot["agent"]["state"].StringOr(""));
  if (state_ == "needs_input") state_ = "running";  // which the approvals themselves say
  for (const JsonValue& pending : snapshot["pending"].Elements()) Add(pending);
  Hold();
  Draw();
}

void AttachPrompt::Take(const JsonValue& event) {
  const std::string_view type = event["type"].StringOr("");
  if (type == "approval.requested") {
    Add(event["data"]);
  } else if (type == "approval.resolved") {
    Forget(event["data"]["id"].StringOr(""));
  } else if (type == "agent.exited" && !approvals_.empty()) {
    approvals_.clear();
    answered_ = false;
  }
  if (std::string state = StateAfter(type, state_); !state.empty()) state_ = std::move(state);
  Draw();
}

void AttachPrompt::Add(const JsonValue& pending) {
  if (pending["kind"].StringOr("approval") != "approval") return;
  approvals_.push_back({std::string(pending["id"].StringOr("")),
                        Plain(TextOf(pending["tool"])) + " " + PrincipalInput(pending["input"])});
  if (approvals_.size() == 1) Hold();
}

void AttachPrompt::Forget(std::string_view id) {
  const auto found = std::find_if(approvals_.begin(), approvals_.end(),
                                  [id](const Approval& approval) { return approval.id == id; });
  if (found == approvals_.end()) return;
  const bool shown = found == approvals_.begin();
  approvals_.erase(found);
  if (!shown) return;
  answered_ = false;
  Hold();
}

void AttachPrompt::Hold() {
  ready_ = false;
  seen_.Start(kHoldMs);
}

void AttachPrompt::Type(std::string_view bytes) {
  const std::vector<Key> keys = keys_.Feed(bytes);
  for (const Key& key : keys) Take(key, keys.size() == 1);
  Draw();
}

void AttachPrompt::Take(const Key& key, bool alone) {
  using Kind = Key::Kind;
  const bool again = std::exchange(interrupted_, false);
  if (alone && key.kind == Kind::kText && asks()) {
    const char* decision = key.text == "y"   ? "allow_once"
                           : key.text == "a" ? "allow_always"
                           : key.text == "n" ? "deny"
                                             : nullptr;
    if (decision) {
      answered_ = true;
      return actions_.decide(approvals_.front().id, decision);
    }
  }
  switch (key.kind) {
    case Kind::kEnter:
      Hold();
      if (!editor_.empty()) actions_.send(editor_.Submit());
      return;
    case Kind::kInterrupt:
      if (again) return actions_.leave(true);
      interrupted_ = true;
      if (state_ != "running" && state_ != "stalled")
        return actions_.note("nothing runs; Ctrl-C again leaves, as Ctrl-D does");
      actions_.note("interrupting the run; Ctrl-C again leaves");
      return actions_.interrupt();
    case Kind::kEndOfInput:
      if (editor_.empty()) return actions_.leave(false);
      return;
    case Kind::kQuit:
      return actions_.quit();
    case Kind::kRedraw:
      return screen_.Redraw();
    case Kind::kSuspend:
      return Suspend();
    default:
      if (editor_.Take(key)) Hold();
  }
}

void AttachPrompt::GiveBack(const std::string& text) {
  editor_.Restore(text);
  Draw();
}

void AttachPrompt::AskAgain() {
  answered_ = false;
  Hold();
  Draw();
}

void AttachPrompt::Resize(size_t columns) {
  if (columns == 0) return;
  columns_ = columns;
  screen_.Resize(columns);
  Draw();
}

void AttachPrompt::Suspend() {
  screen_.Clear();
  mode_.Suspend();
  screen_.Redraw();
}

void AttachPrompt::Retake() {
  mode_.Leave();
  mode_.Enter();
  screen_.Redraw();
}

void AttachPrompt::End() {
  screen_.SetPrompt({}, 0);
  screen_.Clear();
  mode_.Leave();
}

void AttachPrompt::Draw() {
  // A column stays free: a full row would wrap.
  const size_t width = std::max<size_t>(columns_, 8) - 1;
  std::vector<std::string> rows;
  if (asks()) {
    const std::string keys = "  y once, a always, n deny";
    const std::string count =
        approvals_.size() > 1 ? " (1 of " + std::to_string(approvals_.size()) + ")" : "";
    const size_t rest = width > keys.size() + count.size() ? width - keys.size() - count.size() : 0;
    rows.push_back(Paint(colours_, Colour::kMagenta,
                         Fit(Fit("? " + approvals_.front().what, rest) + count + keys, width)));
  } else if (!approvals_.empty() && !answered_ && !editor_.empty()) {
    rows.push_back(
        Paint(colours_, Colour::kMagenta,
              Fit("? " + approvals_.front().what + "  (answered when nothing is typed here)", width)));
  }
  const std::string state = approvals_.empty() ? state_ : "needs_input";
  const std::string lead = Fit(agent_ + " ", width / 3);
  const std::string shown_state = Fit(state, width / 4);
  const size_t used = Columns(lead) + Columns(shown_state) + 2;
  const LineEditor::Row row = editor_.Draw(width > used ? width - used : 1);
  rows.push_back(Paint(colours_, Colour::kDim, lead) + Paint(colours_, ColourOf(state), shown_state) + "> " +
                 row.text);
  screen_.SetPrompt(std::move(rows), used + row.cursor);
}

}  // namespace reeve
