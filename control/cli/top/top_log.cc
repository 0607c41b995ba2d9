#include "control/cli/top/top_log.h"

#include <algorithm>
#include <utility>

#include "control/cli/client/agent_names.h"
#include "process/loop.h"

namespace reeve {

namespace {

constexpr const char* kPastEvents = "500";
constexpr size_t kMaxLines = 5'000;

}  // namespace

TopLog::TopLog(Loop& loop, HttpClient& http, const Client& client, std::string agent, size_t columns,
               std::function<void()> on_change)
    : loop_(loop),
      http_(http),
      client_(client),
      agent_(std::move(agent)),
      on_change_(std::move(on_change)),
      printer_({.colours = true, .live = true, .columns = columns},
               [this](std::string_view text) { Take(text); }),
      calls_(http),
      lines_(1),
      columns_(columns) {
  HttpRequest request = client_.Request("GET", AgentPath(agent_) + "/events?tail=" + kPastEvents);
  request.max_body_bytes = size_t{256} << 20;
  calls_.Send(std::move(request), [this](const Result<JsonDocument>& past) {
    state_ = past ? "" : Plain(past.error().message);
    if (!past) return on_change_();
    if ((*past)["gap"]["from"]) printer_.Gap(agent_, (*past)["gap"]);
    for (const JsonValue& event : (*past)["events"].Elements()) printer_.Print(event);
    printer_.Pause();
    Follow(std::string((*past)["cursor"].StringOr("")));
    on_change_();
  });
}

void TopLog::Follow(const std::string& cursor) {
  EventStream::Handlers handlers;
  handlers.on_event = [this](const JsonValue& event) {
    printer_.Print(event);
    on_change_();
  };
  handlers.on_pause = [this] {
    printer_.Pause();
    on_change_();
  };
  handlers.on_gap = [this](const JsonValue& gap) { printer_.Gap(agent_, gap); };
  handlers.on_connection = [this](bool up) {
    state_ = up ? "" : "reconnecting…";
    on_change_();
  };
  handlers.on_end = [this](const Result<std::string>& reason) {
    printer_.End();
    state_ = !reason                      ? Plain(reason.error().message)
             : *reason == "agent_deleted" ? "the agent has been deleted"
                                          : "the log has ended";
    on_change_();
  };
  EventStream::What what{.agents = {agent_}, .cursors = {}, .types = {}, .follow = true, .from_now = false};
  what.cursors[agent_] = cursor;
  stream_ = std::make_unique<EventStream>(loop_, http_, client_, std::move(what), std::move(handlers));
  stream_->Open();
}

void TopLog::Take(std::string_view painted) {
  const auto lines = SplitLines(painted);
  for (size_t i = 0; i < lines.size(); ++i) {
    AppendPainted(lines_.back(), colour_, lines[i]);
    if (i + 1 < lines.size() || painted.ends_with('\n')) EndLine();
  }
}

void TopLog::EndLine() {
  // A person who has scrolled back keeps seeing the same lines.
  if (back_ != 0) back_ += Wrap(lines_.back(), columns_).size();
  lines_.emplace_back();
  if (lines_.size() > kMaxLines) lines_.pop_front();
}

std::vector<StyledLine> TopLog::Draw(size_t columns, size_t rows) {
  if (columns != columns_) printer_.Resize(columns);
  columns_ = columns;
  // Wraps from the end, until the screen is full.
  std::deque<StyledLine> drawn;
  size_t above = lines_.size();
  if (lines_.back().empty()) --above;
  while (above != 0 && drawn.size() < rows + back_) {
    const auto wrapped = Wrap(lines_[--above], columns);
    drawn.insert(drawn.begin(), wrapped.begin(), wrapped.end());
  }
  back_ = std::min(back_, drawn.size() - std::min(drawn.size(), rows));
  const size_t end = drawn.size() - back_;
  const size_t begin = end - std::min(end, rows);
  return {drawn.begin() + static_cast<std::ptrdiff_t>(begin),
          drawn.begin() + static_cast<std::ptrdiff_t>(end)};
}

void TopLog::Scroll(int64_t rows_up) {
  if (rows_up < 0) {
    back_ -= std::min(back_, static_cast<size_t>(-rows_up));
  } else {
    back_ += static_cast<size_t>(rows_up);
  }
}

}  // namespace reeve
