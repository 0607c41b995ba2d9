// `reeve approvals …`: lists and answers the approvals and questions of the town's agents.
#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "control/cli/client/agent_names.h"
#include "control/cli/commands/commands.h"
#include "control/cli/show/event_words.h"
#include "control/cli/terminal/console.h"
#include "orchestrator/config/units.h"
#include "orchestrator/json/json.h"
#include "process/clock.h"

namespace reeve {

namespace {

// Columns of ABOUT; --json has the whole input.
constexpr size_t kShownColumns = 300;

struct ApprovalsOptions : CommonOptions {
  std::string command;  // "allow"
  std::string agent;
  std::vector<std::string> names;
  bool always = false;
  bool tool = false;
  bool session = false;
  std::string reason;
  std::string input;
  std::string content;
};

Result<JsonDocument> Ask(const Client& client, const std::string& query) {
  return client.AskJson(ApprovalsRequest(client, query));
}

// --- list

// The input of the tool, or the question of an elicitation.
std::string About(const JsonValue& waiting) {
  const JsonValue input = waiting["input"];
  const std::string words =
      input.size() == 0 ? Plain(waiting["message"].StringOr("")) : PrincipalInput(input);
  return Fit(words, kShownColumns);
}

// "45s", "3m", "2h": without seconds from one minute on.
std::string Roughly(int64_t ms) {
  constexpr int64_t kMinute = 60'000;
  const int64_t unit = ms < kMinute ? 1'000 : kMinute;
  return FormatDuration(std::max<int64_t>(ms, 0) / unit * unit);
}

int ListApprovals(const ApprovalsOptions& options) {
  Console console("approvals list", options);
  auto client = Client::Find(options.client);
  if (!client) return console.Fail(client.error());
  std::string query;
  if (!options.agent.empty()) {
    auto agent = FindAgent(*client, options.agent);
    if (!agent) return console.Fail(agent.error(), options.agent);
    query = "?agent=" + PercentEncode(*agent);
  }
  auto answer = Ask(*client, query);
  if (!answer) return console.Fail(answer.error());
  if ((*answer)["approvals"].size() == 0) console.Note("no request waits for an answer");
  const int64_t now = SystemClock().WallMs();
  console.Rows((*answer)["approvals"].Elements(), {"AGENT", "ID", "TOOL", "AGE", "LEFT", "ABOUT"},
               [now](const JsonValue& waiting) -> std::vector<Table::Cell> {
                 const auto asked = ParseTime(std::string(waiting["requested_at"].StringOr("")));
                 const auto deadline = ParseTime(std::string(waiting["deadline"].StringOr("")));
                 constexpr int64_t kSoonMs = 60'000;
                 const bool soon = deadline && *deadline - now < kSoonMs;
                 const bool question = waiting["kind"].StringOr("") == "elicitation";
                 const std::string tool = Plain(waiting["tool"].StringOr(""));
                 return {{Plain(waiting["agent"].StringOr(""))},
                         {Plain(waiting["id"].StringOr(""))},
                         {question ? "question" : tool, question ? Colour::kCyan : Colour::kMagenta},
                         {asked ? Roughly(now - *asked) : ""},
                         {deadline ? Roughly(*deadline - now) : "-", soon ? Colour::kRed : Colour::kNone},
                         {About(waiting)}};
               });
  return kOk;
}

// --- allow, deny

struct Waiting {
  std::string agent;
  std::string id;
  bool elicitation = false;
  std::string decided;  // "deny by person"; empty: pending
};

std::vector<Waiting> WaitingOf(const JsonDocument& answer) {
  std::vector<Waiting> all;
  auto add = [&all](const JsonValue& one) {
    Waiting waiting{std::string(one["agent"].StringOr("")), std::string(one["id"].StringOr("")),
                    one["kind"].StringOr("") == "elicitation", ""};
    if (const auto decision = one["decision"].AsString())
      waiting.decided = std::string(*decision) + " by " + std::string(one["by"].StringOr(""));
    const bool known = std::any_of(all.begin(), all.end(), [&waiting](const Waiting& other) {
      return other.agent == waiting.agent && other.id == waiting.id;
    });
    if (!known) all.push_back(std::move(waiting));  // an id may be used again: keep the pending one
  };
  for (const JsonValue& one : answer["approvals"].Elements()) add(one);
  for (const JsonValue& one : answer["resolved"].Elements()) add(one);
  return all;
}

Error Ambiguous(const std::string& name, const std::vector<Waiting>& all) {
  std::vector<std::string> words;
  words.reserve(all.size());
  for (const Waiting& one : all)
    words.push_back(one.id + " of agent " + one.agent +
                    (one.decided.empty() ? "" : " (" + one.decided + ")"));
  return {"ambiguous", "'" + name + "' may be " + FirstFew(words) + "; name one by its id and --agent"};
}

// The approval that `name` means: an id, which several agents may use, or an agent with a single approval.
// Answered ones count, too: the user may have seen that one, and not a pending one with the same id.
Result<Waiting> FindWaiting(const Client& client, const std::string& name, const std::string& agent) {
  auto by_id =
      Ask(client, "?id=" + PercentEncode(name) + (agent.empty() ? "" : "&agent=" + PercentEncode(agent)));
  if (!by_id) return by_id.error();
  std::vector<Waiting> all = WaitingOf(*by_id);
  std::string named;
  if (agent.empty()) {
    auto found = FindAgent(client, name);
    if (!found && all.empty() && found.error().code != "agent_not_found") return found.error();
    if (found) {
      named = *found;
      auto by_agent = Ask(client, "?agent=" + PercentEncode(named));
      if (!by_agent) return by_agent.error();
      for (Waiting& waiting : WaitingOf(*by_agent)) {
        if (waiting.id != name) all.push_back(std::move(waiting));
      }
    }
  }
  if (all.size() > 1) return Ambiguous(name, all);
  if (all.empty()) {
    if (!named.empty()) return Error{"approval_not_found", "agent " + named + " has no pending approval"};
    return Error{"approval_not_found", agent.empty() ? "there is no approval and no agent '" + name + "'"
                                                     : "agent " + agent + " has no approval '" + name + "'"};
  }
  if (!all.front().decided.empty()) {
    return Error{"already_resolved",
                 all.front().id + " of agent " + all.front().agent + ": " + all.front().decided};
  }
  return std::move(all.front());
}

const char* DecisionOf(const ApprovalsOptions& options) {
  if (options.command != "allow") return "deny";
  if (options.session) return "allow_session";
  if (options.tool) return "allow_tool";
  return options.always ? "allow_always" : "allow_once";
}

Result<std::string> BodyFor(const ApprovalsOptions& options, const Waiting& waiting) {
  auto refuse = [&waiting](const char* why) {
    return Error{"invalid_request", waiting.id + " of agent " + waiting.agent + " is " + why};
  };
  const bool allow = options.command == "allow";
  JsonObject body;
  if (waiting.elicitation) {
    if (options.always || options.tool || options.session || !options.input.empty() ||
        !options.reason.empty())
      return refuse("a question, which takes no --always, --tool, --session, --input or --reason");
    if (allow && options.content.empty()) return refuse("a question; answer it with --content JSON");
    body.Set("action", allow ? "accept" : "decline").SetRaw("content", options.content);
    return body.Take();
  }
  if (!options.content.empty()) return refuse("an approval; --content only answers questions");
  body.Set("decision", DecisionOf(options));
  if (!options.reason.empty()) body.Set("reason", options.reason);
  body.SetRaw("input", options.input);
  return body.Take();
}

// Returns the line to print.
Result<std::string> DecideOne(const ApprovalsOptions& options, const Client& client, const std::string& name,
                              const std::string& agent) {
  auto waiting = FindWaiting(client, name, agent);
  if (!waiting) return waiting.error();
  auto body = BodyFor(options, *waiting);
  if (!body) return body.error();
  auto answer = client.AskJson(client.Request("POST",
                                              AgentPath(waiting->agent) +
                                                  (waiting->elicitation ? "/elicitations/" : "/approvals/") +
                                                  PercentEncode(waiting->id),
                                              *body));
  if (!answer) {
    if (answer.error().code != "already_resolved") return answer.error();
    return Error{answer.error().code, "agent " + waiting->agent + ": " + answer.error().message};
  }
  const std::string word = waiting->elicitation ? "action" : "decision";
  const std::string decision((*answer)[word].StringOr(""));
  if (!options.json) return waiting->agent + " " + Plain(waiting->id) + ": " + decision;
  return JsonObject()
      .Set("agent", waiting->agent)
      .Set("id", waiting->id)
      .Set(word, decision)
      .Set("by", (*answer)["by"].StringOr(""))
      .Take();
}

int Decide(const ApprovalsOptions& options) {
  Console console("approvals " + options.command, options);
  if (options.always + options.tool + options.session > 1)
    return console.Fail({"invalid_request", "give one of --always, --tool and --session"});
  for (const auto& [flag, json] : {std::pair{"--input", options.input}, {"--content", options.content}}) {
    auto object = JsonDocument::Parse(json);
    if (!json.empty() && (!object || !object->root().Is(JsonType::kObject)))
      return console.Fail({"invalid_request", "not a JSON object"}, flag);
  }
  auto client = Client::Find(options.client);
  if (!client) return console.Fail(client.error());
  std::string agent;
  if (!options.agent.empty()) {
    auto found = FindAgent(*client, options.agent);
    if (!found) return console.Fail(found.error(), options.agent);
    agent = *found;
  }
  for (const std::string& name : options.names) {
    auto said = DecideOne(options, *client, name, agent);
    said ? console.Line(*said) : (void)console.Fail(said.error(), name);
  }
  return console.code();
}

std::pair<Command, std::shared_ptr<ApprovalsOptions>> Add(Command& to, const char* name,
                                                          const char* summary) {
  auto options = std::make_shared<ApprovalsOptions>();
  options->command = name;
  Command command = to.Add(name, summary);
  if (options->command != "list") {
    command
        .Argument("APPROVAL", options->names, "Its id, or the id or title of an agent with a single approval")
        .Required();
  }
  command.Option("--agent", options->agent, "AGENT",
                 options->command == "list" ? "Only the approvals of this agent"
                                            : "The agent, if several have an approval with this id");
  return {command, options};
}

}  // namespace

void AddApprovals(Command root) {
  Command approvals = root.Add("approvals", "List and answer the approvals and questions of agents.");
  {
    auto [command, options] =
        Add(approvals, "list", "List pending approvals and questions, the oldest first.");
    AddCommonOptions(command, *options);
    command.Example("reeve approvals list", "with the time that is left to answer each");
    command.Example("reeve approvals list --agent a1 --json", "with the whole input of each tool");
    command.Action([options = options] { return ListApprovals(*options); });
  }
  {
    auto [command, options] = Add(approvals, "allow", "Allow a pending approval, or answer a question.");
    command.Details(
        "The first answer counts. If another came first, the command fails with exit code 1 and prints that "
        "decision. If a name means several approvals, none is answered.");
    command.Flag("--always", options->always, "Also allow the exact same call of this agent in the future");
    command.Flag("--tool", options->tool, "Also allow every later call of this tool, until the session ends");
    command.Flag("--session", options->session,
                 "Also allow every later call of any tool, until the session ends");
    command.Option("--reason", options->reason, "TEXT", "The reason, for the log");
    command.Option("--input", options->input, "JSON",
                   "Replace the input of the tool, if agents of this kind can do that");
    command.Option("--content", options->content, "JSON", "The answer to a question, following its schema");
    AddCommonOptions(command, *options);
    command.Example("reeve approvals allow a1", "the only pending approval of agent a1");
    command.Example("reeve approvals allow 0 --agent a1 --always", "by its id, and do not ask again");
    command.Example("reeve approvals allow q1 --content '{\"colour\":\"red\"}'", "answers a question");
    command.Action([options = options] { return Decide(*options); });
  }
  {
    auto [command, options] = Add(approvals, "deny", "Deny a pending approval, or decline a question.");
    command.Option("--reason", options->reason, "TEXT", "The reason, for the agent");
    AddCommonOptions(command, *options);
    command.Example("reeve approvals deny a1 --reason 'use the test database'",
                    "the agent continues without that call");
    command.Action([options = options] { return Decide(*options); });
  }
}

}  // namespace reeve
