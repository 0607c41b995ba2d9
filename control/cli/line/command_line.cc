#include "control/cli/line/command_line.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <sstream>

#include "control/cli/line/exit_code.h"
#include "control/cli/show/text.h"
#include "orchestrator/config/nearest.h"
#include "orchestrator/json/json.h"

namespace reeve {

namespace {

// Only the choices, said in one sentence when it is none of them.
void LimitTo(CLI::Option* option, const std::vector<std::string>& choices) {
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

// A number in all of its words: CLI11 takes what can be converted, and says the rest in words of its own.
void LimitTo(CLI::Option* option, double least, double most, bool whole) {
  option->check(CLI::Validator(
      [least, most, whole](const std::string& value) {
        char* end = nullptr;
        const double number = std::strtod(value.c_str(), &end);
        const bool all = !value.empty() && *end == '\0';
        const bool fits = number >= least && number <= most && (!whole || std::floor(number) == number);
        if (all && fits) return std::string();
        char range[80];
        (void)std::snprintf(range, sizeof range, "%.10g to %.10g", least, most);
        return "'" + value + "' is no " + (whole ? "whole " : "") + "number from " + range;
      },
      ""));
}

// A list is what was said, word by word: CLI11's own conversion makes two of "[a,b]" and none of "{}".
CLI::Option* AddList(CLI::App& app, const char* names, std::vector<std::string>& target) {
  const CLI::callback_t take = [&target](const CLI::results_t& words) {
    target = words;
    return true;
  };
  return app.add_option(names, take)->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

// The last word first, and "--option=" as two: CLI11 would take the next word for its value.
std::vector<std::string> ForCli11(const CommandDoc& command, const std::vector<std::string>& words) {
  std::vector<std::string> out;
  bool options = true;
  for (size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    out.push_back(word);
    options &= word != "--";
    const bool empty = options && word.rfind("--", 0) == 0 && word.back() == '=';
    const OptionDoc* option =
        options ? command.FindOption(empty ? word.substr(0, word.size() - 1) : word) : nullptr;
    if (!option || !option->TakesWord()) continue;
    if (empty) {
      out.back().pop_back();
      out.emplace_back();
    } else if (i + 1 < words.size()) {
      out.push_back(words[++i]);
    }
  }
  std::reverse(out.begin(), out.end());
  return out;
}

bool IsOption(const std::string& word) { return word.size() > 1 && word.front() == '-' && word != "--"; }

std::string DidYouMean(const std::string& word, const std::vector<std::string>& known) {
  const std::string meant = Nearest(word, known, 2);
  return meant.empty() ? "" : ", did you mean '" + meant + "'?";
}

std::string NoCommand(const CommandDoc& command, const std::string& word) {
  std::vector<std::string> known;
  for (const auto& one : command.commands) {
    if (!one->hidden) known.push_back(one->name);
  }
  return "no command '" + word + "'" + DidYouMean(word, known);
}

std::string NoOption(const CommandDoc& command, const std::string& word) {
  std::vector<std::string> known;
  for (const OptionGroup& group : OptionGroups(command)) {
    for (const OptionDoc& option : group.options) {
      for (const std::string& name : option.Names()) known.push_back(name);
    }
  }
  // Of several letters in one word, the first of those that are left.
  const bool is_long = word.rfind("--", 0) == 0;
  const std::string name = is_long ? word.substr(0, word.find('=')) : word.substr(0, 2);
  return "no option " + name + (is_long ? DidYouMean(name, known) : "");
}

// What CLI11 found wrong, in words of ours.
std::string Why(const CommandDoc& command, const CLI::ParseError& error) {
  const std::string what = error.what();
  for (const std::string& word : command.app->remaining()) {
    if (word == "--") break;
    // A misspelt option is also the reason for all else that is missing.
    if (IsOption(word) && !command.app->get_allow_extras()) return NoOption(command, word);
  }
  if (dynamic_cast<const CLI::ExtrasError*>(&error)) {
    const std::vector<std::string> left = command.app->remaining();
    const bool marked = left.size() > 1 && left.front() == "--";
    return "'" + left[marked ? 1 : 0] + "' is one argument too many";
  }
  if (dynamic_cast<const CLI::ExcludesError*>(&error)) {
    const size_t at = what.find(" excludes ");
    return what.substr(0, at) + " and " + what.substr(at + 10) + " exclude each other";
  }
  for (const OptionDoc& option : command.options) {
    const std::string name = option.Name();
    if (dynamic_cast<const CLI::RequiredError*>(&error) && option.required && option.parsed->count() == 0) {
      return name + (option.argument ? "" : " " + option.type) + " is missing";
    }
    if (dynamic_cast<const CLI::ArgumentMismatch*>(&error) && what.rfind(name + ":", 0) == 0) {
      if (what.find("missing") == std::string::npos) return name + " is given more than once";
      return name + ": its " + option.type + " is missing";
    }
    if (dynamic_cast<const CLI::ConversionError*>(&error) && what.find(name) != std::string::npos) {
      return name + " takes no value";
    }
  }
  // An argument with choices has no other name.
  const bool of_argument = what.find('|') < what.find(':');
  return of_argument ? what.substr(what.find(':') + 2) : what;
}

int Refuse(const CommandDoc& command, const std::string& why, bool json) {
  const std::string path = command.Path();
  const std::string words = command.parent ? path.substr(path.find(' ') + 1) : "";
  if (json) {
    JsonObject error;
    error.Set("code", "usage");
    if (!words.empty()) error.Set("command", words);
    error.Set("message", why).Set("exit_code", static_cast<int>(kUsage));
    std::fprintf(stderr, "%s\n", SafeJson(JsonObject().SetRaw("error", error.Take()).Take()).c_str());
  } else {
    std::fprintf(stderr, "reeve: %s%s%s; see `%s --help`\n", words.c_str(), words.empty() ? "" : ": ",
                 why.c_str(), path.c_str());
  }
  return kUsage;
}

}  // namespace

std::vector<std::string> OptionDoc::Names() const {
  std::vector<std::string> all;
  std::istringstream words(names);
  for (std::string word; std::getline(words, word, ',');) all.push_back(word);
  return all;
}

bool OptionDoc::IsNamed(const std::string& word) const {
  const std::vector<std::string> all = Names();
  return !argument && std::find(all.begin(), all.end(), word) != all.end();
}

std::vector<std::string> OptionDoc::Choices() const {
  std::vector<std::string> choices;
  if (ValueName().find('|') == std::string::npos) return choices;
  std::istringstream words(ValueName());
  for (std::string word; std::getline(words, word, '|');) choices.push_back(word);
  return choices;
}

std::string OptionDoc::Name() const {
  const std::vector<std::string> all = Names();
  for (const std::string& name : all) {
    if (name.rfind("--", 0) == 0) return name;
  }
  return all.front();
}

std::string CommandDoc::Path() const { return parent ? parent->Path() + " " + name : name; }

const CommandDoc* CommandDoc::Find(const std::string& wanted) const {
  for (const auto& command : commands) {
    if (command->name == wanted || (!wanted.empty() && command->alias == wanted)) return command.get();
  }
  return nullptr;
}

const OptionDoc* CommandDoc::FindOption(const std::string& wanted) const {
  for (const OptionDoc& option : options) {
    if (option.IsNamed(wanted)) return &option;
  }
  for (const auto& command : commands) {
    if (const OptionDoc* option = command->FindOption(wanted)) return option;
  }
  return nullptr;
}

Way FindWay(const CommandDoc& root, const std::vector<std::string>& words) {
  Way way{&root, {}, {}, false};
  size_t at = 0;
  for (; at < words.size() && !way.command->commands.empty(); ++at) {
    const std::string& word = words[at];
    if (IsOption(word)) {
      way.words.push_back(word);
      const OptionDoc* option = way.command->FindOption(word);
      if (option && option->TakesWord() && at + 1 < words.size()) way.words.push_back(words[++at]);
    } else if (const CommandDoc* next = way.command->Find(word)) {
      way.command = next;
    } else if (word == "help" && way.command == &root && !way.help) {
      way.help = true;
    } else {
      way.unknown = word;
      return way;
    }
  }
  way.words.insert(way.words.end(), words.begin() + static_cast<std::ptrdiff_t>(at), words.end());
  return way;
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
  command->app = std::make_shared<CLI::App>(summary, name);
  doc_->commands.push_back(std::move(command));
  return Command(doc_->commands.back().get());
}

Command& Command::Alias(const char* name) {
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

Command& Command::Variable(std::string name, std::string what) {
  doc_->variables.emplace_back(std::move(name), std::move(what));
  return *this;
}

Command& Command::File(std::string path, std::string what) {
  doc_->files.emplace_back(std::move(path), std::move(what));
  return *this;
}

OptionRef Command::Declare(CLI::Option* option, OptionDoc doc) {
  LimitTo(option, doc.Choices());
  doc.parsed = option;
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
  CLI::Option* option = AddList(*doc_->app, names, target);
  if (once) option->multi_option_policy(CLI::MultiOptionPolicy::Throw);
  return Declare(option, std::move(doc));
}

OptionRef Command::Option(const char* names, double& target, double least, double most, std::string help) {
  OptionDoc doc;
  doc.names = names;
  doc.type = "NUMBER";
  doc.help = std::move(help);
  CLI::Option* option = doc_->app->add_option(names, target);
  LimitTo(option, least, most, false);
  return Declare(option, std::move(doc));
}

OptionRef Command::Option(const char* names, int& target, int least, int most, std::string help) {
  OptionDoc doc;
  doc.names = names;
  doc.type = "NUMBER";
  doc.help = std::move(help);
  CLI::Option* option = doc_->app->add_option(names, target);
  LimitTo(option, least, most, true);
  return Declare(option, std::move(doc));
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
  // As many as there are: CLI11 takes words until it has what it expects, and "all" would split "[a,b]".
  CLI::Option* option =
      AddList(*doc_->app, name, target)->expected(CLI::detail::expected_max_vector_size - 1);
  return Declare(option, std::move(doc));
}

CommandLine::CommandLine(const char* summary, std::string version)
    : version_(std::move(version)), root_(std::make_unique<CommandDoc>()) {
  root_->name = "reeve";
  root_->summary = summary;
}

CommandLine::~CommandLine() = default;

Command CommandLine::root() { return Command(root_.get()); }

int CommandLine::Run(const std::vector<std::string>& words) { return Take(words, true); }
int CommandLine::Check(const std::vector<std::string>& words) { return Take(words, false); }

int CommandLine::Take(const std::vector<std::string>& words, bool run) {
  const auto options_end = std::find(words.begin(), words.end(), "--");
  const bool json = std::find(words.begin(), options_end, "--json") != options_end;
  const Way way = FindWay(*root_, words);
  const CommandDoc& command = *way.command;
  if (!way.unknown.empty()) return Refuse(command, NoCommand(command, way.unknown), json);
  bool help = way.help;
  if (!command.commands.empty()) {
    for (size_t i = 0; i < way.words.size() && !help; ++i) {
      const std::string& word = way.words[i];
      const OptionDoc* option = command.FindOption(word.substr(0, word.find('=')));
      if (word == "--version" && !command.parent) {
        std::printf("%s\n", version_.c_str());
        return kOk;
      }
      help = word == "-h" || word == "--help";
      if (!help && !option) return Refuse(command, NoOption(command, word), json);
      if (option && option->TakesWord()) ++i;
    }
    if (!help && json) return Refuse(command, "a command is missing", json);
    std::fputs(HelpText(command).c_str(), help ? stdout : stderr);
    return help ? kOk : kUsage;
  }
  try {
    if (!help) command.app->parse(ForCli11(command, way.words));
  } catch (const CLI::CallForHelp&) {
    help = true;
  } catch (const CLI::ParseError& error) {
    return Refuse(command, Why(command, error), json);
  }
  if (help) {
    std::fputs(HelpText(command).c_str(), stdout);
    return kOk;
  }
  return run ? command.action() : kOk;
}

}  // namespace reeve
