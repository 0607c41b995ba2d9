#include "control/cli/top/top_view.h"

#include <algorithm>
#include <array>
#include <utility>

#include "control/cli/top/top_columns.h"
#include "process/clock.h"

namespace reeve {

namespace {

std::vector<Span> HeadCells(const TopModel& model) {
  std::vector<Span> cells;
  for (const TopColumnInfo& column : kTopColumnInfo) {
    const char* mark = column.order != model.order() ? "" : model.reversed() ? "▴" : "▾";
    cells.push_back({std::string(column.name) + mark});
  }
  return cells;
}

Span StatusOf(const TopTown& town) {
  if (!town.connected) return {town.known ? "reconnecting…" : "connecting…", Colour::kYellow, true};
  if (town.status == "ok") return {"ok", Colour::kGreen};
  return {town.reason.empty() ? town.status : town.status + ": " + town.reason, Colour::kRed, true};
}

std::string Plural(int64_t count, const char* what) {
  return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
}

StyledLine CountsOf(const TopModel& model) {
  StyledLine line;
  for (const auto& [state, count] : model.CountStates()) {
    if (!line.empty()) line.push_back({" · ", Colour::kDim});
    line.push_back({std::to_string(count) + " " + StateWords(state), ColourOf(state)});
  }
  return line;
}

}  // namespace

StyledLine TopView::Title(size_t columns, size_t shown) const {
  StyledLine left = {{"reeve", Colour::kNone, true}};
  if (town_.known) left.push_back({" " + town_.name});
  left.push_back({"  "});
  left.push_back(StatusOf(town_));
  std::string right;
  if (town_.known) right = Plural(town_.viewers, "viewer") + " · up " + ShortDuration(town_.uptime_ms);
  const size_t all = model_.agents().size();
  const std::string agents = Plural(static_cast<int64_t>(all), "agent");
  AddTo(right, " · ", shown == all ? agents : std::to_string(shown) + " of " + agents);
  return Edges(left, {{right, Colour::kDim}}, columns);
}

StyledLine TopView::Counts(size_t columns) const {
  std::string right;
  if (model_.order() != TopOrder::kUrgency || model_.reversed())
    right = std::string("by ") + NameOf(model_.order()) + (model_.reversed() ? ", reversed" : "");
  if (!model_.filter().empty()) AddTo(right, " · ", "/" + model_.filter());
  return Edges(CountsOf(model_), {{right, Colour::kCyan}}, columns);
}

std::vector<StyledLine> TopView::Draw(size_t columns, size_t rows, int64_t now_ms) {
  const TopAgent* selected = model_.Selected();
  const auto agents = model_.Rows();
  visible_.clear();
  std::vector<StyledLine> lines;
  // A small screen shows agents rather than their summary.
  if (rows >= 3) lines.push_back(Title(columns, agents.size()));
  if (rows >= 6) lines.push_back(Counts(columns));
  const bool headed = rows >= 5;
  page_ = std::max<size_t>(rows - std::min(rows, lines.size() + (headed ? 1 : 0)), 1);

  const auto at = static_cast<size_t>(std::find(agents.begin(), agents.end(), selected) - agents.begin());
  first_ = std::min(first_, agents.size() - std::min(agents.size(), page_));
  if (selected && at < first_) first_ = at;
  if (selected && at >= first_ + page_) first_ = at + 1 - page_;
  const size_t end = std::min(agents.size(), first_ + page_);

  const auto widths = ColumnWidths(columns, agents);
  if (headed) lines.push_back(Bar(AlignCells(HeadCells(model_), widths), columns, true));
  for (size_t i = first_; i < end && lines.size() < rows; ++i) {
    visible_.push_back(agents[i]->id);
    lines.push_back(Bar(AlignCells(CellsOf(*agents[i], now_ms), widths), columns, agents[i] == selected));
  }
  if (agents.empty() && lines.size() + 1 < rows) {
    lines.emplace_back();
    const std::string why = !model_.filter().empty()
                                ? "No agent matches '" + model_.filter() + "'. Esc shows all."
                            : town_.connected ? "There are no agents yet: `reeve run` starts one."
                                              : "";
    lines.push_back(Fit({{"  " + why, Colour::kDim}}, columns));
  }
  return lines;
}

StyledLine TopView::Describe(const TopAgent& agent, int64_t now_ms) {
  const auto cells = CellsOf(agent, now_ms);
  StyledLine line = {{agent.name(), Colour::kNone, true}, {"  "}, cells[kState]};
  if (!agent.title.empty()) line.insert(line.begin() + 1, {" " + agent.id, Colour::kDim});
  auto add = [&line](const std::string& text) {
    if (!text.empty()) line.push_back({" · " + text, Colour::kDim});
  };
  add(agent.kind);
  add(cells[kRun].text);
  add(cells[kTokens].text.empty() ? "" : cells[kTokens].text + " tokens");
  add(cells[kCost].text);
  add(cells[kCpu].text.empty() ? "" : cells[kCpu].text + "% CPU");
  add(cells[kMemory].text);
  if (agent.queue_depth != 0)
    add(Plural(agent.queue_depth, "message") + (agent.queue_paused ? " held back" : " waiting"));
  return line;
}

std::string TopView::Table(const TopModel& model, const TopTown& town, bool colours, size_t columns,
                           int64_t now_ms) {
  reeve::Table table;
  std::vector<Table::Cell> head;
  head.reserve(std::size(kTopColumnInfo));
  for (const TopColumnInfo& column : kTopColumnInfo) head.push_back({column.name, Colour::kBold});
  table.Add(std::move(head));
  for (const TopAgent* agent : model.Rows()) {
    std::vector<Table::Cell> row;
    for (const Span& cell : CellsOf(*agent, now_ms)) row.push_back({cell.text, cell.colour});
    table.Add(std::move(row));
  }
  std::string counts;
  for (const auto& [state, count] : model.CountStates())
    counts += ", " + std::to_string(count) + " " + StateWords(state);
  const std::string reason = town.reason.empty() ? "" : " (" + town.reason + ")";
  return "reeve " + town.name + ": " + town.status + reason + counts + "; " + Plural(town.viewers, "viewer") +
         ", up " + ShortDuration(town.uptime_ms) + "\n" +
         (table.size() > 1 ? table.Show(colours, columns) : "");
}

std::string TopView::Json(const TopAgent& agent) {
  JsonArray asks;
  for (const TopAsk& ask : agent.asks) {
    JsonObject one;
    one.Set("id", ask.id).Set("kind", ask.elicitation ? "elicitation" : "approval");
    if (!ask.tool.empty()) one.Set("tool", ask.tool);
    asks.AddRaw(one.Set("text", ask.text).Take());
  }
  JsonObject json;
  json.Set("id", agent.id).Set("title", agent.title).Set("kind", agent.kind).Set("state", agent.state());
  const AgentState& lifecycle = agent.lifecycle;
  if (lifecycle.busy())
    json.Set("run", lifecycle.run).Set("run_started_at", FormatTime(lifecycle.run_started_ms));
  json.Set("tokens", agent.tokens).Set("cost_usd", agent.cost_usd);
  json.Set("cpu_percent", agent.cpu_percent).Set("rss_bytes", agent.rss_bytes);
  json.Set("queue_depth", agent.queue_depth).Set("queue_paused", agent.queue_paused);
  json.Set("viewers", agent.viewers).SetRaw("asks", asks.Take());
  if (agent.last_event_ms != 0) json.Set("last_event_at", FormatTime(agent.last_event_ms));
  return json.Set("last", agent.last).Take();
}

std::vector<StyledLine> DrawAsk(const TopAgent& agent, const TopAsk& ask, const std::string& text,
                                size_t columns, size_t rows, size_t& skip) {
  if (rows == 0) return {};
  std::vector<StyledLine> all;
  for (const std::string_view paragraph : SplitLines(text)) {
    for (StyledLine& line : Wrap({{std::string(paragraph)}}, columns - std::min<size_t>(columns, 4))) {
      line.insert(line.begin(), {"  "});
      all.push_back(std::move(line));
    }
  }
  const size_t room = rows - 1;
  skip = std::min(skip, all.size() - std::min(all.size(), room));
  const size_t end = std::min(all.size(), skip + room);
  std::string more;
  if (agent.asks.size() > 1) more = "1 of " + std::to_string(agent.asks.size()) + "  ";
  if (all.size() > room)
    more += "lines " + std::to_string(skip + 1) + "-" + std::to_string(end) + " of " +
            std::to_string(all.size()) + " ↑↓ ";
  const std::string what = ask.elicitation ? " asks for an answer" : " asks to use " + ask.tool;
  std::vector<StyledLine> lines = {
      Bar(Edges({{" " + agent.name() + what, Colour::kMagenta, true}}, {{more, Colour::kMagenta}}, columns),
          columns, true)};
  lines.insert(lines.end(), all.begin() + static_cast<std::ptrdiff_t>(skip),
               all.begin() + static_cast<std::ptrdiff_t>(end));
  return lines;
}

std::vector<StyledLine> TopHelp(size_t columns) {
  constexpr std::array<std::pair<const char*, const char*>, 18> kKeys = {{
      {"↑ ↓  j k", "select an agent"},
      {"PgUp PgDn", "scroll a page; Home and End (g, G) select the first and the last"},
      {"Enter", "open the live log of the agent"},
      {"", ""},
      {"a  y", "read its request and allow it, or answer its question"},
      {"d  n", "read its request and deny it"},
      {"m", "send a message"},
      {"i", "interrupt its present run; queued messages are held back"},
      {"s", "stop it; r starts it again"},
      {"r", "restart it, or start it if it has stopped"},
      {"", ""},
      {"/", "filter agents by words in name, id, kind, state or labels"},
      {"< >", "sort by another column"},
      {"R", "reverse the order"},
      {"^L", "redraw the screen"},
      {"?", "show this help"},
      {"q  ^C", "quit"},
      {"", "CPU (of one core) and resident memory are those of the agent's own process."},
  }};
  std::vector<StyledLine> lines = {{{"reeve top", Colour::kNone, true}}, {}};
  for (const auto& [key, what] : kKeys) {
    std::string name = key;
    name.append(11 - std::min<size_t>(11, Columns(name)), ' ');
    lines.push_back(Fit({{"  " + name, Colour::kCyan}, {what}}, columns));
  }
  return lines;
}

}  // namespace reeve
