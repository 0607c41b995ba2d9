// The keys of `reeve top`.
#include <algorithm>
#include <csignal>
#include <optional>
#include <utility>

#include "control/cli/client/agent_names.h"
#include "control/cli/line/exit_code.h"
#include "control/cli/top/top_app.h"

namespace reeve {

namespace {

using Kind = Key::Kind;

constexpr int64_t kLapseMs = 50;  // the bytes of one key arrive together
constexpr size_t kRequestPage = 10;
constexpr int64_t kAll = int64_t{1} << 40;

// Rows down for a key that moves a selection or scrolls; beyond the end for Home and End.
std::optional<int64_t> MotionOf(const Key& key, size_t page) {
  const auto rows = static_cast<int64_t>(page);
  if (key.kind == Kind::kUp || key.text == "k") return -1;
  if (key.kind == Kind::kDown || key.text == "j") return 1;
  if (key.kind == Kind::kPageUp) return -rows;
  if (key.kind == Kind::kPageDown) return rows;
  if (key.kind == Kind::kHome || key.text == "g") return -kAll;
  if (key.kind == Kind::kEnd || key.text == "G") return kAll;
  return std::nullopt;
}

}  // namespace

void TopApp::TakeInput(const std::string& bytes) {
  if (bytes.empty()) return End(kSignalled + SIGHUP);  // the terminal is gone
  Take(keys_.Feed(bytes));
  if (keys_.waits()) lapse_.Start(kLapseMs);
  input_.Read();
}

void TopApp::Take(const std::vector<Key>& keys) {
  for (const Key& key : keys) Press(key);
  if (!keys.empty()) Draw();
}

void TopApp::Press(const Key& key) {
  if (key.kind == Kind::kRedraw) return screen_->Invalidate();
  if (key.kind == Kind::kInterrupt) return End(kCancelled);
  if (key.kind == Kind::kQuit) return End(kSignalled + SIGQUIT);
  if (key.kind == Kind::kSuspend) return Suspend();
  if (typing_) return PressWhileTyping(key);
  if (key.kind == Kind::kPaste) return;  // pasted text is not a command
  notice_.clear();
  if (asking_) return PressWhileAsking(key);
  if (confirming_) {
    const Confirming asked = *std::exchange(confirming_, std::nullopt);
    if (key.text == "y" || key.kind == Kind::kEnter) Order(asked.agent, asked.command);
    return;
  }
  if (help_) {
    help_ = false;
    return;
  }
  log_ ? PressInLog(key) : PressInList(key);
}

void TopApp::PressInList(const Key& key) {
  if (const auto rows = MotionOf(key, view_.page())) return model_.Move(*rows);
  if (key.kind == Kind::kEscape) return model_.SetFilter("");
  const std::string target = Target();
  if (key.kind == Kind::kEnter && !target.empty())
    log_ = std::make_unique<TopLog>(loop_, http_, client_, target, screen_->columns(), [this] { Changed(); });
  const auto order = static_cast<size_t>(model_.order());
  if (key.text == "/") {
    typing_ = Typing{Typing::Purpose::kFilter, "", "/"};
    typing_->editor.Take({Kind::kPaste, model_.filter()});
  } else if (key.text == "<") {
    model_.SetOrder(static_cast<TopOrder>((order + kTopOrders - 1) % kTopOrders));
  } else if (key.text == ">") {
    model_.SetOrder(static_cast<TopOrder>((order + 1) % kTopOrders));
  } else if (key.text == "R") {
    model_.SetReversed(!model_.reversed());
  } else if (key.text == "q") {
    Quit();
  } else {
    PressForAgent(key);
  }
}

void TopApp::PressInLog(const Key& key) {
  const size_t page = std::max<size_t>(screen_->rows(), 4) - 3;
  if (const auto rows = MotionOf(key, page)) return log_->Scroll(-*rows);
  if (key.kind == Kind::kEscape || key.kind == Kind::kLeft || key.text == "q") return log_.reset();
  PressForAgent(key);
}

// Keys that act on an agent, in the list and in its log.
void TopApp::PressForAgent(const Key& key) {
  if (key.text == "?") {
    help_ = true;
    return;
  }
  const std::string id = Target();
  const TopAgent* agent = model_.Find(id);
  if (!agent) return;
  if (key.text == "a" || key.text == "y") {
    Ask(id, false);
  } else if (key.text == "d" || key.text == "n") {
    Ask(id, true);
  } else if (key.text == "i") {
    Order(id, "interrupt");
  } else if (key.text == "m") {
    typing_ = Typing{Typing::Purpose::kMessage, id, "to " + agent->name() + ": "};
  } else if (key.text == "s") {
    confirming_ = Confirming{id, "stop"};
  } else if (key.text == "r" && agent->lifecycle.busy() && !agent->lifecycle.over()) {
    confirming_ = Confirming{id, "restart"};
  } else if (key.text == "r") {
    Order(id, agent->lifecycle.over() ? "start" : "restart");
  }
}

std::string TopApp::Target() {
  if (log_) return log_->agent();
  const TopAgent* selected = model_.Selected();
  return selected ? selected->id : std::string();
}

void TopApp::PressWhileTyping(const Key& key) {
  const bool filter = typing_->purpose == Typing::Purpose::kFilter;
  if (key.kind == Kind::kEscape || (key.kind == Kind::kBackspace && typing_->editor.empty())) {
    if (filter) model_.SetFilter("");
    typing_.reset();
    answer_.reset();
  } else if (key.kind == Kind::kEnter) {
    Typing typed = *std::exchange(typing_, std::nullopt);
    Typed(typed, typed.editor.Submit());
  } else {
    typing_->editor.Take(key);
    if (filter) model_.SetFilter(typing_->editor.text());
  }
}

void TopApp::Typed(const Typing& typing, const std::string& text) {
  switch (typing.purpose) {
    case Typing::Purpose::kFilter:
      return;
    case Typing::Purpose::kMessage:
      if (text.empty()) return;
      return Send(typing.agent, "message", AgentPath(typing.agent) + "/message",
                  JsonObject().Set("text", text).Take(), "has the message");
    case Typing::Purpose::kReason:
      return Decide("deny", text);
    case Typing::Purpose::kAnswer:
      notice_.clear();
      if (Status given = answer_->Give(text); !given) Say(given.error().message, Colour::kRed);
      return NextField();
  }
}

// ---------------------------------------------------------------------------------------------- requests

const TopAsk* TopApp::Asked() {
  const TopAgent* agent = asking_ ? model_.Find(asking_->agent) : nullptr;
  if (!agent) return nullptr;
  for (const TopAsk& ask : agent->asks) {
    if (ask.serial == asking_->serial) return &ask;
  }
  return nullptr;
}

void TopApp::Ask(const std::string& id, bool deny) {
  const TopAgent* agent = model_.Find(id);
  if (agent->asks.empty()) return Say(agent->name() + " has no open request", Colour::kYellow);
  const TopAsk& ask = agent->asks.front();
  asking_ = Asking{id, ask.id, ask.serial, deny};
}

void TopApp::PressWhileAsking(const Key& key) {
  const TopAsk* ask = Asked();
  if (!ask) return;  // Draw reports it
  const bool approval = !ask->elicitation;
  if (key.kind == Kind::kEscape || key.text == "q") return asking_.reset();
  if (const auto rows = MotionOf(key, kRequestPage)) {
    asking_->skip = static_cast<size_t>(std::max<int64_t>(0, static_cast<int64_t>(asking_->skip) + *rows));
  } else if (key.text == "a" || key.text == "y") {
    asking_->deny = false;
  } else if (key.text == "d" || key.text == "n") {
    asking_->deny = true;
  } else if (!asking_->shown) {
    return;
  } else if (key.kind == Kind::kEnter && approval) {
    Decide(asking_->deny ? "deny" : "allow_once", "");
  } else if (key.kind == Kind::kEnter && asking_->deny) {
    Answer("decline", "");
  } else if (key.kind == Kind::kEnter) {
    answer_.emplace(ask->schema);
    NextField();
  } else if (key.text == "A" && approval && !asking_->deny) {
    Decide("allow_always", "");
  } else if (key.text == "T" && approval && !asking_->deny) {
    Decide("allow_tool", "");
  } else if (key.text == "S" && approval && !asking_->deny) {
    Decide("allow_session", "");
  } else if (key.text == "r" && approval && asking_->deny) {
    typing_ = Typing{Typing::Purpose::kReason, asking_->agent, "reason: "};
  }
}

void TopApp::NextField() {
  if (!Asked()) return;  // Draw reports it
  if (answer_->complete()) return Answer("accept", answer_->content());
  const std::string prompt = (notice_.empty() ? "" : notice_ + ". ") + answer_->prompt() + ": ";
  typing_ = Typing{Typing::Purpose::kAnswer, asking_->agent, prompt};
}

void TopApp::Decide(const char* decision, const std::string& reason) {
  if (!Asked()) return;  // Draw reports it
  const Asking asked = *std::exchange(asking_, std::nullopt);
  JsonObject body;
  body.Set("decision", decision);
  if (!reason.empty()) body.Set("reason", reason);
  Send(asked.agent, decision, AgentPath(asked.agent) + "/approvals/" + PercentEncode(asked.ask), body.Take(),
       std::string_view(decision) == "deny" ? "was denied" : "may proceed");
}

void TopApp::Answer(const char* action, const std::string& content) {
  const Asking asked = *std::exchange(asking_, std::nullopt);
  answer_.reset();
  JsonObject body;
  body.Set("action", action).SetRaw("content", content);
  Send(asked.agent, action, AgentPath(asked.agent) + "/elicitations/" + PercentEncode(asked.ask), body.Take(),
       content.empty() ? "got no answer" : "has the answer");
}

void TopApp::Order(const std::string& agent, const std::string& command) {
  Send(agent, command, AgentPath(agent) + "/" + command, "",
       command == "stop"        ? "is being stopped"
       : command == "start"     ? "is being started"
       : command == "interrupt" ? "is being interrupted"
                                : "is being restarted");
}

void TopApp::Suspend() {
  screen_->Suspend();
  Draw();
}

// Waits for the answers to all orders; a second q quits at once.
void TopApp::Quit() {
  if (quitting_ || !feed_.has_orders()) return End(kOk);
  quitting_ = true;
  Say("the daemon has not answered yet; press q again to quit anyway", Colour::kYellow);
}

void TopApp::Send(const std::string& agent, const std::string& order, const std::string& path,
                  std::string body, const std::string& done) {
  const TopAgent* known = model_.Find(agent);
  const std::string name = known ? known->name() : agent;
  feed_.Order(path, std::move(body), [this, name, order, done](const Result<JsonDocument>& answer) {
    if (answer && quitting_ && !feed_.has_orders()) return End(kOk);
    if (answer) return Say(name + " " + done, Colour::kGreen);
    quitting_ = false;  // the person must be able to read this
    const char* hint = HintFor(answer.error());
    Say(order + ": " + answer.error().message + (*hint ? "; " : "") + hint, Colour::kRed);
  });
}

}  // namespace reeve
