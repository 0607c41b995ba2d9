#include "control/cli/commands/attach_prompt.h"

#include <algorithm>
#include <utility>

#include "control/cli/show/event_words.h"
#include "control/cli/show/text.h"
#include "orchestrator/log/event_types.h"

namespace reeve {

namespace {

// A key answers a request only after the request has been visible for so long and nothing was typed for so
// long. A person who types a sentence that begins with "y" does not mean a request that appears meanwhile.
constexpr int64_t kHoldMs = 700;

const char* DecisionOf(const std::string& key) {
  if (key == "y") return "allow_once";
  if (key == "a") return "allow_always";
  if (key == "t") return "allow_tool";
  if (key == "s") return "allow_session";
  return key == "n" ? "deny" : nullptr;
}

}  // namespace

AttachPrompt::AttachPrompt(Loop& loop, std::string agent, size_t columns, bool colours, Actions actions)
    : agent_(std::move(agent)),
      columns_(columns),
      actions_(std::move(actions)),
      screen_(columns, colours, WriteToTerminal),
      hold_(loop, [this] {
        ready_ = true;
        Draw();
      }) {}

void AttachPrompt::Begin(const JsonValue& snapshot) {
  state_.TakeAgent(snapshot["agent"]);
  for (const JsonValue& pending : snapshot["pending"].Elements()) Add(pending);
  Hold();
  Draw();
}

void AttachPrompt::Take(const JsonValue& event) {
  const std::string_view type = event["type"].StringOr("");
  if (type == event_type::kApprovalRequested) {
    Add(event["data"]);
  } else if (type == event_type::kApprovalResolved) {
    Remove(event["data"]["id"].StringOr(""));
  } else if (type == event_type::kAgentExited) {
    approvals_.clear();
    answered_ = false;
  }
  state_.TakeEvent(event);
  Draw();
}

void AttachPrompt::Add(const JsonValue& pending) {
  if (pending["kind"].StringOr("approval") != "approval") return;
  approvals_.push_back({std::string(pending["id"].StringOr("")),
                        PlainTextOf(pending["tool"]) + " " + PrincipalInput(pending["input"])});
  if (approvals_.size() == 1) Hold();
}

void AttachPrompt::Remove(std::string_view id) {
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
  hold_.Start(kHoldMs);
}

void AttachPrompt::Type(std::string_view bytes) {
  const std::vector<Key> keys = keys_.Feed(bytes);
  for (const Key& key : keys) Press(key, keys.size() == 1);
  Draw();
}

// `alone`: no other key arrived with it.
void AttachPrompt::Press(const Key& key, bool alone) {
  using Kind = Key::Kind;
  const bool again = std::exchange(interrupted_, false);
  if (alone && key.kind == Kind::kText && asks()) {
    if (const char* decision = DecisionOf(key.text)) {
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
      if (!state_.busy()) return actions_.note("no run is active; press Ctrl-C again to leave");
      actions_.note("interrupting the run; press Ctrl-C again to leave");
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

void AttachPrompt::Restore(const std::string& text) {
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
  const size_t width = std::max<size_t>(columns_, 8) - 1;  // a full row would wrap
  std::vector<StyledLine> rows;
  if (asks()) {
    const std::string keys = "  y once, a always, t tool, s session, n deny";
    const std::string count =
        approvals_.size() > 1 ? " (1 of " + std::to_string(approvals_.size()) + ")" : "";
    const size_t rest = width - std::min(width, keys.size() + count.size());
    const std::string request = Fit("? " + approvals_.front().gist, rest) + count + keys;
    rows.push_back({{Fit(request, width), Colour::kMagenta}});
  } else if (!approvals_.empty() && !answered_ && !editor_.empty()) {
    const std::string request = "? " + approvals_.front().gist + "  (clear the line to answer)";
    rows.push_back({{Fit(request, width), Colour::kMagenta}});
  }
  const std::string_view state = state_.Name(!approvals_.empty());
  StyledLine line = {
      {Fit(agent_ + " ", width / 3), Colour::kDim}, {Fit(state, width / 4), ColourOf(state)}, {"> "}};
  const size_t used = Columns(line);
  const LineEditor::Row row = editor_.Draw(width > used ? width - used : 1);
  line.push_back({row.text});
  rows.push_back(std::move(line));
  screen_.SetPrompt(std::move(rows), used + row.cursor);
}

}  // namespace reeve
