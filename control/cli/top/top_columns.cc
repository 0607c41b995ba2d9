#include "control/cli/top/top_columns.h"

#include <algorithm>
#include <cstdio>
#include <string_view>
#include <utility>

namespace reeve {

namespace {

constexpr int64_t kSecondMs = 1'000;
constexpr int64_t kMinuteMs = 60 * kSecondMs;
constexpr int64_t kHourMs = 60 * kMinuteMs;
constexpr int64_t kDayMs = 24 * kHourMs;
constexpr size_t kMaxName = 32;
constexpr size_t kMinName = 8;
constexpr size_t kMinLast = 24;  // the last line matters more than any number

std::string Printed(const char* format, double number) {
  std::array<char, 32> text{};
  (void)std::snprintf(text.data(), text.size(), format, number);
  return text.data();
}

// About three digits.
std::string Scaled(double number, double base, std::string_view units) {
  size_t unit = 0;
  while (unit + 1 < units.size() && number >= base * 0.9995) {
    number /= base;
    ++unit;
  }
  const char* format = unit == 0 || number >= 99.95 ? "%.0f" : "%.1f";
  return Printed(format, number) + (unit == 0 ? "" : std::string(1, units[unit]));
}

std::string CostWords(double cost) {
  if (cost <= 0) return {};
  return Printed(cost < 9.995 ? "$%.2f" : cost < 99.95 ? "$%.1f" : "$%.0f", cost);
}

Span LastOf(const TopAgent& agent) {
  if (agent.asks.empty()) return {agent.last, agent.last_colour};
  const std::string count = agent.asks.size() > 1 ? "(" + std::to_string(agent.asks.size()) + ") " : "";
  return {count + agent.asks.front().gist, Colour::kMagenta};
}

// The column has a value for one of the agents.
std::array<bool, kTopColumns> FilledColumns(const std::vector<const TopAgent*>& agents) {
  std::array<bool, kTopColumns> filled{};
  for (const TopAgent* agent : agents) {
    filled[kQueue] |= agent->queue_depth != 0;
    filled[kTokens] |= agent->tokens != 0;
    filled[kCost] |= agent->cost_usd > 0;
    filled[kRun] |= agent->lifecycle.busy();
    filled[kCpu] |= agent->cpu_percent.has_value();
    filled[kMemory] |= agent->rss_bytes.has_value();
    filled[kKind] |= agent->kind != agents.front()->kind;
  }
  return filled;
}

}  // namespace

const std::array<TopColumnInfo, kTopColumns> kTopColumnInfo = {{
    {"STATE", 11, false, TopOrder::kUrgency},
    {"AGENT", 0, false, TopOrder::kName},
    {"KIND", 8, false, {}},
    {"RUN", 6, true, TopOrder::kRun},
    {"Q", 3, true, {}},
    {"CPU%", 5, true, TopOrder::kCpu},
    {"MEM", 6, true, TopOrder::kMemory},
    {"TOKENS", 6, true, TopOrder::kTokens},
    {"COST", 6, true, TopOrder::kCost},
    {"LAST", 0, false, TopOrder::kLastEvent},
}};

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

std::string StateWords(std::string_view state) {
  std::string words(state);
  std::replace(words.begin(), words.end(), '_', ' ');
  return words;
}

std::vector<Span> CellsOf(const TopAgent& agent, int64_t now_ms) {
  const std::string_view state = agent.state();
  std::string queue = agent.queue_depth == 0 ? "" : std::to_string(agent.queue_depth);
  if (agent.queue_paused && !queue.empty()) queue += "p";
  const auto cpu = agent.cpu_percent;
  return {{StateWords(state), ColourOf(state)},
          {agent.name(), Colour::kNone, state == "needs_input"},
          {agent.kind, Colour::kDim},
          {agent.lifecycle.busy() ? ShortDuration(now_ms - agent.lifecycle.run_started_ms) : ""},
          {queue, agent.queue_paused ? Colour::kYellow : Colour::kNone},
          {cpu ? Printed(*cpu < 9.95 ? "%.1f" : "%.0f", *cpu) : "",
           cpu && *cpu >= 90 ? Colour::kYellow : Colour::kNone},
          {agent.rss_bytes ? ShortBytes(*agent.rss_bytes) : ""},
          {agent.tokens == 0 ? "" : ShortCount(agent.tokens)},
          {CostWords(agent.cost_usd)},
          LastOf(agent)};
}

std::vector<size_t> ColumnWidths(size_t columns, const std::vector<const TopAgent*>& agents) {
  size_t name = kMinName;
  for (const TopAgent* agent : agents) name = std::max(name, std::min(kMaxName, Columns(agent->name())));
  std::vector<size_t> widths(kTopColumns);
  widths[kState] = std::min(kTopColumnInfo[kState].width, std::max<size_t>(columns / 3, 1));
  size_t used = widths[kState];
  auto add = [&widths, &used, columns](size_t column, size_t width, size_t reserve) {
    if (used + 2 + width + reserve > columns) return false;
    widths[column] = width;
    used += 2 + width;
    return true;
  };
  if (!add(kAgent, std::min(name, std::max(kMinName, columns / 4)), 0)) return widths;
  const auto filled = FilledColumns(agents);
  // Those at the end give way first.
  constexpr std::array kByRank = {kRun, kQueue, kCpu, kMemory, kTokens, kCost, kKind};
  for (const TopColumn column : kByRank) {
    if (filled[column] && !add(column, kTopColumnInfo[column].width, 2 + kMinLast)) break;
  }
  if (used + 2 < columns) widths[kLast] = columns - used - 2;
  return widths;
}

StyledLine AlignCells(const std::vector<Span>& cells, const std::vector<size_t>& widths) {
  StyledLine line;
  for (size_t i = 0; i < cells.size(); ++i) {
    if (widths[i] == 0) continue;
    Span cell = cells[i];
    cell.text = Fit(cell.text, widths[i]);
    const std::string room(widths[i] - Columns(cell.text), ' ');
    const bool right = kTopColumnInfo[i].right;
    if (!line.empty()) line.push_back({"  "});
    if (right) line.push_back({room});
    line.push_back(std::move(cell));
    if (!right && i != kLast) line.push_back({room});
  }
  return line;
}

}  // namespace reeve
