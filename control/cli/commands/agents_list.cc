// `reeve agents list`: the town's agents in a table, those that wait for a person first; once, or again
// whenever something changes.
#include <algorithm>
#include <csignal>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "control/cli/client/agent_names.h"
#include "control/cli/client/event_stream.h"
#include "control/cli/commands/agents_commands.h"
#include "control/cli/show/agent_state.h"
#include "control/cli/show/agent_words.h"
#include "control/cli/show/event_words.h"
#include "control/cli/terminal/console.h"
#include "orchestrator/json/json.h"
#include "process/clock.h"
#include "process/http_client.h"
#include "process/loop.h"
#include "process/timer.h"

namespace reeve {

namespace {

constexpr size_t kMaxNote = 60;     // columns
constexpr size_t kMaxCommand = 60;  // columns
// With --watch: the pause between two requests for the list is kLeastMs, or kShare times what the last one
// took.
constexpr int64_t kLeastMs = 300;
constexpr int64_t kShare = 4;
constexpr int64_t kTimeoutMs = 5'000;  // of a request, which blocks everything else
constexpr int64_t kAgeMs = 5'000;      // the terminal's "3s ago" is redrawn so often
// The events that change a row of the table. An agent's output changes only its time.
constexpr const char* kTypes =
    "agent.starting,agent.ready,agent.exited,agent.failed,agent.restarting,agent.stopping,agent.stalled,"
    "agent.resumed,agent.updated,run.*,message.*,approval.*,elicitation.*,title.updated";

struct ListOptions : CommonOptions {
  std::string state;
  std::vector<std::string> labels;
  bool watch = false;
  bool deleted = false;
};

// A row of the table.
struct Row {
  int rank = 0;       // 0: waits for a person; 1: works; 2: neither
  bool asks = false;  // has an approval or a question
  std::string id, state, kind, queue, note, title, command;
  int64_t made_ms = 0;
  int64_t last_event_ms = 0;
};

std::string QuestionOf(const JsonValue& approval) {
  if (approval["kind"].StringOr("") == "elicitation") return Plain(approval["message"].StringOr(""));
  return JoinWords({Plain(approval["tool"].StringOr("")), PrincipalInput(approval["input"])});
}

Row RowOf(const JsonValue& agent) {
  Row row;
  row.id = Plain(agent["id"].StringOr(""));
  row.state = Plain(agent["state"].StringOr(""));
  row.asks = agent["pending_approvals"].AsInt().value_or(0) != 0;
  const bool rests = row.state == "idle" || row.state == "exited" || row.state == "failed";
  row.rank = row.asks || row.state == "needs_input" ? 0 : rests ? 2 : 1;
  row.kind = Plain(agent["kind"].StringOr(""));
  row.queue = Plain(agent["queue_depth"].Raw());
  row.note = AgentNote(agent, SystemClock().WallMs());
  row.title = Plain(agent["title"].StringOr(""));
  row.command = CommandOf(agent);
  const size_t program = row.command.substr(0, row.command.find(' ')).rfind('/');
  if (program != std::string::npos) row.command.erase(0, program + 1);
  row.made_ms = WallMsOf(agent["created_at"]);
  row.last_event_ms = WallMsOf(agent["last_event_at"]);
  return row;
}

std::string ShowTable(const std::vector<Row>& rows, bool colours, size_t columns) {
  const int64_t now_ms = SystemClock().WallMs();
  Table table;
  auto head = [](const char* text) { return Table::Cell{text, Colour::kBold}; };
  table.Add({head("ID"), head("STATE"), head("KIND"), head("QUEUE"), head("AGE"), head("LAST EVENT"),
             head("NOTE"), head("TITLE"), head("COMMAND")});
  for (const Row& row : rows) {
    table.Add({{row.id},
               {row.state, ColourOf(row.state)},
               {row.kind},
               {row.queue},
               {row.made_ms == 0 ? "" : Age(now_ms - row.made_ms)},
               {row.last_event_ms == 0 ? "" : Ago(now_ms - row.last_event_ms)},
               {Fit(row.note, kMaxNote)},
               {row.title},
               {Fit(row.command, kMaxCommand)}});
  }
  std::string text = table.Show(colours, columns);
  text.pop_back();  // the final line break
  return text;
}

// The query for the agents that the options select.
Result<std::string> QueryOf(const ListOptions& options) {
  std::string query;
  if (!options.state.empty()) query = "state=" + options.state;
  if (options.deleted) query += query.empty() ? "deleted=true" : "&deleted=true";
  for (const std::string& label : options.labels) {
    auto part = LabelQuery(label);
    if (!part) return Error{"invalid_request", "--label: " + part.error().message};
    query += (query.empty() ? "" : "&") + *part;
  }
  return query;
}

class Lister {
 public:
  // `ids`: prints only the ids of the agents.
  Lister(Client client, std::string query, bool ids, Console& console)
      : client_(std::move(client)), query_(std::move(query)), ids_(ids), console_(console) {}

  int List() {
    if (Status fetched = Fetch(); !fetched) return console_.Fail(fetched.error());
    if (console_.json()) return kOk;
    if (!rows_.empty()) {
      console_.Line(Text());
    } else if (!ids_) {
      console_.Note(query_.empty() ? "there are no agents; `reeve run` starts one" : "no agent matches");
    }
    return kOk;
  }

 protected:
  // Fetches all rows; with --json, prints the agents that have changed instead.
  Status Fetch() {
    std::vector<Row> rows;
    std::map<std::string, std::string> objects;
    auto take = [&](const JsonValue& agent) {
      if (!console_.json()) return rows.push_back(RowOf(agent));
      const std::string id(agent["id"].StringOr(""));
      std::string json = agent.Raw();
      std::string& before = objects_[id];
      if (json != before) console_.Line(json);
      before = json;  // so that it is not printed again if the next page fails
      objects[id] = std::move(json);
    };
    if (Status listed = ForEachAgent(client_, query_, take, timeout_ms_); !listed) return listed;
    rows_ = std::move(rows);
    objects_ = std::move(objects);  // forgets deleted agents
    std::stable_sort(rows_.begin(), rows_.end(),
                     [](const Row& one, const Row& other) { return one.rank < other.rank; });
    NoteQuestions();
    return {};
  }

  [[nodiscard]] std::string Text() const {
    if (!ids_) return ShowTable(rows_, console_.colours(), console_.columns());
    std::string ids;
    for (const Row& row : rows_) AddTo(ids, "\n", row.id);
    return ids;
  }

  const Client client_;
  const std::string query_;
  const bool ids_;
  Console& console_;
  std::optional<int64_t> timeout_ms_;           // for each request
  std::vector<Row> rows_;                       // in the order of the table
  std::map<std::string, std::string> objects_;  // as printed, by id

 private:
  // The list of agents lacks their questions. If they cannot be fetched, it is shown without.
  void NoteQuestions() {
    if (rows_.empty() || !std::any_of(rows_.begin(), rows_.end(), [](const Row& row) { return row.asks; }))
      return;
    HttpRequest request = ApprovalsRequest(client_, "");
    if (timeout_ms_) request.timeout_ms = *timeout_ms_;
    auto approvals = client_.AskJson(std::move(request));
    if (!approvals) return;
    std::map<std::string, std::string> oldest;
    for (const JsonValue& approval : (*approvals)["approvals"].Elements())
      oldest.emplace(approval["agent"].StringOr(""), QuestionOf(approval));
    for (Row& row : rows_) {
      if (const auto asked = oldest.find(row.id); asked != oldest.end()) row.note = asked->second;
    }
  }
};

// Repeats the list until it is interrupted, or the daemon stays away.
class LiveLister : public Lister {
 public:
  LiveLister(Loop& loop, const Client& client, std::string query, bool ids, Console& console)
      : Lister(client, std::move(query), ids, console),
        loop_(loop),
        http_(loop),
        refresh_(loop, [this] { Refresh(); }),
        age_(loop, [this] { Draw(); }),
        stream_(loop, http_, client, EventStream::What{{"*"}, {}, kTypes, true, true}, Handlers()) {}

  int Run() {
    if (Status first = Fetch(); !first) return console_.Fail(first.error());
    Draw();
    timeout_ms_ = kTimeoutMs;
    stream_.Open();
    if (console_.rows() != 0 && !console_.json()) {
      age_.Start(kAgeMs, kAgeMs);
      loop_.OnSignal(SIGWINCH, [this] { Draw(); });
    }
    loop_.Run();
    return code_;
  }

 private:
  EventStream::Handlers Handlers() {
    EventStream::Handlers handlers;
    handlers.on_event = [this](const JsonValue&) { Change(); };
    handlers.on_synced = [this] { Change(); };
    handlers.on_purged = [this](const std::string&) { Change(); };
    handlers.on_end = [this](const Result<std::string>& end) {
      Stop(end ? kOk : console_.Fail(end.error()));
    };
    return handlers;
  }

  void Change() {
    if (!refresh_.active()) refresh_.Start(std::max<int64_t>(not_before_ms_ - loop_.NowMs(), 0));
  }

  void Refresh() {
    const SystemClock clock;
    const int64_t begun_ms = clock.MonotonicMs();
    Status fetched = Fetch();
    const int64_t now_ms = clock.MonotonicMs();
    not_before_ms_ = now_ms + std::max(kLeastMs, kShare * (now_ms - begun_ms));
    if (fetched) return Draw();
    if (ExitCodeOf(fetched.error()) != kUnreachable) return Stop(console_.Fail(fetched.error()));
    // The stream waits for a daemon that is away; a busy one is asked again.
    const std::string& code = fetched.error().code;
    if (code != "unreachable" && code != "unknown_host") Change();
  }

  void Draw() {
    if (console_.json()) return;
    const size_t rows = console_.rows();
    std::string text = Text();
    if (rows != 0) return console_.Screen(text);
    if (text == last_) return;
    console_.Line(text + "\n");
    last_ = std::move(text);
  }

  void Stop(int code) {
    code_ = code;
    loop_.Stop();
  }

  Loop& loop_;
  HttpClient http_;
  Timer refresh_;
  Timer age_;
  EventStream stream_;
  int64_t not_before_ms_ = 0;  // of the next request; loop time
  std::string last_;
  int code_ = kOk;
};

int List(const ListOptions& options) {
  // Its --quiet prints the ids.
  CommonOptions shown = options;
  shown.quiet = false;
  Console console("agents list", shown);
  auto query = QueryOf(options);
  if (!query) return console.Fail(query.error());
  auto client = Client::Find(options.client);
  if (!client) return console.Fail(client.error());
  if (!options.watch) return Lister(std::move(*client), std::move(*query), options.quiet, console).List();
  Loop loop;
  return LiveLister(loop, *client, std::move(*query), options.quiet, console).Run();
}

}  // namespace

void AddAgentsList(Command agents) {
  auto options = std::make_shared<ListOptions>();
  Command command = agents.Add("list", "List agents, those that wait for a person first.");
  command.Alias("ps");
  command.Alias("ls");
  command.Details(
      "NOTE says why an agent failed or stopped, and what waits for it. `asleep` and `done` mean that the "
      "process has ended. A message starts every agent again whose process has ended: `reeve wake`.");
  command.Option("--state", options->state,
                 "starting|idle|running|needs_input|stalled|stopping|backoff|exited|failed",
                 "Only agents in this state");
  command.Option("-l,--label", options->labels, "KEY=VALUE",
                 "Only agents with this label; if repeated, with all of them");
  command.Flag("-w,--watch", options->watch,
               "Keep the list up to date; with --json, print each agent that changes");
  command.Flag("--deleted", options->deleted, "List deleted agents instead, whose logs are kept");
  AddCommonOptions(command, *options, "Print only the ids, one on each line");
  command.Example("reeve list --state needs_input", "agents that wait for a person");
  command.Example("reeve list -l team=web --watch", "a team at work");
  command.Example("reeve logs $(reeve list -q)", "the logs of all agents");
  command.Action([options] { return List(*options); });
}

}  // namespace reeve
