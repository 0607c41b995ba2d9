#include "control/cli/line/command_line.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "control/cli/line/exit_code.h"
#include "control/cli/show/text.h"
#include "orchestrator/config/closest_match.h"
#include "orchestrator/json/json.h"

namespace reeve {

namespace {

using Strings = std::vector<std::string>;

// A person who accepts a suggestion unread must not lose anything: `dangerous` names are not
// suggested, and no other name in their place.
std::string DidYouMean(const std::string& word, Strings known, const Strings& dangerous) {
  known.insert(known.begin(), dangerous.begin(), dangerous.end());
  const std::string meant = ClosestMatch(word, known, word.size() < 4 ? 1 : 2);
  const bool safe = std::find(dangerous.begin(), dangerous.end(), meant) == dangerous.end();
  return meant.empty() || !safe ? "" : ", did you mean '" + meant + "'?";
}

void AddNames(const CommandDoc& command, Strings& known, Strings& dangerous) {
  for (const auto& one : command.commands) {
    if (one->hidden) continue;
    Strings& names = one->destroys ? dangerous : known;
    names.push_back(one->name);
    for (const Strings* others : {&one->aliases, &one->hidden_aliases})
      names.insert(names.end(), others->begin(), others->end());
    if (one->open) AddNames(*one, known, dangerous);
  }
}

std::string UnknownCommand(const CommandDoc& command, const std::string& word) {
  Strings known;
  Strings dangerous;
  AddNames(command, known, dangerous);
  return "unknown command '" + word + "'" + DidYouMean(word, std::move(known), dangerous);
}

std::string UnknownOption(const CommandDoc& command, const std::string& name) {
  Strings known;
  Strings dangerous;
  for (const OptionGroup& group : OptionGroups(command)) {
    for (const OptionDoc& option : group.options) {
      for (const std::string& one : option.Names()) (option.destroys ? dangerous : known).push_back(one);
    }
  }
  return "unknown option " + name +
         (name.starts_with("--") ? DidYouMean(name, std::move(known), dangerous) : "");
}

std::string Joined(const Strings& words) {
  std::string all;
  for (const std::string& word : words) all += (all.empty() ? "" : ", ") + word;
  return all;
}

bool InRange(const std::string& value, const OptionDoc::Range& range) {
  char* end = nullptr;
  const double number = std::strtod(value.c_str(), &end);
  return !value.empty() && *end == '\0' && number >= range.least && number <= range.most &&
         (!range.whole || std::floor(number) == number);
}

// Empty: the option accepts this value.
std::string ValueError(const OptionDoc& option, const std::string& value) {
  if (option.ValueName().empty()) return value.empty() ? "" : option.Name() + " takes no value";
  const Strings choices = option.Choices();
  // An argument with choices has no other name.
  const std::string about = option.argument ? "" : option.Name() + ": ";
  if (!choices.empty() && std::find(choices.begin(), choices.end(), value) == choices.end())
    return about + "'" + value + "' is not one of " + Joined(choices);
  if (option.range && !InRange(value, *option.range)) {
    char range[80];
    (void)std::snprintf(range, sizeof range, "%.10g to %.10g", option.range->least, option.range->most);
    return about + "'" + value + "' is not a " + (option.range->whole ? "whole " : "") + "number from " +
           range;
  }
  return "";
}

// Empty: the command accepts these words. An unknown option comes first, as a misspelt one is also the reason
// for whatever is missing.
std::string UsageError(const CommandDoc& command, const ParsedWords& parsed) {
  if (!parsed.unknown.empty() && !command.allows_extras) return UnknownOption(command, parsed.unknown);
  if (parsed.awaited) return parsed.awaited->Name() + ": " + parsed.awaited->type + " is missing";
  for (const OptionDoc& option : command.options) {
    const auto found = parsed.values.find(&option);
    if (found == parsed.values.end()) {
      if (option.required) return option.Name() + (option.argument ? "" : " " + option.type) + " is missing";
      continue;
    }
    if (found->second.size() > 1 && option.TakesWord() && !option.many)
      return option.Name() + " is given more than once";
    for (const std::string& value : found->second) {
      if (std::string error = ValueError(option, value); !error.empty()) return error;
    }
    if (option.excludes && parsed.values.count(option.excludes) != 0)
      return option.excludes->Name() + " and " + option.Name() + " cannot be combined";
  }
  if (!parsed.unexpected.empty() && !command.allows_extras)
    return "unexpected argument '" + parsed.unexpected.front() + "'";
  return "";
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

std::function<void(const Strings&)> StoreLast(std::string& target) {
  return [&target](const Strings& values) { target = values.back(); };
}

std::function<void(const Strings&)> StoreAll(Strings& target) {
  return [&target](const Strings& values) { target = values; };
}

}  // namespace

Command Command::Add(const char* name, const char* summary) {
  auto command = std::make_unique<CommandDoc>();
  command->name = name;
  command->summary = summary;
  command->parent = doc_;
  doc_->commands.push_back(std::move(command));
  return Command(doc_->commands.back().get());
}

OptionDoc& Command::Declare(const char* names, std::string type, std::string help,
                            std::function<void(const Strings& values)> store) {
  OptionDoc& doc = doc_->options.emplace_back();
  doc.names = names;
  doc.type = std::move(type);
  doc.help = std::move(help);
  doc.store = std::move(store);
  return doc;
}

OptionRef Command::Flag(const char* names, bool& target, std::string help) {
  return OptionRef(Declare(names, "", std::move(help), [&target](const Strings&) { target = true; }));
}

OptionRef Command::Option(const char* names, std::string& target, std::string type, std::string help) {
  return OptionRef(Declare(names, std::move(type), std::move(help), StoreLast(target)));
}

OptionRef Command::Option(const char* names, Strings& target, std::string type, std::string help, bool once) {
  OptionDoc& doc = Declare(names, std::move(type), std::move(help), StoreAll(target));
  doc.many = !once;
  return OptionRef(doc);
}

OptionRef Command::Option(const char* names, double& target, double least, double most, std::string help) {
  OptionDoc& doc = Declare(names, "NUMBER", std::move(help), [&target](const Strings& values) {
    target = std::strtod(values.back().c_str(), nullptr);
  });
  doc.range = {least, most, false};
  return OptionRef(doc);
}

OptionDoc& Command::DeclareInt(const char* names, int& target, int least, int most, std::string help) {
  OptionDoc& doc = Declare(names, "NUMBER", std::move(help), [&target](const Strings& values) {
    target = static_cast<int>(std::strtod(values.back().c_str(), nullptr));
  });
  doc.range = {static_cast<double>(least), static_cast<double>(most), true};
  return doc;
}

OptionRef Command::Option(const char* names, int& target, int least, int most, std::string help) {
  return OptionRef(DeclareInt(names, target, least, most, std::move(help)));
}

OptionRef Command::OptionalValue(const char* names, int& target, int implied, int least, int most,
                                 std::string help) {
  OptionDoc& doc = DeclareInt(names, target, least, most, std::move(help));
  doc.implied = std::to_string(implied);
  return OptionRef(doc);
}

OptionRef Command::Argument(const char* name, std::string& target, std::string help) {
  OptionDoc& doc = Declare(name, "", std::move(help), StoreLast(target));
  doc.argument = true;
  return OptionRef(doc);
}

OptionRef Command::Argument(const char* name, Strings& target, std::string help) {
  OptionDoc& doc = Declare(name, "", std::move(help), StoreAll(target));
  doc.argument = true;
  doc.many = true;
  return OptionRef(doc);
}

CommandLine::CommandLine(const char* summary, std::string version)
    : version_(std::move(version)), root_(std::make_unique<CommandDoc>()) {
  root_->name = "reeve";
  root_->summary = summary;
}

int CommandLine::Run(const Strings& words) { return Handle(words, true); }
int CommandLine::Check(const Strings& words) { return Handle(words, false); }

int CommandLine::Handle(const Strings& words, bool run) {
  const ResolvedCommand resolved = Resolve(*root_, words);
  const CommandDoc& command = *resolved.command;
  const bool asks_json = std::find(words.begin(), words.end(), "--json") != words.end();
  if (!resolved.unknown.empty()) return Refuse(command, UnknownCommand(command, resolved.unknown), asks_json);
  // A word becomes part of a request in JSON, which has no other bytes (RFC 8259 section 8.1).
  for (const std::string& word : words) {
    if (!IsUtf8(word)) return Refuse(command, "the word '" + Escaped(word) + "' is not UTF-8", asks_json);
  }
  const ParsedWords parsed = Parse(command, resolved.words);
  const OptionDoc* json_flag = command.FindOption("--json");
  const bool json = json_flag && parsed.values.count(json_flag) != 0;
  if (parsed.version) {
    std::printf("%s\n", version_.c_str());
    return kOk;
  }
  if (resolved.help || parsed.help) {
    std::fputs(HelpText(command).c_str(), stdout);
    return kOk;
  }
  std::string error = UsageError(command, parsed);
  if (!command.commands.empty() && error.empty()) {
    if (!json) {
      std::fputs(HelpText(command).c_str(), stderr);
      return kUsage;
    }
    error = "a command is missing";
  }
  if (!error.empty()) return Refuse(command, error, json);
  if (!run) return kOk;
  for (const auto& [option, values] : parsed.values) option->store(values);
  return command.action();
}

}  // namespace reeve
