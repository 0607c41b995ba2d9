#include "control/cli/top/top_model.h"

#include <algorithm>
#include <array>
#include <tuple>
#include <utility>

#include "control/cli/show/event_words.h"
#include "process/clock.h"

namespace reeve {

namespace {

// What wants a person first, then what is busy; as the dashboard has it.
constexpr std::array<std::string_view, 9> kStates = {
    "needs_input", "failed", "stalled", "running", "starting", "stopping", "backoff", "idle", "exited"};

constexpr size_t kMaxSaying = 512;     // bytes of a message under way that are kept: its end
constexpr size_t kMaxLast = 1'000;     // columns of a last line
constexpr int64_t kMinSampleMs = 400;  // CPU time comes in ticks of 10 ms

size_t Urgency(std::string_view state) {
  return static_cast<size_t>(std::find(kStates.begin(), kStates.end(), state) - kStates.begin());
}

// ASCII only: titles in other scripts have to be typed as they are.
std::string Lower(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

// Of several lines the last that is not blank.
std::string LastLine(std::string_view text) {
  const size_t end = text.find_last_not_of(" \t\r\n");
  if (end == std::string_view::npos) return {};
  text = text.substr(0, end + 1);
  const size_t before = text.rfind('\n');
  if (before != std::string_view::npos) text.remove_prefix(before + 1);
  return Fit(Plain(text), kMaxLast);
}

int64_t TimeOf(const JsonValue& value) { return ParseTime(std::string(value.StringOr(""))).value_or(0); }

int64_t IntOf(const JsonValue& value) { return value.AsInt().value_or(0); }

bool StartsWith(std::string_view text, std::string_view beginning) {
  return text.substr(0, beginning.size()) == beginning;
}

// Whoever has read the one has read the other.
bool IsSame(const TopAsk& one, const TopAsk& other) {
  return std::tie(one.id, one.elicitation, one.tool, one.text, one.schema) ==
         std::tie(other.id, other.elicitation, other.tool, other.text, other.schema);
}

bool IsBefore(const Cursor& one, const Cursor& other) {
  return std::tie(one.epoch, one.seq) < std::tie(other.epoch, other.seq);
}

// Those that a new agent's life begins with.
bool Introduces(std::string_view type) {
  return type == "agent.starting" || type == "message.queued" || type == "workspace.progress";
}

}  // namespace

std::string_view TopAgent::state() const {
  switch (process) {
    case Process::kStarting:
      return "starting";
    case Process::kStopping:
      return "stopping";
    case Process::kBackoff:
      return "backoff";
    case Process::kFailed:
      return "failed";
    case Process::kExited:
      return "exited";
    case Process::kUp:
      break;
  }
  if (pending != 0) return "needs_input";
  if (run.empty()) return "idle";
  return stalled ? "stalled" : "running";
}

const char* NameOf(TopOrder order) {
  constexpr std::array<const char*, kTopOrders> kNames = {"urgency", "name", "run time", "tokens",
                                                          "cost",    "CPU",  "memory",   "last event"};
  return kNames[static_cast<size_t>(order)];
}

// ---------------------------------------------------------------------------------------------- what comes

TopAgent* TopModel::Find(const std::string& id) {
  const auto found = agents_.find(id);
  return found == agents_.end() ? nullptr : &found->second;
}

TopAgent& TopModel::AgentOf(const std::string& id) {
  TopAgent& agent = agents_[id];
  agent.id = id;
  agent.seen_in_list = list_;
  return agent;
}

void TopModel::EndList() {
  std::erase_if(agents_, [this](const auto& entry) { return entry.second.seen_in_list != list_; });
}

void TopModel::TakeAgent(const JsonValue& object, int64_t now_ms) {
  const std::string id(object["id"].StringOr(""));
  if (id.empty()) return;
  TopAgent& agent = AgentOf(id);
  agent.title = Plain(object["title"].StringOr(""));
  agent.kind = Plain(object["kind"].StringOr(""));
  agent.labels.clear();
  for (const auto& [key, value] : object["labels"].Members())
    agent.labels += (agent.labels.empty() ? "" : " ") + Plain(key) + "=" + Plain(value.StringOr(""));
  const JsonValue usage = object["usage"];
  agent.tokens = IntOf(usage["input_tokens"]) + IntOf(usage["output_tokens"]);
  agent.cost_usd = usage["cost_usd"].AsDouble().value_or(0);
  agent.queue_depth = IntOf(object["queue_depth"]);
  agent.queue_paused = object["queue_paused"].AsBool().value_or(false);
  agent.viewers = IntOf(object["viewers"]);
  agent.last_event_ms = std::max(agent.last_event_ms, TimeOf(object["last_event_at"]));
  Sample(agent, object, now_ms);

  const Cursor at = Cursor::Parse(object["cursor"].StringOr("0")).value_or(Cursor());
  if (IsBefore(at, agent.known)) return;
  agent.known = at;
  using Process = TopAgent::Process;
  const std::string_view state = object["state"].StringOr("");
  agent.process = state == "starting"   ? Process::kStarting
                  : state == "stopping" ? Process::kStopping
                  : state == "backoff"  ? Process::kBackoff
                  : state == "failed"   ? Process::kFailed
                  : state == "exited"   ? Process::kExited
                                        : Process::kUp;
  agent.stalled = state == "stalled";
  agent.run = object["run"]["run_id"].StringOr("");
  agent.run_started_ms = TimeOf(object["run"]["started_at"]);
  agent.pending = static_cast<size_t>(IntOf(object["pending_approvals"]));
  if (agent.pending == 0) agent.asks.clear();
  if (state == "failed" && agent.last.empty()) {
    agent.last = Fit(Plain(object["reason"].StringOr("")), kMaxLast);
    agent.last_colour = Colour::kRed;
  }
}

void TopModel::Sample(TopAgent& agent, const JsonValue& object, int64_t now_ms) {
  const JsonValue resources = object["resources"];
  const int64_t pid = IntOf(object["pid"]);
  const auto cpu_ms = resources["cpu_ms"].AsInt();
  agent.rss_bytes = resources["rss_bytes"].AsInt();
  if (!cpu_ms || pid != agent.sampled_pid) {
    agent.cpu_percent.reset();
  } else if (now_ms - agent.sampled_at_ms < kMinSampleMs) {
    return;
  } else {
    agent.cpu_percent = 100.0 * static_cast<double>(std::max<int64_t>(0, *cpu_ms - agent.sampled_cpu_ms)) /
                        static_cast<double>(now_ms - agent.sampled_at_ms);
  }
  agent.sampled_pid = pid;
  agent.sampled_cpu_ms = cpu_ms.value_or(0);
  agent.sampled_at_ms = now_ms;
}

bool TopModel::TakeEvent(const JsonValue& event) {
  const std::string id(event["agent"].StringOr(""));
  const std::string_view type = event["type"].StringOr("");
  TopAgent* known = Find(id);
  // Of one that has just been deleted there may still be news.
  if (!known && !Introduces(type)) return false;
  TopAgent& agent = known ? *known : AgentOf(id);
  const int64_t time = TimeOf(event["time"]);
  agent.last_event_ms = std::max(agent.last_event_ms, time);
  const bool said = Say(agent, event);

  const Cursor at{static_cast<uint64_t>(IntOf(event["epoch"])), static_cast<uint64_t>(IntOf(event["seq"]))};
  if (!IsBefore(agent.known, at)) return said;
  agent.known = at;
  using Process = TopAgent::Process;
  const JsonValue data = event["data"];
  if (type == "agent.starting") {
    agent.process = Process::kStarting;
  } else if (type == "agent.ready") {
    agent.process = Process::kUp;
  } else if (type == "agent.stopping") {
    agent.process = Process::kStopping;
  } else if (type == "agent.restarting") {
    agent.process = Process::kBackoff;
  } else if (type == "agent.exited") {
    agent.process = Process::kExited;
    agent.cpu_percent.reset();
    agent.rss_bytes.reset();
  } else if (type == "agent.failed") {
    agent.process = Process::kFailed;
  } else if (type == "agent.stalled" || type == "agent.resumed") {
    agent.stalled = type == "agent.stalled";
  } else if (type == "run.started") {
    agent.run = event["run"].StringOr("");
    agent.run_started_ms = time;
    agent.stalled = false;
  } else if (StartsWith(type, "run.")) {
    agent.run.clear();
    agent.saying.clear();
  } else if (type == "approval.requested" || type == "elicitation.requested") {
    if (TakeAsk(agent, data)) ++agent.pending;
  } else if (type == "approval.resolved" || type == "elicitation.resolved") {
    const std::string_view which = data["id"].StringOr("");
    std::erase_if(agent.asks, [which](const TopAsk& ask) { return ask.id == which; });
    if (agent.pending != 0) --agent.pending;
  } else {
    return said;
  }
  return true;
}

bool TopModel::TakeAsk(TopAgent& agent, const JsonValue& request) {
  TopAsk ask;
  ask.id = request["id"].StringOr("");
  ask.elicitation = request["kind"].StringOr("") == "elicitation";
  const std::string message = PlainLines(request["message"].StringOr(""));
  if (ask.elicitation) {
    ask.gist = "asks: " + Plain(message);
    ask.text = message;
    ask.schema = request["schema"].Raw();
  } else {
    ask.tool = Plain(request["tool"].StringOr(""));
    ask.gist = "asks: " + ask.tool + " " + PrincipalInput(request["input"]);
    ask.text = (message.empty() ? "" : message + "\n") + InputText(request["input"]);
  }
  ask.gist = Fit(ask.gist, kMaxLast);
  ask.serial = ++asked_;
  for (TopAsk& other : agent.asks) {
    if (other.id != ask.id) continue;
    if (!IsSame(ask, other)) other = std::move(ask);
    return false;
  }
  agent.asks.push_back(std::move(ask));
  return true;
}

void TopModel::TakeApprovals(const JsonValue& approvals) {
  std::map<std::string, std::vector<TopAsk>> known;
  for (auto& [id, agent] : agents_) known[id] = std::exchange(agent.asks, {});
  for (const JsonValue& request : approvals.Elements()) {
    TopAgent* agent = Find(std::string(request["agent"].StringOr("")));
    if (!agent || !TakeAsk(*agent, request)) continue;
    TopAsk& ask = agent->asks.back();
    for (const TopAsk& before : known[agent->id]) {
      if (IsSame(ask, before)) ask.serial = before.serial;
    }
  }
}

void TopModel::TakePast(const std::string& id, const JsonValue& events) {
  TopAgent* agent = Find(id);
  if (!agent || !agent->last.empty()) return;
  for (const JsonValue& event : events.Elements()) Say(*agent, event);
}

bool TopModel::Say(TopAgent& agent, const JsonValue& event) {
  const std::string_view type = event["type"].StringOr("");
  const JsonValue data = event["data"];
  auto say = [&agent](const std::string& line, Colour colour = Colour::kNone) {
    if (line.empty() || (line == agent.last && colour == agent.last_colour)) return false;
    agent.last = Fit(line, kMaxLast);
    agent.last_colour = colour;
    return true;
  };
  if (type == "agent.output") return say(LastLine(OutputLine(data)));
  if (type == "assistant.delta") {
    agent.saying += data["text"].StringOr("");
    if (agent.saying.size() > 2 * kMaxSaying) agent.saying.erase(0, agent.saying.size() - kMaxSaying);
    return say(LastLine(agent.saying));
  }
  if (type == "assistant.message") {
    agent.saying.clear();
    agent.answer = LastLine(data["text"].StringOr(""));
    return say(agent.answer);
  }
  if (type == "run.started") agent.answer.clear();
  // At its end not the last step counts, but what came of it all.
  if (type == "run.completed") return say(agent.answer);
  if (type == "user.message") return say("> " + LastLine(data["text"].StringOr("")), Colour::kBold);
  if (type == "tool.started" || type == "tool.failed") {
    agent.saying.clear();
    const std::string name = Plain(data["name"].StringOr("a tool"));
    if (type == "tool.failed") return say(name + " failed", Colour::kRed);
    return say(JoinWords({name + " " + PrincipalInput(data["input"])}), Colour::kCyan);
  }
  if (type == "run.failed" || type == "run.cancelled") {
    const std::string why = Plain(TextOf(data["error"]["message"]));
    const std::string what = type == "run.failed" ? "the run failed" : "the run was cancelled";
    return say(why.empty() ? what : what + ": " + why, type == "run.failed" ? Colour::kRed : Colour::kYellow);
  }
  if (type == "agent.failed" || type == "agent.error") return say(EventWords(event), Colour::kRed);
  if (type == "agent.restarting" || type == "agent.stalled") return say(EventWords(event), Colour::kYellow);
  if (type == "workspace.progress") return say(EventWords(event), Colour::kDim);
  return false;
}

bool TopModel::lacks_approvals() const {
  return std::any_of(agents_.begin(), agents_.end(),
                     [](const auto& entry) { return entry.second.pending != entry.second.asks.size(); });
}

// ------------------------------------------------------------------------------------------- what is shown

bool TopModel::Passes(const TopAgent& agent) const {
  if (filter_.empty()) return true;
  std::string state(agent.state());
  std::replace(state.begin(), state.end(), '_', ' ');
  const std::string about = Lower(agent.id + "\n" + agent.title + "\n" + agent.kind + "\n" +
                                  std::string(agent.state()) + "\n" + state + "\n" + agent.labels);
  const std::string wanted = Lower(filter_);
  for (std::string_view rest = wanted; !rest.empty();) {
    const size_t end = std::min(rest.find(' '), rest.size());
    if (about.find(rest.substr(0, end)) == std::string::npos) return false;
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return true;
}

std::vector<const TopAgent*> TopModel::Rows() const {
  struct Row {
    double key;  // the least comes first
    const TopAgent* agent;
  };
  std::vector<Row> rows;
  for (const auto& [id, agent] : agents_) {
    if (!Passes(agent)) continue;
    double key = 0;
    switch (order_) {
      case TopOrder::kUrgency:
        key = static_cast<double>(Urgency(agent.state()));
        break;
      case TopOrder::kName:
        break;
      case TopOrder::kRun:  // the longest first, then those without
        key = agent.run.empty() ? 1e18 : static_cast<double>(agent.run_started_ms);
        break;
      case TopOrder::kTokens:
        key = -static_cast<double>(agent.tokens);
        break;
      case TopOrder::kCost:
        key = -agent.cost_usd;
        break;
      case TopOrder::kCpu:
        key = -agent.cpu_percent.value_or(-1);
        break;
      case TopOrder::kMemory:
        key = -static_cast<double>(agent.rss_bytes.value_or(-1));
        break;
      case TopOrder::kLastEvent:
        key = -static_cast<double>(agent.last_event_ms);
        break;
    }
    rows.push_back({key, &agent});
  }
  std::sort(rows.begin(), rows.end(), [this](const Row& a, const Row& b) {
    const auto before = [](const Row& one, const Row& other) {
      return std::tie(one.key, one.agent->name(), one.agent->id) <
             std::tie(other.key, other.agent->name(), other.agent->id);
    };
    return reversed_ ? before(b, a) : before(a, b);
  });
  std::vector<const TopAgent*> agents;
  agents.reserve(rows.size());
  for (const Row& row : rows) agents.push_back(row.agent);
  return agents;
}

std::vector<std::pair<std::string_view, size_t>> TopModel::CountStates() const {
  std::array<size_t, kStates.size()> counts{};
  for (const auto& [id, agent] : agents_) ++counts[Urgency(agent.state())];
  std::vector<std::pair<std::string_view, size_t>> found;
  for (size_t i = 0; i < kStates.size(); ++i) {
    if (counts[i] != 0) found.emplace_back(kStates[i], counts[i]);
  }
  return found;
}

const TopAgent* TopModel::Selected() {
  const auto rows = Rows();
  for (size_t i = 0; i < rows.size(); ++i) {
    if (rows[i]->id != selected_) continue;
    selected_row_ = static_cast<int64_t>(i);
    return rows[i];
  }
  if (rows.empty()) return nullptr;
  selected_row_ = std::clamp<int64_t>(selected_row_, 0, static_cast<int64_t>(rows.size()) - 1);
  selected_ = rows[static_cast<size_t>(selected_row_)]->id;
  return rows[static_cast<size_t>(selected_row_)];
}

void TopModel::Select(int64_t row) {
  selected_.clear();
  selected_row_ = row;
  (void)Selected();
}

void TopModel::Move(int64_t rows) {
  (void)Selected();
  Select(selected_row_ + rows);
}

}  // namespace reeve
