#include "control/cli/top/top_app.h"

#include <algorithm>
#include <csignal>
#include <utility>

#include "control/cli/line/exit_code.h"

namespace reeve {

namespace {

constexpr int64_t kDrawMs = 100;  // least time between two drawings
constexpr int64_t kTickMs = 1'000;
constexpr int64_t kNoticeMs = 8'000;

void AddHint(StyledLine& line, const char* key, const char* action, Colour colour = Colour::kCyan) {
  line.push_back({line.empty() ? "" : "  "});
  line.push_back({key, colour, true});
  line.push_back({std::string(" ") + action});
}

}  // namespace

TopApp::TopApp(Loop& loop, const Client& client, bool colours)
    : loop_(loop),
      client_(client),
      colours_(colours),
      http_(loop),
      input_(loop, [this](const std::string& bytes) { TakeInput(bytes); }),
      view_(model_, town_),
      feed_(loop, http_, client, model_, town_,
            {[this] { Changed(); }, [this](const Error& error) { End(error); },
             [this](const Error& error) { Say(error.message, Colour::kRed); }}),
      draw_(loop, [this] { Draw(); }),
      tick_(loop, [this] { Changed(); }),
      lapse_(loop, [this] { Take(keys_.Lapse()); }) {}

Result<int> TopApp::Run() {
  auto screen = FullScreen::Open(colours_);
  if (!screen) return screen.error();
  screen_ = std::move(*screen);
  input_.Read();
  loop_.OnSignal(SIGWINCH, [this] {
    screen_->Resize();
    Draw();
  });
  loop_.OnSignal(SIGTSTP, [this] { Suspend(); });
  loop_.OnSignal(SIGINT, [this] { End(kCancelled); });
  for (const int signum : {SIGTERM, SIGHUP})
    loop_.OnSignal(signum, [this, signum] { End(kSignalled + signum); });
  feed_.Start();
  tick_.Start(kTickMs, kTickMs);
  Draw();
  loop_.Run();
  input_.Stop();
  return code_;
}

void TopApp::End(Result<int> code) {
  code_ = std::move(code);
  loop_.Stop();
}

// ------------------------------------------------------------------------------------------------- drawing

// Draws from an event too, because a flood of events delays timers for seconds.
void TopApp::Changed() {
  const int64_t since_ms = clock_.MonotonicMs() - drawn_ms_;
  if (since_ms >= kDrawMs) return Draw();
  if (!draw_.active()) draw_.Start(kDrawMs - since_ms);
}

void TopApp::Say(std::string_view text, Colour colour) {
  notice_ = Plain(text);
  notice_colour_ = colour;
  noticed_ms_ = loop_.NowMs();
  Changed();
}

void TopApp::Draw() {
  drawn_ms_ = clock_.MonotonicMs();
  draw_.Stop();
  const size_t columns = screen_->columns();
  const size_t body = screen_->rows() - (screen_->rows() > 1 ? 1 : 0);

  const auto request = DrawRequest(columns, body);
  const size_t above = body - std::min(body, request.size());
  std::vector<StyledLine> lines;
  if (help_) {
    lines = TopHelp(columns);
  } else if (log_) {
    lines = DrawLog(columns, above);
  } else {
    lines = view_.Draw(columns, above, clock_.WallMs());
    feed_.LookBack(view_.visible());
  }
  lines.resize(above);
  lines.insert(lines.end(), request.begin(), request.end());

  std::optional<FullScreen::Place> cursor;
  if (typing_) {
    const std::string prompt = Fit(typing_->prompt, columns / 2);
    const size_t indent = Columns(prompt);
    const auto row = typing_->editor.Draw(columns - indent);
    cursor = FullScreen::Place{lines.size(), indent + row.cursor};
    lines.push_back({{prompt, Colour::kNone, true}, {row.text}});
  } else {
    lines.push_back(Fit(Hints(columns), columns));
  }
  screen_->Show(lines, cursor);
}

std::vector<StyledLine> TopApp::DrawRequest(size_t columns, size_t rows) {
  if (!asking_) return {};
  const TopAsk* ask = Asked();
  if (!ask) {  // another client has answered it, or the agent has withdrawn it
    typing_.reset();
    asking_.reset();
    answer_.reset();
    Say("the request was answered elsewhere, or withdrawn", Colour::kYellow);
    return {};
  }
  asking_->shown = true;
  std::string text = ask->text;
  if (ask->elicitation) text += "\n" + TopAnswer(ask->schema).Describe();
  return DrawAsk(*model_.Find(asking_->agent), *ask, text, columns, std::max<size_t>(rows * 2 / 3, 1),
                 asking_->skip);
}

std::vector<StyledLine> TopApp::DrawLog(size_t columns, size_t rows) {
  const TopAgent* agent = model_.Find(log_->agent());
  StyledLine head = {{log_->agent(), Colour::kNone, true}};
  if (agent) head = TopView::Describe(*agent, clock_.WallMs());
  if (!log_->state().empty()) head.push_back({" · " + log_->state(), Colour::kYellow});
  auto lines = log_->Draw(columns, rows - std::min<size_t>(rows, 1));
  StyledLine below;
  if (log_->back() != 0) below = {{std::to_string(log_->back()) + " lines below", Colour::kYellow}};
  if (rows > 1) lines.insert(lines.begin(), Bar(Edges(head, below, columns), columns, true));
  return lines;
}

// --------------------------------------------------------------------------------------------------- hints

StyledLine TopApp::ConfirmingHints() const {
  const auto agent = model_.agents().find(confirming_->agent);
  const bool known = agent != model_.agents().end();
  const bool busy = known && agent->second.lifecycle.busy();
  StyledLine line = {{(confirming_->command == "stop" ? "Stop " : "Restart ") +
                          (known ? agent->second.name() : confirming_->agent) +
                          (busy ? ", in the middle of its run?" : "?"),
                      Colour::kYellow, true}};
  AddHint(line, "y", "yes");
  AddHint(line, "n", "no");
  return line;
}

StyledLine TopApp::AskingHints() {
  const TopAsk* ask = Asked();
  const bool answers = ask && ask->elicitation;
  StyledLine line;
  if (asking_->deny) {
    line = {{answers ? "Decline?" : "Deny?", Colour::kRed, true}};
    AddHint(line, "Enter", answers ? "decline" : "deny", Colour::kRed);
    if (!answers) AddHint(line, "r", "deny with a reason", Colour::kRed);
    AddHint(line, "a", answers ? "answer instead" : "allow instead");
  } else {
    line = {{answers ? "Answer?" : "Allow?", Colour::kGreen, true}};
    AddHint(line, "Enter", answers ? "answer" : "allow once", Colour::kGreen);
    if (!answers) {
      AddHint(line, "A", "always", Colour::kGreen);
      AddHint(line, "T", "this tool", Colour::kGreen);
      AddHint(line, "S", "this session", Colour::kGreen);
    }
    AddHint(line, "d", answers ? "decline instead" : "deny instead");
  }
  AddHint(line, "Esc", "not now");
  return line;
}

StyledLine TopApp::Hints(size_t columns) {
  if (confirming_) return ConfirmingHints();
  if (asking_) return AskingHints();
  if (!notice_.empty() && loop_.NowMs() - noticed_ms_ < kNoticeMs) return {{notice_, notice_colour_, true}};
  if (help_) return {{"any key: back", Colour::kDim}};
  const TopAgent* agent = model_.Find(Target());
  StyledLine line;
  if (log_) {
    AddHint(line, "Esc", "back");
    AddHint(line, "↑↓", "scroll");
  } else if (agent) {
    AddHint(line, "Enter", "open");
  }
  if (agent && !agent->asks.empty()) {
    AddHint(line, "a", agent->asks.front().elicitation ? "answer" : "allow", Colour::kMagenta);
    AddHint(line, "d", agent->asks.front().elicitation ? "decline" : "deny", Colour::kMagenta);
  }
  if (agent) {
    AddHint(line, "m", "message");
    if (agent->lifecycle.busy()) AddHint(line, "i", "interrupt");
    if (!agent->lifecycle.over()) AddHint(line, "s", "stop");
    AddHint(line, "r", agent->lifecycle.over() ? "start" : "restart");
  }
  if (!log_) {
    AddHint(line, "/", "filter");
    AddHint(line, "<>", "sort");
  }
  // Help and quit stay visible on a narrow screen.
  StyledLine last;
  AddHint(last, "?", "help");
  if (!log_) AddHint(last, "q", "quit");
  return Edges(Fit(line, columns - std::min(columns, Columns(last) + 2)), last, columns);
}

}  // namespace reeve
