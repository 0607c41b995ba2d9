// From words to a command and its options: Resolve and Parse.
#include <algorithm>
#include <cctype>
#include <cstddef>
#include <sstream>

#include "control/cli/line/command_line.h"

namespace reeve {

namespace {

// "-" is an argument, and so is a negative number.
bool IsOption(const std::string& word) {
  return word.size() > 1 && word[0] == '-' && word != "--" &&
         std::isdigit(static_cast<unsigned char>(word[1])) == 0;
}

bool IsNumber(const std::string& word) {
  return !word.empty() && word.find_first_not_of("0123456789") == std::string::npos;
}

std::vector<std::string> Split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, separator);) parts.push_back(part);
  return parts;
}

void AddValue(ParsedWords& parsed, const OptionDoc* option, const std::string& value) {
  parsed.values[option].push_back(value.empty() ? option->implied : value);
}

void ParseLong(const CommandDoc& command, const std::string& word, ParsedWords& parsed) {
  const size_t equals = std::min(word.find('='), word.size());
  const std::string name = word.substr(0, equals);
  const OptionDoc* option = command.FindOption(name);
  if (name == "--help") {
    parsed.help = true;
  } else if (name == "--version" && !command.parent) {
    parsed.version = true;
  } else if (!option) {
    if (parsed.unknown.empty()) parsed.unknown = name;
  } else if (option->TakesWord() && equals == word.size()) {
    parsed.awaited = option;
  } else {
    AddValue(parsed, option, equals == word.size() ? "" : word.substr(equals + 1));
    if (equals == word.size() && !option->implied.empty()) parsed.open = option;
  }
}

// Several letters may share a word; the rest of the word is the value of the first that takes one: "-fn3".
void ParseShort(const CommandDoc& command, const std::string& word, ParsedWords& parsed) {
  for (size_t i = 1; i < word.size(); ++i) {
    const std::string name = std::string("-") + word[i];
    const OptionDoc* option = command.FindOption(name);
    if (name == "-h") {
      parsed.help = true;
    } else if (!option) {
      if (parsed.unknown.empty()) parsed.unknown = name;
      return;
    } else if (!option->TakesWord()) {
      AddValue(parsed, option, "");
      if (!option->implied.empty() && i + 1 == word.size()) parsed.open = option;
    } else if (i + 1 == word.size()) {
      parsed.awaited = option;
    } else {
      return AddValue(parsed, option, word.substr(i + 1));
    }
  }
}

// Gives the arguments to those that the command declares, in order.
void AssignArguments(const CommandDoc& command, ParsedWords& parsed) {
  auto next = parsed.arguments.begin();
  for (const OptionDoc& option : command.options) {
    if (!option.argument || next == parsed.arguments.end()) continue;
    const auto end = option.many ? parsed.arguments.end() : next + 1;
    parsed.values[&option].assign(next, end);
    next = end;
  }
  parsed.unexpected.assign(next, parsed.arguments.end());
}

}  // namespace

std::vector<std::string> OptionDoc::Names() const { return Split(names, ','); }

bool OptionDoc::IsNamed(const std::string& word) const {
  const std::vector<std::string> all = Names();
  return !argument && std::find(all.begin(), all.end(), word) != all.end();
}

std::vector<std::string> OptionDoc::Choices() const {
  const std::string value = ValueName();
  return value.find('|') == std::string::npos ? std::vector<std::string>() : Split(value, '|');
}

std::string OptionDoc::Name() const {
  const std::vector<std::string> all = Names();
  const auto found =
      std::find_if(all.begin(), all.end(), [](const std::string& name) { return name.starts_with("--"); });
  return found == all.end() ? all.front() : *found;
}

std::string CommandDoc::Path() const { return parent ? parent->Path() + " " + name : name; }

const CommandDoc* CommandDoc::Find(const std::string& wanted) const {
  for (const auto& command : commands) {
    const auto named = [&wanted](const std::vector<std::string>& names) {
      return std::find(names.begin(), names.end(), wanted) != names.end();
    };
    if (command->name == wanted || named(command->aliases) || named(command->hidden_aliases))
      return command.get();
  }
  for (const auto& command : commands) {
    const CommandDoc* inner = command->open ? command->Find(wanted) : nullptr;
    if (inner) return inner;
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

ResolvedCommand Resolve(const CommandDoc& root, const std::vector<std::string>& words) {
  ResolvedCommand resolved{&root, {}, {}, false};
  size_t at = 0;
  for (; at < words.size() && !resolved.command->commands.empty(); ++at) {
    const std::string& word = words[at];
    if (IsOption(word)) {
      resolved.words.push_back(word);
      const OptionDoc* option = resolved.command->FindOption(word);
      if (option && option->TakesWord() && at + 1 < words.size()) resolved.words.push_back(words[++at]);
    } else if (const CommandDoc* next = resolved.command->Find(word)) {
      resolved.command = next;
    } else if (word == "help" && resolved.command == &root && !resolved.help) {
      resolved.help = true;
    } else {
      resolved.unknown = word;
      return resolved;
    }
  }
  resolved.words.insert(resolved.words.end(), words.begin() + static_cast<std::ptrdiff_t>(at), words.end());
  return resolved;
}

ParsedWords Parse(const CommandDoc& command, const std::vector<std::string>& words) {
  ParsedWords parsed;
  const OptionDoc* program = nullptr;
  for (const OptionDoc& option : command.options) {
    if (option.argument && option.names == "COMMAND") program = &option;
  }
  for (const std::string& word : words) {
    if (const OptionDoc* awaited = std::exchange(parsed.awaited, nullptr)) {
      parsed.values[awaited].push_back(word);
    } else if (const OptionDoc* open = std::exchange(parsed.open, nullptr); open && IsNumber(word)) {
      parsed.values[open].back() = word;
    } else if (word == "--" && !parsed.options_ended) {
      parsed.options_ended = true;
    } else if (parsed.options_ended || !IsOption(word)) {
      parsed.arguments.push_back(word);
      parsed.options_ended |= program != nullptr;
    } else if (word.starts_with("--")) {
      ParseLong(command, word, parsed);
    } else {
      ParseShort(command, word, parsed);
    }
  }
  AssignArguments(command, parsed);
  return parsed;
}

}  // namespace reeve
