#include "control/cli/line/manual.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <functional>
#include <memory>
#include <sstream>
#include <string_view>
#include <utility>
#include <vector>

#include "control/cli/line/exit_code.h"
#include "control/cli/terminal/console.h"
#include "orchestrator/json/json.h"

namespace reeve {

namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;

// Removes the first UTF-8 character of `text`, and returns it.
uint32_t TakeCharacter(std::string_view& text) {
  const auto first = static_cast<unsigned char>(text.front());
  const size_t bytes = first < 0xC0 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
  uint32_t code = bytes == 1 ? first : first & (0xFFU >> (bytes + 1));
  for (size_t i = 1; i < bytes && i < text.size(); ++i) {
    code = code << 6 | (static_cast<unsigned char>(text[i]) & 0x3FU);
  }
  text.remove_prefix(std::min(bytes, text.size()));
  return code;
}

constexpr std::array<std::pair<char, const char*>, 7> kSpecial = {{{'\\', "\\(rs"},
                                                                   {'-', "\\-"},
                                                                   {'\'', "\\(aq"},
                                                                   {'`', "\\(ga"},
                                                                   {'^', "\\(ha"},
                                                                   {'~', "\\(ti"},
                                                                   {'"', "\\(dq"}}};

// Escapes the characters that roff would interpret, or replace by typographic ones.
std::string Escape(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const uint32_t c = TakeCharacter(text);
    const auto special = std::find_if(kSpecial.begin(), kSpecial.end(), [c](const auto& one) {
      return static_cast<unsigned char>(one.first) == c;
    });
    if (special != kSpecial.end()) {
      out += special->second;
    } else if (c < 0x80) {
      out += static_cast<char>(c);
    } else {
      char code[16];
      (void)std::snprintf(code, sizeof code, "\\[u%04X]", c);
      out += code;
    }
  }
  // A leading "." would begin a control line; so would "'", which is always escaped.
  return out.rfind('.', 0) == 0 ? "\\&" + out : out;
}

std::string Bold(std::string_view text) { return "\\fB" + Escape(text) + "\\fR"; }
std::string Italic(std::string_view text) { return "\\fI" + Escape(text) + "\\fR"; }

// Words in `backquotes` become bold.
std::string Prose(std::string_view text) {
  std::string out;
  bool bold = false;
  for (size_t at = 0; at <= text.size(); bold = !bold) {
    const size_t end = std::min(text.find('`', at), text.size());
    const std::string_view piece = text.substr(at, end - at);
    // A backquote without a partner is an ordinary character.
    if (bold && end == text.size()) return out + Escape("`") + Escape(piece);
    if (!piece.empty()) out += bold ? Bold(piece) : Escape(piece);
    at = end + 1;
  }
  return out;
}

// The paragraphs of CommandDoc::details, one a line; lines that begin with a space are copied as they are.
void Paragraphs(std::string& out, const std::string& text) {
  std::istringstream lines(text);
  bool kept = false;
  for (std::string line; std::getline(lines, line);) {
    const bool keep = line.rfind(' ', 0) == 0;
    if (keep != kept) out += keep ? ".PP\n.nf\n" : ".fi\n";
    kept = keep;
    if (line.empty()) continue;
    out += keep ? "\\&" + Escape(line) + "\n" : ".PP\n" + Prose(line) + "\n";
  }
  if (kept) out += ".fi\n";
}

void Entry(std::string& out, const std::string& head, const std::string& text) {
  out += ".TP\n" + head + "\n" + text + "\n";
}

void Section(std::string& out, const char* title, const Pairs& entries) {
  if (entries.empty()) return;
  out += std::string(".SH ") + title + "\n";
  for (const auto& [name, what] : entries) Entry(out, Bold(name), Prose(what));
}

std::string Head(const OptionDoc& option) {
  if (option.argument) return Italic(option.names) + (option.many ? "..." : "");
  std::string head;
  for (const std::string& name : option.Names()) head += (head.empty() ? "" : ", ") + Bold(name);
  if (option.type.empty()) return head;
  std::string type = Italic(ShownType(option));
  // Allow a line break between choices.
  for (size_t at = type.find('|'); at != std::string::npos; at = type.find('|', at + 1)) {
    type.insert(at + 1, "\\:");
  }
  return head + (!option.implied.empty() ? " [" + type + "]" : " " + type);
}

// UsageLine with fonts: literal words bold, placeholders italic.
std::string Synopsis(const CommandDoc& command) {
  const std::string path = command.Path();
  std::string out = Bold(path);
  std::istringstream words(UsageLine(command).substr(path.size()));
  for (std::string word; words >> word;) {
    if (word.rfind("--", 0) == 0) {
      out += " " + Bold(word);
      continue;
    }
    const size_t from = word.find_first_not_of('[');
    const size_t to = word.find_first_of("].", from);
    const std::string name = word.substr(from, to - from);
    out += " " + word.substr(0, from) + Italic(name) + (to == std::string::npos ? "" : word.substr(to));
  }
  return out;
}

// The summary's first sentence in the form of a NAME section: "list agents, one a line".
std::string Phrase(const std::string& summary) {
  std::string phrase = summary.substr(0, summary.find(". "));
  if (!phrase.empty() && phrase.back() == '.') phrase.pop_back();
  const bool word = phrase.size() > 1 && std::islower(static_cast<unsigned char>(phrase[1])) != 0;
  if (word) phrase[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(phrase[0])));
  return phrase;
}

// Entries of the command and of its subcommands, without repetitions.
Pairs Collected(const CommandDoc& command, Pairs CommandDoc::*what) {
  Pairs all = command.*what;
  for (const auto& one : command.commands) {
    if (one->hidden) continue;
    for (const auto& entry : Collected(*one, what)) {
      const bool known = std::any_of(all.begin(), all.end(),
                                     [&entry](const auto& other) { return other.first == entry.first; });
      if (!known) all.push_back(entry);
    }
  }
  return all;
}

std::string SeeAlso(const CommandDoc& command) {
  std::vector<const CommandDoc*> pages;
  for (const CommandDoc* above = command.parent; above; above = above->parent)
    pages.insert(pages.begin(), above);
  for (const auto& one : command.parent ? command.parent->commands : command.commands) {
    if (one.get() != &command && !one->hidden) pages.push_back(one.get());
  }
  std::string out;
  for (const CommandDoc* page : pages) out += (out.empty() ? "" : ",\n") + Bold(PageName(*page)) + "(1)";
  return out;
}

void Walk(const CommandDoc& command, const std::function<void(const CommandDoc&)>& visit) {
  if (command.hidden) return;
  visit(command);
  for (const auto& one : command.commands) Walk(*one, visit);
}

// The declaration of a command as one JSON object, for tests and tools.
std::string DeclarationJson(const CommandDoc& command) {
  JsonArray options;
  for (const OptionGroup& group : OptionGroups(command)) {
    for (const OptionDoc& option : group.options) {
      JsonObject one;
      one.Set("group", group.name)
          .Set("names", option.names)
          .Set("type", option.type)
          .Set("help", option.help);
      options.AddRaw(one.Take());
    }
  }
  JsonArray examples;
  for (const auto& [typed, what] : command.examples) {
    examples.AddRaw(JsonObject().Set("typed", typed).Set("what", what).Take());
  }
  return JsonObject()
      .Set("command", command.Path())
      .Set("page", PageName(command))
      .Set("runs", command.commands.empty())
      .SetRaw("options", options.Take())
      .SetRaw("examples", examples.Take())
      .Take();
}

struct Options {
  std::vector<std::string> words;
  std::string output;
  bool json = false;
  bool check = false;
};

int WritePages(const CommandDoc& root, const std::string& folder, const std::string& version) {
  int code = kOk;
  (void)mkdir(folder.c_str(), 0777);
  Walk(root, [&](const CommandDoc& command) {
    const std::string path = folder + "/" + PageName(command) + ".1";
    const std::string page = ManualPage(command, version);
    FILE* file = std::fopen(path.c_str(), "w");
    bool written = file && std::fwrite(page.data(), 1, page.size(), file) == page.size();
    if (file) written &= std::fclose(file) == 0;
    if (written) return;
    std::fprintf(stderr, "reeve: man: %s: %s\n", path.c_str(), std::strerror(errno));
    code = kIoError;
  });
  return code;
}

int Manual(CommandLine& line, const Options& options, const std::string& version) {
  if (options.check) return line.Check(options.words);
  if (!options.output.empty()) return WritePages(line.doc(), options.output, version);
  if (options.json) {
    Walk(line.doc(),
         [](const CommandDoc& command) { std::printf("%s\n", DeclarationJson(command).c_str()); });
    return kOk;
  }
  const ResolvedCommand resolved = Resolve(line.doc(), options.words);
  if (!resolved.unknown.empty() || !resolved.words.empty()) {
    std::fprintf(stderr, "reeve: man: unknown command '%s'; see `reeve --help`\n",
                 (resolved.unknown.empty() ? resolved.words.front() : resolved.unknown).c_str());
    return kUsage;
  }
  std::fputs(ManualPage(*resolved.command, version).c_str(), stdout);
  return kOk;
}

}  // namespace

std::string PageName(const CommandDoc& command) {
  std::string name = command.Path();
  std::replace(name.begin(), name.end(), ' ', '-');
  return name;
}

std::string ManualPage(const CommandDoc& command, const std::string& version) {
  const std::string name = PageName(command);
  std::string title = name;
  for (char& c : title) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  // No date, so that the same source makes the same page.
  std::string out = ".TH " + Escape(title) + " 1 \"\" \"" + Escape(version) + "\" \"Reeve Manual\"\n";
  out += ".nh\n.ad l\n";
  out += ".SH NAME\n" + Escape(name) + " \\- " + Prose(Phrase(command.summary)) + "\n";
  out += ".SH SYNOPSIS\n" + Synopsis(command) + "\n";
  std::vector<std::string> others;
  for (const std::string& alias : command.aliases) others.push_back(command.parent->Path() + " " + alias);
  if (command.parent && command.parent->open)
    others.push_back(command.parent->parent->Path() + " " + command.name);
  for (const std::string& other : others)
    out += ".br\n" + Bold(other) + " " + Synopsis(command).substr(Bold(command.Path()).size() + 1) + "\n";
  out += ".SH DESCRIPTION\n" + Prose(command.summary) + "\n";
  Paragraphs(out, command.details);
  out += ".SH OPTIONS\n";
  const std::vector<OptionGroup> groups = OptionGroups(command);
  for (const OptionGroup& group : groups) {
    if (groups.size() > 1) out += ".SS " + Escape(group.name) + "\n";
    for (const OptionDoc& option : group.options) Entry(out, Head(option), Prose(HelpOf(option)) + ".");
  }
  if (!command.commands.empty()) out += ".SH COMMANDS\n";
  for (const auto& one : command.commands) {
    if (!one->hidden) Entry(out, Bold(PageName(*one)) + "(1)", Prose(one->summary));
  }
  for (const auto& one : command.commands) {
    if (!one->open || one->hidden) continue;
    out += ".SS Commands of " + Escape(one->name) + ", whose name may be omitted\n";
    for (const auto& inner : one->commands) {
      if (!inner->hidden) Entry(out, Bold(PageName(*inner)) + "(1)", Prose(inner->summary));
    }
  }
  Pairs codes;
  for (const auto& [code, what] : ExitCodes()) codes.emplace_back(std::to_string(code), what);
  Section(out, "EXIT STATUS", codes);
  Section(out, "ENVIRONMENT", Collected(command, &CommandDoc::variables));
  Section(out, "FILES", Collected(command, &CommandDoc::files));
  if (!command.examples.empty()) out += ".SH EXAMPLES\n";
  for (const auto& [typed, what] : command.examples) {
    Entry(out, Bold(typed), Prose(what));
  }
  out += ".SH SEE ALSO\n" + SeeAlso(command) + "\n";
  return out;
}

void AddManual(CommandLine& line, const std::string& version) {
  auto options = std::make_shared<Options>();
  Command command = line.root().Add("man", "Print a command's manual page.");
  command.Hide();
  command.Argument("WORD", options->words, "The command; default: reeve itself");
  command.Option("--output", options->output, "DIR", "Write all pages into this folder");
  command.Flag("--json", options->json, "Print the declarations of all commands, one object a line");
  command.Flag("--check", options->check, "Check that the words are a valid command line; run nothing");
  command.Example("reeve man agents wake | man -l -", "show a page as man does");
  command.Action([options, &line, version] { return Manual(line, *options, version); });
}

}  // namespace reeve
