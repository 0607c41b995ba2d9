#include "control/cli/line/completion.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>
#include <utility>

#include "control/cli/client/agent_names.h"
#include "control/cli/client/client.h"
#include "control/cli/commands/commands.h"
#include "control/cli/line/exit_code.h"
#include "control/cli/show/text.h"
#include "orchestrator/adapters/kind.h"
#include "orchestrator/json/json.h"

namespace reeve {

namespace {

// For a request: a person at a prompt prefers no candidates to late ones.
constexpr int64_t kTimeoutMs = 1'000;

class Completer {
 public:
  Completer(const ParsedWords& before, std::string word) : given_(before), word_(std::move(word)) {}

  std::vector<Candidate> Take() { return std::move(found_); }

  void Commands(const CommandDoc& command) {
    for (const auto& one : command.commands) {
      if (one->hidden) continue;
      Add(one->name, one->summary);
      for (const std::string& alias : one->aliases) Add(alias, one->summary);
      if (one->open) Commands(*one);
    }
    if (!command.parent) Add("help", "Describe a command and its options.");
  }

  void Options(const CommandDoc& command) {
    for (const OptionGroup& group : OptionGroups(command)) {
      for (const OptionDoc& option : group.options) {
        const bool given =
            std::any_of(given_.values.begin(), given_.values.end(),
                        [&option](const auto& entry) { return entry.first->names == option.names; });
        if (option.argument || (given && !option.many)) continue;
        for (const std::string& name : option.Names()) Add(name, option.help);
      }
    }
  }

  // Each value is preceded by `before`: "--kind=".
  void Values(const OptionDoc& option, const std::string& before = {}) {
    before_ = before;
    const std::string name = option.ValueName();
    for (const std::string& choice : option.Choices()) Add(choice, "");
    if (name == "DIR" || name == "COMMAND") found_.push_back({"", name});
    if (name == "FILE" || name == "BINARY") found_.push_back({"", "FILE"});
    if (name == "KIND") {
      for (const Kind& kind : Kinds())
        Add(kind.name, kind.can.turns ? "takes turns" : "one run, until the process exits");
    }
    if (name == "AGENT") Agents();
    if (name == "APPROVAL") Approvals();
  }

 private:
  void Add(const std::string& value, const std::string& about) {
    // The scripts expect one line with one tab.
    if (!(before_ + value).starts_with(word_) || Plain(value) != value) return;
    found_.push_back({before_ + value, Plain(about)});
  }

  // For names that an agent may have chosen: one that looks like an option must never be inserted.
  void AddName(const std::string& name, const std::string& about) {
    if (!name.starts_with('-')) Add(name, about);
  }

  // The words before may name the daemon; else the environment does, as for the command itself.
  Result<Client> Daemon() const {
    Client::Options options;
    for (const auto& [option, values] : given_.values) {
      if (option->Name() == "--server") options.server = values.back();
      if (option->Name() == "--token-file") options.token_file = values.back();
      if (option->Name() == "--data") options.data_dir = values.back();
    }
    return Client::Find(options);
  }

  void Agents() {
    auto client = Daemon();
    if (!client) return;
    const bool labels = word_.find('=', before_.size()) != std::string::npos;
    std::vector<Candidate> titles;
    std::map<std::string, int> labelled;
    auto take = [&](const JsonValue& agent) {
      const std::string id(agent["id"].StringOr(""));
      const std::string title(agent["title"].StringOr(""));
      const std::string state(agent["state"].StringOr(""));
      for (const auto& [key, value] : agent["labels"].Members())
        ++labelled[std::string(key) + "=" + std::string(value.StringOr(""))];
      if (IsNamed(id) || (!title.empty() && IsNamed(title))) return;
      AddName(id, title.empty() ? state : state + ", " + title);
      // The command would read a title with a "=" as a label.
      if (!title.empty() && title.find('=') == std::string::npos)
        titles.push_back({title, state + ", " + id});
    };
    (void)ForEachAgent(*client, "", take, kTimeoutMs);
    for (const Candidate& title : titles) AddName(title.value, title.about);
    for (const auto& [label, count] : labelled) {
      if (labels) AddName(label, std::to_string(count) + (count == 1 ? " agent" : " agents"));
    }
  }

  void Approvals() {
    auto client = Daemon();
    if (!client) return;
    HttpRequest request = ApprovalsRequest(*client, "");
    request.timeout_ms = kTimeoutMs;
    auto answer = client->AskJson(std::move(request));
    if (!answer) return;
    std::map<std::string, std::vector<std::string>> waiting;  // by agent
    for (const JsonValue& approval : (*answer)["approvals"].Elements()) {
      const std::string agent(approval["agent"].StringOr(""));
      const std::string about(approval["tool"].StringOr(approval["message"].StringOr("")));
      AddName(std::string(approval["id"].StringOr("")), std::string(agent).append(": ").append(about));
      waiting[agent].push_back(about);
    }
    // The agent's name identifies its only approval.
    for (const auto& [agent, abouts] : waiting) {
      if (abouts.size() == 1) AddName(agent, "waits for " + abouts.front());
    }
  }

  bool IsNamed(const std::string& agent) const {
    return std::find(given_.arguments.begin(), given_.arguments.end(), agent) != given_.arguments.end();
  }

  const ParsedWords& given_;
  const std::string word_;
  std::string before_;
  std::vector<Candidate> found_;
};

// The declaration of the next argument; the last one may take all that remain.
const OptionDoc* NextArgument(const CommandDoc& command, size_t before) {
  const OptionDoc* last = nullptr;
  for (const OptionDoc& option : command.options) {
    if (!option.argument || option.hidden) continue;
    last = &option;
    if (before-- == 0) return last;
  }
  return last && last->many ? last : nullptr;
}

int Print(const std::vector<Candidate>& candidates) {
  for (const auto& [value, about] : candidates) std::printf("%s\t%s\n", value.c_str(), about.c_str());
  return kOk;
}

}  // namespace

std::vector<Candidate> Complete(const CommandDoc& root, const std::vector<std::string>& words) {
  std::vector<std::string> before = words;
  std::string word;
  if (!before.empty()) {
    word = std::move(before.back());
    before.pop_back();
  }
  const ResolvedCommand resolved = Resolve(root, before);
  const CommandDoc& command = *resolved.command;
  if (!resolved.unknown.empty()) return {};
  const ParsedWords parsed = Parse(command, resolved.words);
  Completer completer(parsed, word);
  const size_t equals = word.find('=');
  if (parsed.awaited) {
    completer.Values(*parsed.awaited);
  } else if (!parsed.options_ended && word.starts_with("--") && equals != std::string::npos) {
    const OptionDoc* option = command.FindOption(word.substr(0, equals));
    if (option) completer.Values(*option, word.substr(0, equals + 1));
  } else if (!parsed.options_ended && word.starts_with("-")) {
    completer.Options(command);
  } else if (!command.commands.empty()) {
    completer.Commands(command);
  } else if (const OptionDoc* argument = NextArgument(command, parsed.arguments.size())) {
    // The words after a program's name are its own; they often name files.
    const bool of_program = argument->names == "COMMAND" && !parsed.arguments.empty();
    if (of_program) return {{"", "FILE"}};
    completer.Values(*argument);
  }
  return completer.Take();
}

void AddCompletion(Command root) {
  auto shell = std::make_shared<std::string>();
  Command completion = root.Add("completion", "Print a script with which a shell completes reeve commands.");
  completion.Details(
      "Completes commands, options and their values, and the agents and approvals of the running daemon. An "
      "installed reeve needs none of this: the shells find the installed scripts.");
  completion.Argument("bash|zsh|fish", *shell, "The shell").Required();
  completion.Example("eval \"$(reeve completion bash)\"", "in ~/.bashrc");
  completion.Example("reeve completion zsh > ~/.zfunc/_reeve",
                     "the folder must be in fpath before compinit runs");
  completion.Example("reeve completion fish > ~/.config/fish/completions/reeve.fish", "once");
  completion.Action([shell] {
    std::fputs(CompletionScript(*shell), stdout);
    return static_cast<int>(kOk);
  });

  auto words = std::make_shared<std::vector<std::string>>();
  Command complete = root.Add("complete", "Print the completions of the last word, for the shells.");
  complete.Hide();
  complete.Argument("WORD", *words, "The words after reeve; the last may be empty");
  complete.Example("reeve complete -- agents stop ''", "one a line: the word, a tab, a description");
  complete.Action([words, root] { return Print(Complete(root.doc(), *words)); });
}

}  // namespace reeve
