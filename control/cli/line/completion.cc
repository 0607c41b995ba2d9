#include "control/cli/line/completion.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>
#include <utility>

#include "control/cli/client/agent_names.h"
#include "control/cli/client/client.h"
#include "control/cli/commands/commands.h"
#include "control/cli/line/completion_scripts.h"
#include "control/cli/line/exit_code.h"
#include "control/cli/show/text.h"
#include "orchestrator/adapters/kind.h"
#include "orchestrator/json/json.h"
#include "process/clock.h"

namespace reeve {

namespace {

// Somebody waits for it, and would rather have nothing.
constexpr int64_t kPatienceMs = 1'000;

std::string Joined(std::string left, const char* between, const std::string& right) {
  return left.append(between).append(right);
}

// The words before the one that is completed.
struct Reading {
  std::map<const OptionDoc*, std::string> given;
  std::vector<std::string> arguments;
  const OptionDoc* awaited = nullptr;  // whose value comes next
  bool only_arguments = false;         // after "--"
};

Reading Read(const CommandDoc& command, const std::vector<std::string>& words) {
  Reading reading;
  for (const std::string& word : words) {
    if (const OptionDoc* awaited = std::exchange(reading.awaited, nullptr)) {
      reading.given[awaited] = word;
    } else if (reading.only_arguments || word.size() < 2 || word[0] != '-') {
      reading.arguments.push_back(word);
    } else if (word == "--") {
      reading.only_arguments = true;
    } else if (word.starts_with("--")) {
      const size_t equals = word.find('=');
      const OptionDoc* option = command.FindOption(word.substr(0, equals));
      if (!option) continue;
      reading.given[option] = equals == std::string::npos ? "" : word.substr(equals + 1);
      if (option->TakesWord() && equals == std::string::npos) reading.awaited = option;
    } else {
      for (size_t i = 1; i < word.size(); ++i) {
        const OptionDoc* option = command.FindOption(std::string("-") + word[i]);
        if (!option) break;
        reading.given[option] = option->TakesWord() ? word.substr(i + 1) : "";
        if (!option->TakesWord()) continue;
        if (i + 1 == word.size()) reading.awaited = option;
        break;
      }
    }
  }
  return reading;
}

class Completer {
 public:
  Completer(Reading reading, std::string word) : reading_(std::move(reading)), word_(std::move(word)) {}

  std::vector<Candidate> Take() { return std::move(found_); }

  void Commands(const CommandDoc& command) {
    for (const auto& one : command.commands) {
      if (one->hidden) continue;
      Add(one->name, one->summary);
      if (!one->alias.empty()) Add(one->alias, one->summary);
    }
    if (!command.parent) Add("help", "What a command is for, and its options.");
  }

  void Options(const CommandDoc& command) {
    for (const OptionGroup& group : OptionGroups(command)) {
      for (const OptionDoc& option : group.options) {
        const bool given =
            std::any_of(reading_.given.begin(), reading_.given.end(),
                        [&option](const auto& entry) { return entry.first->names == option.names; });
        if (option.argument || (given && !option.many)) continue;
        for (const std::string& name : option.Names()) Add(name, option.help);
      }
    }
  }

  // `before` comes with each: "--kind=".
  void Values(const OptionDoc& option, const std::string& before = {}) {
    before_ = before;
    const std::string name = option.ValueName();
    for (const std::string& choice : option.Choices()) Add(choice, "");
    if (name == "DIR" || name == "COMMAND") found_.push_back({"", name});
    if (name == "FILE" || name == "BINARY") found_.push_back({"", "FILE"});
    if (name == "KIND") {
      for (const Kind& kind : Kinds())
        Add(kind.name, kind.can.turns ? "takes turns" : "one run, as long as it lives");
    }
    if (name == "AGENT") Agents();
    if (name == "APPROVAL") Approvals();
  }

 private:
  void Add(const std::string& value, const std::string& about) {
    // One line, one tab.
    if (!(before_ + value).starts_with(word_) || Plain(value) != value) return;
    found_.push_back({before_ + value, Plain(about)});
  }

  // What an agent may have chosen: it must not come to stand there as an option.
  void AddName(const std::string& name, const std::string& about) {
    if (!name.starts_with('-')) Add(name, about);
  }

  // What the words say about the daemon, else the environment, as for the command itself.
  Result<Client> Daemon() const {
    Client::Options options;
    for (const auto& [option, value] : reading_.given) {
      if (option->Name() == "--server") options.server = value;
      if (option->Name() == "--token-file") options.token_file = value;
      if (option->Name() == "--data") options.data_dir = value;
    }
    return Client::Find(options);
  }

  Result<JsonDocument> Ask(const Client& client, const std::string& path) const {
    HttpRequest request = client.Request("GET", path);
    const int64_t left_ms = kPatienceMs - (SystemClock().MonotonicMs() - began_ms_);
    if (left_ms <= 0) return Error{"timed_out", "no time is left"};
    request.timeout_ms = left_ms;
    request.connect_timeout_ms = left_ms;
    return client.AskJson(std::move(request));
  }

  void Agents() {
    auto client = Daemon();
    if (!client) return;
    const bool labels = word_.find('=', before_.size()) != std::string::npos;
    std::vector<Candidate> titles;
    std::map<std::string, int> labelled;
    std::string page;
    do {
      auto answer = Ask(*client, "/agents?limit=1000" + page);
      if (!answer) break;
      for (const JsonValue& agent : (*answer)["agents"].Elements()) {
        const std::string id(agent["id"].StringOr(""));
        const std::string title(agent["title"].StringOr(""));
        const std::string state(agent["state"].StringOr(""));
        for (const auto& [key, value] : agent["labels"].Members()) {
          ++labelled[std::string(key) + "=" + std::string(value.StringOr(""))];
        }
        if (IsNamed(id) || (!title.empty() && IsNamed(title))) continue;
        AddName(id, title.empty() ? state : Joined(state, ", ", title));
        // With a "=" it would be taken for a label.
        if (title.empty() || title.find('=') != std::string::npos) continue;
        titles.push_back({title, Joined(state, ", ", id)});
      }
      const std::string next((*answer)["next_page_token"].StringOr(""));
      page = next.empty() ? "" : "&page_token=" + PercentEncode(next);
    } while (!page.empty());
    for (const Candidate& title : titles) AddName(title.value, title.about);
    for (const auto& [label, count] : labelled) {
      if (labels) AddName(label, std::to_string(count) + (count == 1 ? " agent" : " agents"));
    }
  }

  void Approvals() {
    auto client = Daemon();
    if (!client) return;
    auto answer = Ask(*client, "/approvals");
    if (!answer) return;
    std::map<std::string, std::vector<std::string>> waiting;  // what for, by agent
    for (const JsonValue& approval : (*answer)["approvals"].Elements()) {
      const std::string agent(approval["agent"].StringOr(""));
      const std::string what(approval["tool"].StringOr(approval["message"].StringOr("")));
      AddName(std::string(approval["id"].StringOr("")), Joined(agent, ": ", what));
      waiting[agent].push_back(what);
    }
    // An agent's name says enough where nothing else of it waits.
    for (const auto& [agent, what] : waiting) {
      if (what.size() == 1) AddName(agent, "waits for " + what.front());
    }
  }

  bool IsNamed(const std::string& agent) const {
    return std::find(reading_.arguments.begin(), reading_.arguments.end(), agent) != reading_.arguments.end();
  }

  const Reading reading_;
  const std::string word_;
  std::string before_;
  const int64_t began_ms_ = SystemClock().MonotonicMs();
  std::vector<Candidate> found_;
};

// Which argument the next one is; the last, where it takes the rest.
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
  const Way way = FindWay(root, before);
  const CommandDoc& command = *way.command;
  if (!way.unknown.empty()) return {};
  const Reading reading = Read(command, way.words);
  Completer completer(reading, word);
  const size_t equals = word.find('=');
  if (reading.awaited) {
    completer.Values(*reading.awaited);
  } else if (!reading.only_arguments && word.starts_with("--") && equals != std::string::npos) {
    const OptionDoc* option = command.FindOption(word.substr(0, equals));
    if (option) completer.Values(*option, word.substr(0, equals + 1));
  } else if (!reading.only_arguments && word.starts_with("-")) {
    completer.Options(command);
  } else if (!command.commands.empty()) {
    completer.Commands(command);
  } else if (const OptionDoc* argument = NextArgument(command, reading.arguments.size())) {
    // Of a program that is to be run, the shell knows as much as of any.
    const bool its_own = argument->names == "COMMAND" && !reading.arguments.empty();
    if (its_own) return {{"", "FILE"}};
    completer.Values(*argument);
  }
  return completer.Take();
}

void AddCompletion(Command root) {
  auto shell = std::make_shared<std::string>();
  Command completion = root.Add("completion", "Print a script that has a shell complete reeve's words.");
  completion.Details(
      "Commands, options and their values, and from the running daemon its agents and what they wait for. "
      "Where reeve is installed, the shells find it by themselves.");
  completion.Argument("bash|zsh|fish", *shell, "The shell").Required();
  completion.Example("eval \"$(reeve completion bash)\"", "in ~/.bashrc");
  completion.Example("reeve completion zsh > ~/.zfunc/_reeve", "a folder of zsh's fpath, before compinit");
  completion.Example("reeve completion fish > ~/.config/fish/completions/reeve.fish", "once");
  completion.Action([shell] {
    std::fputs(CompletionScript(*shell), stdout);
    return static_cast<int>(kOk);
  });

  auto words = std::make_shared<std::vector<std::string>>();
  Command complete = root.Add("complete", "What may stand for the last word, for the shells.").Hidden();
  complete.Argument("WORD", *words, "The words after reeve; the last may be empty");
  complete.Example("reeve complete -- agents stop ''", "each with a tab and what it is");
  complete.Action([words, root] { return Print(Complete(root.doc(), *words)); });
}

}  // namespace reeve
