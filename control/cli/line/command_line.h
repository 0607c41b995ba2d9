// Room line/: the declaration of commands, and everything that follows from it: parsing, help, manual,
// completion.
//
// The command line, declared once: parsing, --help, the manual pages and shell completion all come from the
// declaration of a Command.
//
//   Command wake = agents.Add("wake", "Send a message, which wakes an agent that has exited.");
//   wake.Argument("AGENT", options->agents, "An id, a title, or key=value for a label");
//   wake.Option("--message", options->message, "TEXT", "The text; -: read it from stdin").Required();
//   wake.Example("reeve agents wake a1 --message 'and now the tests'", "…");
//   wake.Action([options] { return Wake(*options); });
//
// A value's name in capitals says how it is completed: AGENT, APPROVAL, KIND, FILE, DIR, COMMAND. A name
// "a|b|c" lists the only values that are accepted.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace reeve {

// An option or argument of a command. A command keeps them in the order of their declarations.
struct OptionDoc {
  struct Range {
    double least;
    double most;
    bool whole;
  };

  std::string names;     // "-f,--follow"; an argument has one name, "AGENT"
  std::string type;      // of its value; empty: a flag, or an argument
  std::string help;      // one sentence, or more
  std::string fallback;  // what holds without it, in words or as a value; or empty
  std::string group;     // options of one group stand together; empty: the command's own group
  std::string implied;   // its value where it stands without one: --tail means --tail=20; empty: it needs one
  bool argument = false;
  bool required = false;
  bool many = false;  // an option may be repeated; an argument takes all remaining words
  bool hidden = false;
  bool destroys = false;  // never suggested for a misspelt one
  std::optional<Range> range;
  const OptionDoc* excludes = nullptr;  // may not be given together with this one
  std::function<void(const std::vector<std::string>& values)> store;

  [[nodiscard]] std::vector<std::string> Names() const;       // "-f", "--follow"
  [[nodiscard]] bool IsNamed(const std::string& word) const;  // false for an argument
  [[nodiscard]] std::string Name() const;                     // the first long one
  [[nodiscard]] std::string ValueName() const { return argument ? names : type; }
  [[nodiscard]] std::vector<std::string> Choices() const;  // empty: any value
  // The next word is its value, unless a "=" gave it one. If it has an implied value, only a number is.
  [[nodiscard]] bool TakesWord() const { return !argument && !type.empty() && implied.empty(); }
};

struct CommandDoc {
  std::string name;
  std::vector<std::string> aliases;
  std::vector<std::string> hidden_aliases;                     // known, but in no help
  std::string summary;                                         // one sentence
  std::string details;                                         // paragraphs
  std::deque<OptionDoc> options;                               // their addresses are stable
  std::vector<std::pair<std::string, std::string>> examples;   // a command line; what it does
  std::vector<std::pair<std::string, std::string>> variables;  // of the environment; what they mean
  std::vector<std::pair<std::string, std::string>> files;
  std::vector<std::unique_ptr<CommandDoc>> commands;
  CommandDoc* parent = nullptr;
  bool hidden = false;
  bool open = false;      // its commands can also be typed without its name: "reeve list"
  bool destroys = false;  // never suggested for a misspelt one
  bool allows_extras = false;
  std::function<int()> action;

  [[nodiscard]] std::string Path() const;  // "reeve agents wake"
  // By any of its names; also a command of an open one.
  [[nodiscard]] const CommandDoc* Find(const std::string& name) const;
  // By any of its names. A command that has subcommands also finds theirs.
  [[nodiscard]] const OptionDoc* FindOption(const std::string& name) const;
};

// The command that words name. Options may stand before the command, and so may "help".
struct ResolvedCommand {
  const CommandDoc* command;
  std::vector<std::string> words;  // the remaining words, for the command
  std::string unknown;             // a word that should name a subcommand and does not; resolving stops there
  bool help = false;
};
ResolvedCommand Resolve(const CommandDoc& root, const std::vector<std::string>& words);

// The words of one command, matched with its options. Parsing never fails: completion reads half a line.
struct ParsedWords {
  std::map<const OptionDoc*, std::vector<std::string>> values;  // a flag's value is empty
  std::vector<std::string> arguments;
  std::vector<std::string> unexpected;  // arguments that the command does not have
  std::string unknown;                  // the first option that the command does not have
  const OptionDoc* awaited = nullptr;   // the last word is this option, and its value is missing
  const OptionDoc* open = nullptr;      // the last word is this option, which a number may follow
  bool options_ended = false;           // by "--", or by the program of a COMMAND
  bool help = false;
  bool version = false;
};
ParsedWords Parse(const CommandDoc& command, const std::vector<std::string>& words);

// An option that was just declared.
class OptionRef {
 public:
  explicit OptionRef(OptionDoc& doc) : doc_(&doc) {}
  OptionRef& Required() { return doc_->required = true, *this; }
  OptionRef& Excludes(OptionRef other) { return doc_->excludes = other.doc_, *this; }
  // Only for people: the target already holds it.
  OptionRef& Default(std::string words) { return doc_->fallback = std::move(words), *this; }
  OptionRef& Group(std::string name) { return doc_->group = std::move(name), *this; }
  OptionRef& Hidden() { return doc_->hidden = true, *this; }
  OptionRef& Destroys() { return doc_->destroys = true, *this; }

 private:
  OptionDoc* doc_;
};

// A handle on a command that is being declared. Targets must outlive CommandLine::Run: keep them in a
// shared_ptr that the action captures.
class Command {
 public:
  explicit Command(CommandDoc* doc) : doc_(doc) {}

  Command Add(const char* name, const char* summary);
  void Alias(const char* name) { doc_->aliases.emplace_back(name); }
  void HiddenAlias(const char* name) { doc_->hidden_aliases.emplace_back(name); }
  void Open() { doc_->open = true; }
  void Destroys() { doc_->destroys = true; }
  void Details(std::string text) { doc_->details = std::move(text); }
  void Hide() { doc_->hidden = true; }  // from its parent's help
  void Example(const char* typed, const char* what) { doc_->examples.emplace_back(typed, what); }
  void Action(std::function<int()> run) { doc_->action = std::move(run); }
  void AllowExtras() { doc_->allows_extras = true; }  // ignore unknown options and unexpected arguments
  // For the manual.
  void Variable(std::string name, std::string what) {
    doc_->variables.emplace_back(std::move(name), std::move(what));
  }
  void File(std::string path, std::string what) {
    doc_->files.emplace_back(std::move(path), std::move(what));
  }

  OptionRef Flag(const char* names, bool& target, std::string help);
  OptionRef Option(const char* names, std::string& target, std::string type, std::string help);
  // Each repetition adds a value; with `once` it may not be repeated (and an empty list means "not given").
  OptionRef Option(const char* names, std::vector<std::string>& target, std::string type, std::string help,
                   bool once = false);
  OptionRef Option(const char* names, double& target, double least, double most, std::string help);
  OptionRef Option(const char* names, int& target, int least, int most, std::string help);
  // Without a value it means `implied`. A value follows a "=", or is the next word if that is a number.
  OptionRef OptionalValue(const char* names, int& target, int implied, int least, int most, std::string help);
  // Arguments have no name on the command line. A list takes all remaining words. A list named COMMAND is a
  // program and its arguments: every word after the program belongs to it, options included.
  OptionRef Argument(const char* name, std::string& target, std::string help);
  OptionRef Argument(const char* name, std::vector<std::string>& target, std::string help);

  // The declarations so far; valid as long as the command line.
  [[nodiscard]] const CommandDoc& doc() const { return *doc_; }

 private:
  OptionDoc& Declare(const char* names, std::string type, std::string help,
                     std::function<void(const std::vector<std::string>& values)> store);
  OptionDoc& DeclareInt(const char* names, int& target, int least, int most, std::string help);
  CommandDoc* doc_;
};

class CommandLine {
 public:
  CommandLine(const char* summary, std::string version);
  CommandLine(const CommandLine&) = delete;
  CommandLine& operator=(const CommandLine&) = delete;

  [[nodiscard]] Command root() { return Command(root_.get()); }
  [[nodiscard]] const CommandDoc& doc() const { return *root_; }

  // Parses the words and runs the command's action. Returns its exit code, kOk after printing help or the
  // version, or kUsage after reporting what is wrong with the words.
  int Run(const std::vector<std::string>& words);
  // Reports errors as Run does, but runs no action.
  int Check(const std::vector<std::string>& words);

 private:
  int Handle(const std::vector<std::string>& words, bool run);

  std::string version_;
  std::unique_ptr<CommandDoc> root_;
};

// The options that help and manual show: arguments first, then the command's own options, then groups in
// the order of their declaration, with --help among them.
struct OptionGroup {
  std::string name;
  std::vector<OptionDoc> options;
};
std::vector<OptionGroup> OptionGroups(const CommandDoc& command);
// The name of its value, "STATE"; a few choices are shown themselves.
std::string ShownType(const OptionDoc& option);
// Its help, with many choices listed, its default, and whether it may be repeated.
std::string HelpOf(const OptionDoc& option);

// "agents, sessions".
std::string NamesOf(const CommandDoc& command);
// The text of --help, 80 columns wide.
std::string HelpText(const CommandDoc& command);
// "reeve agents wake AGENT --message TEXT [OPTION]..."
std::string UsageLine(const CommandDoc& command);

}  // namespace reeve
