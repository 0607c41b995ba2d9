#include "control/cli/top/top_view.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <utility>

#include "process/clock.h"

namespace reeve {

namespace {

constexpr int64_t kSecondMs = 1'000;
constexpr int64_t kMinuteMs = 60 * kSecondMs;
constexpr int64_t kHourMs = 60 * kMinuteMs;
constexpr int64_t kDayMs = 24 * kHourMs;
constexpr size_t kMaxName = 32;
constexpr size_t kMinName = 8;
constexpr size_t kMinLast = 24;  // what an agent says last is worth more than any number

std::string Printed(const char* format, double number) {
  std::array<char, 32> text{};
  (void)std::snprintf(text.data(), text.size(), format, number);
  return text.data();
}

// Three digits or so.
std::string Scaled(double number, double base, std::string_view units) {
  size_t unit = 0;
  while (unit + 1 < units.size() && number >= base * 0.9995) {
    number /= base;
    ++unit;
  }
  const char* format = unit == 0 || number >= 99.95 ? "%.0f" : "%.1f";
  return Printed(format, number) + (unit == 0 ? "" : std::string(1, units[unit]));
}

std::string StateWords(std::string_view state) {
  std::string words(state);
  std::replace(words.begin(), words.end(), '_', ' ');
  return words;
}

// Numbers stand at the right. `rank`: where there is no room for all, those with the highest go first.
struct Column {
  const char* name;
  size_t width;
  bool right;
  int rank;
  std::vector<TopOrder> orders;
};
enum ColumnIndex : size_t { kState, kAgent, kKind, kRun, kQueue, kCpu, kMemory, kTokens, kCost, kLast };
const std::vector<Column>& AllColumns() {
  static const std::vector<Column> kColumns = {{"STATE", 11, false, 0, {TopOrder::kUrgency}},
                                               {"AGENT", 0, false, 0, {TopOrder::kName}},
                                               {"KIND", 8, false, 7, {}},
                                               {"RUN", 6, true, 1, {TopOrder::kRun}},
                                               {"Q", 3, true, 2, {}},
                                               {"CPU%", 5, true, 3, {TopOrder::kCpu}},
                                               {"MEM", 6, true, 4, {TopOrder::kMemory}},
                                               {"TOKENS", 6, true, 5, {TopOrder::kTokens}},
                                               {"COST", 6, true, 6, {TopOrder::kCost}},
                                               {"LAST", 0, false, 0, {TopOrder::kLastEvent}}};
  return kColumns;
}

std::string CostWords(double cost) {
  if (cost <= 0) return {};
  return Printed(cost < 9.995 ? "$%.2f" : cost < 99.95 ? "$%.1f" : "$%.0f", cost);
}

Span LastOf(const TopAgent& agent) {
  if (!agent.asks.empty()) {
    const std::string count = agent.asks.size() > 1 ? "(" + std::to_string(agent.asks.size()) + ") " : "";
    return {count + agent.asks.front().gist, Colour::kMagenta};
  }
  return {agent.last, agent.last_colour};
}

// In the order of AllColumns.
std::vector<Span> CellsOf(const TopAgent& agent, int64_t now_ms) {
  const std::string_view state = agent.state();
  std::string queue = agent.queue_depth == 0 ? "" : std::to_string(agent.queue_depth);
  if (agent.queue_paused && !queue.empty()) queue += "p";
  const auto cpu = agent.cpu_percent;
  return {{StateWords(state), ColourOf(state)},
          {agent.name(), Colour::kNone, state == "needs_input"},
          {agent.kind, Colour::kDim},
          {agent.run.empty() ? "" : ShortDuration(now_ms - agent.run_started_ms)},
          {queue, agent.queue_paused ? Colour::kYellow : Colour::kNone},
          {cpu ? Printed(*cpu < 9.95 ? "%.1f" : "%.0f", *cpu) : "",
           cpu && *cpu >= 90 ? Colour::kYellow : Colour::kNone},
          {agent.rss_bytes ? ShortBytes(*agent.rss_bytes) : ""},
          {agent.tokens == 0 ? "" : ShortCount(agent.tokens)},
          {CostWords(agent.cost_usd)},
          LastOf(agent)};
}

// What the agents that are shown need: how wide their names are, and which columns have anything in them.
struct Needs {
  size_t name = kMinName;
  std::array<bool, 10> filled{};
};
Needs NeedsOf(const std::vector<const TopAgent*>& agents) {
  Needs needs;
  for (const TopAgent* agent : agents) {
    needs.name = std::max(needs.name, std::min(kMaxName, Columns(agent->name())));
    needs.filled[kQueue] |= agent->queue_depth != 0;
    needs.filled[kTokens] |= agent->tokens != 0;
    needs.filled[kCost] |= agent->cost_usd > 0;
    needs.filled[kRun] |= !agent->run.empty();
    needs.filled[kCpu] |= agent->cpu_percent.has_value();
    needs.filled[kMemory] |= agent->rss_bytes.has_value();
    needs.filled[kKind] |= agent->kind != agents.front()->kind;
  }
  return needs;
}

// A width for each column; 0: it is not shown.
std::vector<size_t> Widths(size_t columns, const Needs& needs) {
  const auto& all = AllColumns();
  std::vector<size_t> widths(all.size());
  widths[kState] = std::min(all[kState].width, std::max<size_t>(columns / 3, 1));
  size_t used = widths[kState];
  auto add = [&](size_t column, size_t width, size_t reserve) {
    if (used + 2 + width + reserve > columns) return false;
    widths[column] = width;
    used += 2 + width;
    return true;
  };
  if (!add(kAgent, std::min(needs.name, std::max(kMinName, columns / 4)), 0)) return widths;
  for (int rank = 1;; ++rank) {
    const auto column =
        std::find_if(all.begin(), all.end(), [rank](const Column& c) { return c.rank == rank; });
    if (column == all.end()) break;
    const auto index = static_cast<size_t>(column - all.begin());
    if (needs.filled[index] && !add(index, column->width, 2 + kMinLast)) break;
  }
  if (used + 2 < columns) widths[kLast] = columns - used - 2;
  return widths;
}

// Cells below each other.
StyledLine Row(const std::vector<Span>& cells, const std::vector<size_t>& widths) {
  StyledLine line;
  for (size_t i = 0; i < cells.size(); ++i) {
    if (widths[i] == 0) continue;
    Span cell = cells[i];
    cell.text = Fit(cell.text, widths[i]);
    const std::string room(widths[i] - Columns(cell.text), ' ');
    const bool right = AllColumns()[i].right;
    if (!line.empty()) line.push_back({"  "});
    if (right) line.push_back({room});
    line.push_back(std::move(cell));
    if (!right && i != kLast) line.push_back({room});
  }
  return line;
}

std::vector<Span> HeadCells(const TopModel& model) {
  std::vector<Span> cells;
  for (const Column& column : AllColumns()) {
    const bool sorted =
        std::find(column.orders.begin(), column.orders.end(), model.order()) != column.orders.end();
    cells.push_back({std::string(column.name) + (sorted ? (model.reversed() ? "▴" : "▾") : "")});
  }
  return cells;
}

Span StatusOf(const TopTown& town) {
  if (!town.connected) return {town.known ? "reconnecting…" : "connecting…", Colour::kYellow, true};
  if (town.status == "ok") return {"ok", Colour::kGreen};
  return {town.status + (town.reason.empty() ? "" : ": " + town.reason), Colour::kRed, true};
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

std::string ShortDuration(int64_t ms) {
  ms = std::max<int64_t>(ms, 0);
  auto two = [](int64_t number) { return (number < 10 ? "0" : "") + std::to_string(number); };
  if (ms < kMinuteMs) return std::to_string(ms / kSecondMs) + "s";
  if (ms < kHourMs) return std::to_string(ms / kMinuteMs) + "m" + two(ms % kMinuteMs / kSecondMs) + "s";
  if (ms < kDayMs) return std::to_string(ms / kHourMs) + "h" + two(ms % kHourMs / kMinuteMs) + "m";
  return std::to_string(ms / kDayMs) + "d" + std::to_string(ms % kDayMs / kHourMs) + "h";
}

std::string ShortCount(int64_t count) { return Scaled(static_cast<double>(count), 1000, " kMGT"); }
std::string ShortBytes(int64_t bytes) { return Scaled(static_cast<double>(bytes), 1024, " KMGT"); }

StyledLine TopView::Title(size_t columns, size_t shown) const {
  StyledLine left = {{"reeve", Colour::kNone, true}};
  if (town_.known) left.push_back({" " + town_.name});
  left.push_back({"  "});
  left.push_back(StatusOf(town_));
  std::string right;
  if (town_.known) right = Plural(town_.viewers, "viewer") + " · up " + ShortDuration(town_.uptime_ms);
  const size_t all = model_.agents().size();
  right += (right.empty() ? "" : " · ") +
           (shown == all ? Plural(static_cast<int64_t>(all), "agent")
                         : std::to_string(shown) + " of " + Plural(static_cast<int64_t>(all), "agent"));
  return Edges(left, {{right, Colour::kDim}}, columns);
}

StyledLine TopView::Counts(size_t columns) const {
  std::string right;
  if (model_.order() != TopOrder::kUrgency || model_.reversed())
    right = std::string("by ") + NameOf(model_.order()) + (model_.reversed() ? ", reversed" : "");
  if (!model_.filter().empty()) right += (right.empty() ? "" : " · ") + ("/" + model_.filter());
  return Edges(CountsOf(model_), {{right, Colour::kCyan}}, columns);
}

std::vector<StyledLine> TopView::Draw(size_t columns, size_t rows, int64_t now_ms) {
  const TopAgent* selected = model_.Selected();
  const auto agents = model_.Rows();
  visible_.clear();
  std::vector<StyledLine> lines;
  // On a small screen the agents matter most.
  if (rows >= 3) lines.push_back(Title(columns, agents.size()));
  if (rows >= 6) lines.push_back(Counts(columns));
  const bool headed = rows >= 5;
  page_ = std::max<size_t>(rows - std::min(rows, lines.size() + (headed ? 1 : 0)), 1);

  const auto at = static_cast<size_t>(std::find(agents.begin(), agents.end(), selected) - agents.begin());
  first_ = std::min(first_, agents.size() - std::min(agents.size(), page_));
  if (selected && at < first_) first_ = at;
  if (selected && at >= first_ + page_) first_ = at + 1 - page_;
  const size_t end = std::min(agents.size(), first_ + page_);

  const auto widths = Widths(columns, NeedsOf(agents));
  if (headed) {
    StyledLine head = Bar(Row(HeadCells(model_), widths), columns, true);
    lines.push_back(std::move(head));
  }
  for (size_t i = first_; i < end && lines.size() < rows; ++i) {
    visible_.push_back(agents[i]->id);
    lines.push_back(Bar(Row(CellsOf(*agents[i], now_ms), widths), columns, agents[i] == selected));
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
  add(agent.queue_depth == 0
          ? ""
          : Plural(agent.queue_depth, "message") + (agent.queue_paused ? " held back" : " waiting"));
  return line;
}

std::string TopView::Table(const TopModel& model, const TopTown& town, bool colours, size_t columns,
                           int64_t now_ms) {
  reeve::Table table;
  std::vector<Table::Cell> head;
  for (const Column& column : AllColumns()) head.push_back({column.name, Colour::kBold});
  table.Add(std::move(head));
  for (const TopAgent* agent : model.Rows()) {
    std::vector<Table::Cell> row;
    for (const Span& cell : CellsOf(*agent, now_ms)) row.push_back({cell.text, cell.colour});
    table.Add(std::move(row));
  }
  std::string counts;
  for (const auto& [state, count] : model.CountStates())
    counts += ", " + std::to_string(count) + " " + StateWords(state);
  return "reeve " + town.name + ": " + town.status + (town.reason.empty() ? "" : " (" + town.reason + ")") +
         counts + "; " + Plural(town.viewers, "viewer") + ", up " + ShortDuration(town.uptime_ms) + "\n" +
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
  if (!agent.run.empty()) json.Set("run", agent.run).Set("run_started_at", FormatTime(agent.run_started_ms));
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
  for (std::string_view rest = text; !rest.empty();) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    for (StyledLine& line :
         Wrap({{std::string(rest.substr(0, end))}}, columns - std::min<size_t>(columns, 4))) {
      line.insert(line.begin(), {"  "});
      all.push_back(std::move(line));
    }
    rest.remove_prefix(std::min(end + 1, rest.size()));
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
      {"PgUp PgDn", "a page up, down; Home and End (g, G) the first, the last"},
      {"Enter", "open the agent: its log, live"},
      {"", ""},
      {"a  y", "see what it asks, and allow it; answer its question"},
      {"d  n", "see what it asks, and deny it"},
      {"m", "send it a message"},
      {"i", "interrupt its present run; what waits in its queue is held back"},
      {"s", "stop it; it can be started again"},
      {"r", "restart it, or start it if it has ended"},
      {"", ""},
      {"/", "show only agents with these words in name, id, kind, state or labels"},
      {"< >", "sort by another column"},
      {"R", "sort the other way round"},
      {"^L", "draw the screen anew"},
      {"?", "this help"},
      {"q  ^C", "quit"},
      {"", "CPU is of one core, memory resident; both of the agent's own process."},
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
