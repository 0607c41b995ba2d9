#include "control/cli/top/top_app.h"

#include <algorithm>
#include <csignal>
#include <utility>

#include "control/cli/line/exit_code.h"

namespace reeve {

namespace {

constexpr int64_t kDrawMs = 100;  // apart, whatever happens
constexpr int64_t kTickMs = 1'000;
constexpr int64_t kNoticeMs = 8'000;

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
  screen_.reset();
  return how_;
}

void TopApp::End(Result<int> how) {
  how_ = std::move(how);
  loop_.Stop();
}

// ------------------------------------------------------------------------------------------------- drawing

// A flood of events can keep the loop from its timers for seconds: then they draw, too.
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
  if (!screen_) return;
  const size_t columns = screen_->columns();
  const size_t rows = screen_->rows();
  const size_t body = rows - std::min<size_t>(rows, rows > 1 ? 1 : 0);
  const int64_t now_ms = clock_.WallMs();

  // Somebody else may have answered, or the agent no longer asks.
  std::vector<StyledLine> panel;
  const TopAsk* ask = Asked();
  if (asking_ && !ask) {
    asking_.reset();
    answer_.reset();
    if (typing_ && !typing_->ask.empty()) typing_.reset();
    Say("that has been answered, or is no longer asked", Colour::kYellow);
  } else if (ask) {
    const std::string text =
        ask->elicitation ? ask->text + "\n" + TopAnswer(ask->schema).Describe() : ask->text;
    asking_->shown = true;
    panel = DrawAsk(*model_.Find(asking_->agent), *ask, text, columns, std::max<size_t>(body * 2 / 3, 1),
                    asking_->skip);
  }

  const size_t above = body - std::min(body, panel.size());
  std::vector<StyledLine> lines;
  if (help_) {
    lines = TopHelp(columns);
  } else if (log_) {
    const TopAgent* agent = model_.Find(log_->agent());
    StyledLine head =
        agent ? TopView::Describe(*agent, now_ms) : StyledLine{{log_->agent(), Colour::kNone, true}};
    if (!log_->state().empty()) head.push_back({" · " + log_->state(), Colour::kYellow});
    StyledLine at;
    if (log_->back() != 0) at = {{std::to_string(log_->back()) + " lines below", Colour::kYellow}};
    const size_t room = above - std::min<size_t>(above, 1);
    auto log = log_->Draw(columns, room);
    if (above > 1) lines.push_back(Bar(Edges(head, at, columns), columns, true));
    lines.insert(lines.end(), log.begin(), log.end());
  } else {
    lines = view_.Draw(columns, above, now_ms);
    feed_.LookBack(view_.visible());
  }
  lines.resize(above);
  lines.insert(lines.end(), panel.begin(), panel.end());

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

StyledLine TopApp::Hints(size_t columns) {
  StyledLine line;
  auto key = [&line](const char* name, const char* what, Colour colour = Colour::kCyan) {
    line.push_back({line.empty() ? "" : "  "});
    line.push_back({name, colour, true});
    line.push_back({std::string(" ") + what});
  };
  if (confirming_) {
    const TopAgent* agent = model_.Find(confirming_->agent);
    const bool busy = agent && IsBusy(*agent);
    line = {{(confirming_->command == "stop" ? "Stop " : "Restart ") +
                 (agent ? agent->name() : confirming_->agent) + (busy ? ", in the middle of its run?" : "?"),
             Colour::kYellow, true}};
    key("y", "yes");
    key("n", "no");
    return line;
  }
  if (asking_) {
    const TopAsk* ask = Asked();
    const bool answers = ask && ask->elicitation;
    if (asking_->deny) {
      line = {{answers ? "Decline?" : "Deny?", Colour::kRed, true}};
      key("Enter", answers ? "decline" : "deny", Colour::kRed);
      if (!answers) key("r", "deny, and say why", Colour::kRed);
      key("a", answers ? "answer instead" : "allow instead");
    } else {
      line = {{answers ? "Answer?" : "Allow?", Colour::kGreen, true}};
      key("Enter", answers ? "answer" : "allow once", Colour::kGreen);
      if (!answers) key("A", "allow always", Colour::kGreen);
      key("d", answers ? "decline instead" : "deny instead");
    }
    key("Esc", "not now");
    return line;
  }
  if (!notice_.empty() && loop_.NowMs() - noticed_ms_ < kNoticeMs) return {{notice_, notice_colour_, true}};
  if (help_) return {{"any key: back", Colour::kDim}};
  const TopAgent* agent = model_.Find(Target());
  if (log_) {
    key("Esc", "back");
    key("↑↓", "scroll");
  } else if (agent) {
    key("Enter", "open");
  }
  if (agent && !agent->asks.empty()) {
    key("a", agent->asks.front().elicitation ? "answer" : "allow", Colour::kMagenta);
    key("d", agent->asks.front().elicitation ? "decline" : "deny", Colour::kMagenta);
  }
  if (agent) key("m", "message");
  if (agent && IsBusy(*agent)) key("i", "interrupt");
  if (agent && !IsOver(*agent)) key("s", "stop");
  if (agent) key("r", IsOver(*agent) ? "start" : "restart");
  if (!log_) key("/", "filter");
  if (!log_) key("<>", "sort");
  // How to learn the rest, and how to get out, is seen on any screen.
  StyledLine most = std::exchange(line, {});
  key("?", "help");
  if (!log_) key("q", "quit");
  return Edges(Fit(most, columns - std::min(columns, Columns(line) + 2)), line, columns);
}

}  // namespace reeve
