#include "control/cli/command_line.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <sstream>

#include "control/cli/exit_code.h"
#include "orchestrator/json.h"
#include "orchestrator/nearest.h"

namespace reeve {

namespace {

std::vector<std::string> Choices(const std::string& type) {
  std::vector<std::string> choices;
  if (type.find('|') == std::string::npos) return choices;
  std::istringstream words(type);
  for (std::string word; std::getline(words, word, '|');) choices.push_back(word);
  return choices;
}

// Only the choices, said in one sentence when it is none of them.
void LimitTo(CLI::Option* option, const std::string& type) {
  const std::vector<std::string> choices = Choices(type);
  if (choices.empty()) return;
  option->check(CLI::Validator(
      [choices](const std::string& value) {
        if (std::find(choices.begin(), choices.end(), value) != choices.end()) return std::string();
        std::string all;
        for (const std::string& choice : choices) all += (all.empty() ? "" : ", ") + choice;
        return "'" + value + "' is none of " + all;
      },
      ""));
}

}  // namespace

std::string CommandDoc::Path() const { return parent ? parent->Path() + " " + name : name; }

const CommandDoc* CommandDoc::Find(const std::string& wanted) const {
  for (const auto& command : commands) {
    if (command->name == wanted || (!wanted.empty() && command->alias == wanted)) return command.get();
  }
  return nullptr;
}

OptionRef& OptionRef::Required() {
  option_->required();
  doc_->required = true;
  return *this;
}

OptionRef& OptionRef::Excludes(OptionRef& other) {
  option_->excludes(other.option_);
  return *this;
}

OptionRef& OptionRef::Default(std::string words) {
  doc_->fallback = std::move(words);
  return *this;
}

OptionRef& OptionRef::Group(std::string name) {
  doc_->group = std::move(name);
  return *this;
}

OptionRef& OptionRef::Hidden() {
  doc_->hidden = true;
  return *this;
}

Command Command::Add(const char* name, const char* summary) {
  auto command = std::make_unique<CommandDoc>();
  command->name = name;
  command->summary = summary;
  command->parent = doc_;
  command->app = doc_->app->add_subcommand(name, summary);
  doc_->app->require_subcommand(0, 1);  // a word that follows is no command beside this one
  doc_->commands.push_back(std::move(command));
  return Command(doc_->commands.back().get());
}

Command& Command::Alias(const char* name) {
  doc_->app->alias(name);
  doc_->alias = name;
  return *this;
}

Command& Command::Details(std::string text) {
  doc_->details = std::move(text);
  return *this;
}

Command& Command::Hidden() {
  doc_->hidden = true;
  return *this;
}

Command& Command::Example(const char* typed, const char* what) {
  doc_->examples.emplace_back(typed, what);
  return *this;
}

Command& Command::Action(std::function<int()> run) {
  doc_->action = std::move(run);
  return *this;
}

Command& Command::AllowExtras() {
  doc_->app->allow_extras();
  return *this;
}

OptionRef Command::Declare(CLI::Option* option, OptionDoc doc) {
  LimitTo(option, doc.type);
  doc_->options.push_back(std::move(doc));
  return {option, &doc_->options.back()};
}

OptionRef Command::Flag(const char* names, bool& target, std::string help) {
  OptionDoc doc;
  doc.names = names;
  doc.help = std::move(help);
  return Declare(doc_->app->add_flag(names, target), std::move(doc));
}

OptionRef Command::Option(const char* names, std::string& target, std::string type, std::string help) {
  OptionDoc doc;
  doc.names = names;
  doc.type = std::move(type);
  doc.help = std::move(help);
  return Declare(doc_->app->add_option(names, target), std::move(doc));
}

OptionRef Command::Option(const char* names, std::vector<std::string>& target, std::string type,
                          std::string help, bool once) {
  OptionDoc doc;
  doc.names = names;
  doc.type = std::move(type);
  doc.help = std::move(help);
  doc.many = !once;
  // One value each time: a list would also take the "--" before a command.
  CLI::Option* option = doc_->app->add_option(names, target)->allow_extra_args(false);
  if (once) option->expected(1);
  return Declare(option, std::move(doc));
}

OptionRef Command::Option(const char* names, double& target, double least, double most, std::string help) {
  OptionDoc doc;
  doc.names = names;
  doc.type = "NUMBER";
  doc.help = std::move(help);
  return Declare(doc_->app->add_option(names, target)->check(CLI::Range(least, most)), std::move(doc));
}

OptionRef Command::Option(const char* names, int& target, int least, int most, std::string help) {
  OptionDoc doc;
  doc.names = names;
  doc.type = "NUMBER";
  doc.help = std::move(help);
  return Declare(doc_->app->add_option(names, target)->check(CLI::Range(least, most)), std::move(doc));
}

OptionRef Command::OptionalValue(const char* names, std::string& target, const char* implied,
                                 std::string type, std::string help) {
  OptionDoc doc;
  doc.names = names;
  doc.type = std::move(type);
  doc.help = std::move(help);
  doc.optional_value = true;
  return Declare(doc_->app->add_flag(std::string(names) + "{" + implied + "}", target), std::move(doc));
}

OptionRef Command::Argument(const char* name, std::string& target, std::string help) {
  OptionDoc doc;
  doc.names = name;
  doc.help = std::move(help);
  doc.argument = true;
  return Declare(doc_->app->add_option(name, target), std::move(doc));
}

OptionRef Command::Argument(const char* name, std::vector<std::string>& target, std::string help) {
  OptionDoc doc;
  doc.names = name;
  doc.help = std::move(help);
  doc.argument = true;
  doc.many = true;
  return Declare(doc_->app->add_option(name, target), std::move(doc));
}

CommandLine::CommandLine(const char* summary, std::string version)
    : version_(std::move(version)),
      app_(std::make_unique<CLI::App>(summary, "reeve")),
      root_(std::make_unique<CommandDoc>()) {
  app_->set_version_flag("--version", version_);
  root_->name = "reeve";
  root_->summary = summary;
  root_->app = app_.get();
}

CommandLine::~CommandLine() = default;

Command CommandLine::root() { return Command(root_.get()); }

int CommandLine::Refuse(const CommandDoc& command, const std::string& why, bool json) const {
  const std::string path = command.Path();
  if (json) {
    const std::string error = JsonObject()
                                  .Set("code", "usage")
                                  .Set("command", path)
                                  .Set("message", why)
                                  .Set("exit_code", static_cast<int>(kUsage))
                                  .Take();
    std::fprintf(stderr, "%s\n", JsonObject().SetRaw("error", error).Take().c_str());
  } else {
    const std::string words = command.parent ? path.substr(path.find(' ') + 1) + ": " : "";
    std::fprintf(stderr, "reeve: %s%s; see `%s --help`\n", words.c_str(), why.c_str(), path.c_str());
  }
  return kUsage;
}

int CommandLine::Run(int argc, const char* const* argv) {
  bool json = false;
  for (int i = 1; i < argc && std::string(argv[i]) != "--"; ++i) json |= std::string(argv[i]) == "--json";
  std::string wrong;
  bool help = false;
  try {
    app_->parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    help = true;
  } catch (const CLI::CallForVersion&) {
    std::printf("%s\n", version_.c_str());
    return kOk;
  } catch (const CLI::ParseError& error) {
    wrong = error.what();
  }
  const CommandDoc* command = root_.get();
  for (CLI::App* at = app_.get(); !at->get_subcommands().empty();) {
    at = at->get_subcommands().front();
    const auto found = std::find_if(command->commands.begin(), command->commands.end(),
                                    [at](const auto& one) { return one->app == at; });
    command = found->get();
  }
  if (help) {
    std::fputs(HelpText(*command).c_str(), stdout);
    return kOk;
  }
  if (!command->commands.empty()) {
    const std::vector<std::string> extras = command->app->remaining();
    if (extras.empty()) return Refuse(*command, wrong.empty() ? "a command is missing" : wrong, json);
    std::vector<std::string> known;
    for (const auto& one : command->commands) {
      if (!one->hidden) known.push_back(one->name);
    }
    const std::string& word = extras.front();
    if (word.rfind('-', 0) == 0) return Refuse(*command, "no option " + word, json);
    const std::string meant = Nearest(word, known, 2);
    const std::string hint = meant.empty() ? "" : ", did you mean '" + meant + "'?";
    return Refuse(*command, "no command '" + word + "'" + hint, json);
  }
  if (!wrong.empty()) return Refuse(*command, wrong, json);
  return command->action();
}

}  // namespace reeve
