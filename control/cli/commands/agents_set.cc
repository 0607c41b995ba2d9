// `reeve agents set` and `reeve agents models`: changes the settings of agents, and lists the models to
// choose from.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "control/cli/client/agent_names.h"
#include "control/cli/commands/agents_commands.h"
#include "control/cli/commands/each_agent.h"
#include "control/cli/show/event_words.h"
#include "orchestrator/json/json.h"

namespace reeve {

namespace {

// --- set

struct SetOptions : EachAgentOptions {
  std::vector<std::string> title, model, system_prompt;  // empty: not given
  bool star = false;
  bool unstar = false;
  std::vector<std::string> labels;
  std::vector<std::string> limits;
  std::string restart;
  std::string permission;
  std::string patch;
};

Error Wrong(const std::string& what) { return {"invalid_request", what}; }

// "wall=5m": the member of `limits` and its value. 0 lifts a limit.
Result<std::pair<std::string, std::string>> LimitOf(const std::string& text) {
  const size_t equals = std::min(text.find('='), text.size());
  const std::string name = text.substr(0, equals);
  const std::string value = text.substr(std::min(equals + 1, text.size()));
  if (name == "wall" || name == "stall" || name == "idle") {
    auto duration = ReadDuration(("--limit " + name).c_str(), value);
    if (!duration) return duration.error();
    return std::pair{name + "_ms", std::to_string(*duration)};
  }
  const bool number = !value.empty() && value.find_first_not_of("0123456789.") == std::string::npos;
  if (name == "tokens" && number) return std::pair{std::string("max_tokens"), value};
  if (name == "cost" && number) return std::pair{std::string("max_cost_usd"), value};
  if (name == "on_stall") return std::pair{name, JsonArray().Add(value).Take()};
  return Wrong("--limit: '" + text + "' is not wall=5m, stall=2m, idle=1h, tokens=100000 or cost=2.5");
}

Result<std::string> PatchOf(const SetOptions& options) {
  JsonObject patch;
  auto set = [&patch](const char* field, const std::vector<std::string>& value) {
    if (value.empty()) return;
    value.front().empty() ? patch.SetRaw(field, "null") : patch.Set(field, value.front());
  };
  set("title", options.title);
  set("model", options.model);
  set("system_prompt", options.system_prompt);
  if (options.star || options.unstar) patch.Set("starred", options.star);
  JsonObject labels;
  for (const std::string& label : options.labels) {
    const size_t equals = label.find('=');
    if (label.empty() || equals == 0) return Wrong("--label: '" + label + "' is not KEY=VALUE or KEY");
    equals == std::string::npos ? labels.SetRaw(label, "null")
                                : labels.Set(label.substr(0, equals), label.substr(equals + 1));
  }
  if (!labels.empty()) patch.SetRaw("labels", labels.Take());
  JsonObject limits;
  for (const std::string& text : options.limits) {
    auto limit = LimitOf(text);
    if (!limit) return limit.error();
    limits.SetRaw(limit->first, limit->second);
  }
  if (!limits.empty()) patch.SetRaw("limits", limits.Take());
  if (!options.restart.empty()) patch.SetRaw("restart", JsonObject().Set("policy", options.restart).Take());
  if (!options.permission.empty())
    patch.SetRaw("permissions", JsonObject().Set("default", options.permission).Take());
  if (options.patch.empty() && patch.empty())
    return Wrong("say what to change: `reeve agents set --help` lists what can be");
  if (options.patch.empty()) return patch.Take();
  if (!patch.empty()) return Wrong("--patch cannot be combined with other changes");
  auto whole = JsonDocument::Parse(options.patch);
  if (!whole || !whole->root().Is(JsonType::kObject)) return Wrong("--patch: not a JSON object");
  return options.patch;
}

int Set(const SetOptions& options) {
  const Console console(options.command, options);
  auto patch = PatchOf(options);
  if (!patch) return Console(options.command, options).Fail(patch.error());
  return ForEachAgentOf(options, [&](const Client& client, const std::string& id) -> Result<std::string> {
    auto agent = client.AskJson(client.Request("PATCH", AgentPath(id), *patch));
    if (!agent) return agent.error();
    if ((*agent)["applies"].StringOr("") == "next_start")
      console.Note(id + ": a part of the change applies from the next start: `reeve restart " + id + "`");
    return options.json ? agent->root().Raw() : id;
  });
}

void AddSet(Command agents) {
  auto [command, options] = AddForAgents<SetOptions>(agents, "set", "Change settings of agents.");
  command.Details("An empty text, as in --model '', removes a setting. Prints the ids of the agents.");
  command.Option("--title", options->title, "TEXT", "A name for people", true);
  command.Option("--model", options->model, "MODEL", "The model for all further turns", true);
  command.Option("--system-prompt", options->system_prompt, "TEXT", "Instructions for every turn", true);
  OptionRef star = command.Flag("--star", options->star, "Mark it with a star");
  command.Flag("--unstar", options->unstar, "Remove the star").Excludes(star);
  command.Option("-l,--label", options->labels, "KEY=VALUE", "Set a label; KEY alone removes it");
  command.Option("--limit", options->limits, "LIMIT=VALUE",
                 "wall=5m, stall=2m, idle=1h, tokens=100000, cost=2.5 (in dollars); 0 lifts it");
  command.Option("--restart", options->restart, "never|on_failure|always", "When it is started again");
  command.Option("--permission", options->permission, "ask|allow|deny",
                 "The answer when a coding agent asks to use a tool, if no rule of its spec decides");
  command.Option("--patch", options->patch, "JSON",
                 "A JSON Merge Patch of anything that PATCH /agents/ID can change");
  AddCommonOptions(command, *options);
  command.Example("reeve set a1 --title 'the parser' -l team=web --limit wall=1h", "several at once");
  command.Example("reeve set team=web --patch '{\"restart\":{\"max_restarts\":3}}'",
                  "anything that the API can change");
  command.Action([options = options] { return Set(*options); });
}

// --- models

int ListModels(const EachAgentOptions& options) {
  const Console console(options.command, options);
  return ForEachAgentOf(options, [&](const Client& client, const std::string& id) -> Result<std::string> {
    auto answer = client.AskJson(client.Request("GET", AgentPath(id) + "/models"));
    if (!answer) return answer.error();
    if (options.json) return answer->root().Raw();
    const std::string present = PlainTextOf((*answer)["model"]);
    Table table;
    for (const JsonValue& model : (*answer)["models"].Elements()) {
      const std::string name = PlainTextOf(model["id"]);
      table.Add({{name == present ? "*" : " "}, {name}, {PlainTextOf(model["name"])}});
    }
    std::string text = table.Show(console.colours(), console.columns());
    if (!text.empty()) text.pop_back();
    if (text.empty()) console.Note(id + ": its program names no models");
    return text;
  });
}

void AddModels(Command agents) {
  auto [command, options] =
      AddForAgents<EachAgentOptions>(agents, "models", "List the models that agents can use.");
  command.Details(
      "The present model is marked with *. The agent's program is asked, so it must run, and its kind must "
      "have models.");
  AddCommonOptions(command, *options);
  command.Example("reeve models reviewer", "then: reeve set reviewer --model ID");
  command.Action([options = options] { return ListModels(*options); });
}

}  // namespace

void AddAgentsSet(Command agents) {
  AddSet(agents);
  AddModels(agents);
}

}  // namespace reeve
