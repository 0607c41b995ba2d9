// The words of the command line, declared once: from a Command's declaration come parsing (CLI11, which only
// command_line.cc includes), --help, the manual pages and what the shells complete.
//
//   Command wake = agents.Add("wake", "Send a message, which wakes an agent that has ended.");
//   wake.Argument("AGENT", options->agents, "An id, a title, or key=value for a label");
//   wake.Option("--message", options->message, "TEXT", "The text; -: from stdin").Required();
//   wake.Example("reeve agents wake a1 --message 'and now the tests'", "…");
//   wake.Action([options] { return Wake(*options); });
//
// Names of values in capitals say what is completed: AGENT, APPROVAL, KIND, FILE, DIR, COMMAND; "a|b|c" are
// choices, and nothing else is taken.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace reeve {

// What a command takes. Values; the order is that of the declarations.
struct OptionDoc {
  std::string names;     // "-f,--follow"; of an argument its name, "AGENT"
  std::string type;      // of its value; empty: it takes none
  std::string help;      // one sentence, or more
  std::string fallback;  // what holds without it, in words or as a value; or empty
  std::string group;     // options of one group stand together; empty: the command's own
  bool argument = false;
  bool required = false;
  bool many = false;            // may be given again; of an argument: one or more
  bool optional_value = false;  // --tail, --tail=5
  bool hidden = false;
  CLI::Option* parsed = nullptr;

  [[nodiscard]] std::vector<std::string> Names() const;       // "-f", "--follow"
  [[nodiscard]] bool IsNamed(const std::string& word) const;  // it is one of them
  [[nodiscard]] std::string Name() const;                     // the first long one
  [[nodiscard]] std::string ValueName() const { return argument ? names : type; }
  [[nodiscard]] std::vector<std::string> Choices() const;  // empty: any value
  // The next word is its value, if its own has none.
  [[nodiscard]] bool TakesWord() const { return !argument && !type.empty() && !optional_value; }
};
struct CommandDoc {
  std::string name;
  std::string alias;
  std::string summary;  // one sentence
  std::string details;  // paragraphs
  std::vector<OptionDoc> options;
  std::vector<std::pair<std::string, std::string>> examples;   // what is typed; what that does
  std::vector<std::pair<std::string, std::string>> variables;  // of the environment; what they say
  std::vector<std::pair<std::string, std::string>> files;
  std::vector<std::unique_ptr<CommandDoc>> commands;
  CommandDoc* parent = nullptr;
  bool hidden = false;
  std::function<int()> action;
  std::shared_ptr<CLI::App>
      app;  // of its own, not its parent's: a word is a command only where one can stand

  [[nodiscard]] std::string Path() const;  // "reeve agents wake"
  [[nodiscard]] const CommandDoc* Find(const std::string& name) const;
  // By one of its names; of a command that has others, also theirs.
  [[nodiscard]] const OptionDoc* FindOption(const std::string& name) const;
};

// Where words lead: options may stand before the command that they are for, and "help" before any.
struct Way {
  const CommandDoc* command;
  std::vector<std::string> words;  // what is left for it
  std::string unknown;             // names none of its commands: the way ends there
  bool help = false;
};
Way FindWay(const CommandDoc& root, const std::vector<std::string>& words);

// An option that was just declared.
class OptionRef {
 public:
  OptionRef(CLI::Option* option, OptionDoc* doc) : option_(option), doc_(doc) {}
  OptionRef& Required();
  OptionRef& Excludes(OptionRef& other);
  OptionRef& Default(std::string words);  // only for people: the target holds it already
  OptionRef& Group(std::string name);
  OptionRef& Hidden();  // nobody is to be told

 private:
  CLI::Option* option_;
  OptionDoc* doc_;  // good until the command's next option
};

// A handle on a command that is being declared. Targets must live until CommandLine::Run is over: keep them
// in a shared_ptr that the action holds.
class Command {
 public:
  explicit Command(CommandDoc* doc) : doc_(doc) {}

  Command Add(const char* name, const char* summary);
  Command& Alias(const char* name);
  Command& Details(std::string text);
  Command& Hidden();  // not shown by its parent
  Command& Example(const char* typed, const char* what);
  Command& Action(std::function<int()> run);
  Command& AllowExtras();  // words that it does not know are none of its business
  // What else it goes by, for the manual.
  Command& Variable(std::string name, std::string what);
  Command& File(std::string path, std::string what);

  OptionRef Flag(const char* names, bool& target, std::string help);
  OptionRef Option(const char* names, std::string& target, std::string type, std::string help);
  // Given again, it adds; `once`: it may not be (a list that is empty says that it was not given).
  OptionRef Option(const char* names, std::vector<std::string>& target, std::string type, std::string help,
                   bool once = false);
  OptionRef Option(const char* names, double& target, double least, double most, std::string help);
  OptionRef Option(const char* names, int& target, int least, int most, std::string help);
  // May stand without a value, which is `implied` then; a value follows a "=".
  OptionRef OptionalValue(const char* names, std::string& target, const char* implied, std::string type,
                          std::string help);
  // What stands without a name. A list takes the rest.
  OptionRef Argument(const char* name, std::string& target, std::string help);
  OptionRef Argument(const char* name, std::vector<std::string>& target, std::string help);

  // Of all that is declared so far; good as long as the command line.
  [[nodiscard]] const CommandDoc& doc() const { return *doc_; }

 private:
  OptionRef Declare(CLI::Option* option, OptionDoc doc);
  CommandDoc* doc_;
};

class CommandLine {
 public:
  CommandLine(const char* summary, std::string version);
  ~CommandLine();
  CommandLine(const CommandLine&) = delete;
  CommandLine& operator=(const CommandLine&) = delete;

  [[nodiscard]] Command root();
  [[nodiscard]] const CommandDoc& doc() const { return *root_; }

  // Parses and runs the action. Help, the version and what is wrong with the words are its own business:
  // answered here, kOk or kUsage.
  int Run(const std::vector<std::string>& words);
  // Likewise, but runs nothing: are these words right?
  int Check(const std::vector<std::string>& words);

 private:
  int Take(const std::vector<std::string>& words, bool run);

  std::string version_;
  std::unique_ptr<CommandDoc> root_;
};

// What people are told of a command's options: arguments first, then its own, then groups in the order in
// which they were declared; --help where it belongs.
struct OptionGroup {
  std::string name;
  std::vector<OptionDoc> options;
};
std::vector<OptionGroup> OptionGroups(const CommandDoc& command);
// As its value is called, "STATE": the choices themselves, if they are few.
std::string ShownType(const OptionDoc& option);
// With the choices if they are many, what holds without it, and whether it may be given again.
std::string HelpOf(const OptionDoc& option);

// As --help prints it, 80 columns wide.
std::string HelpText(const CommandDoc& command);
// "reeve agents wake AGENT --message TEXT [OPTION]..."
std::string UsageLine(const CommandDoc& command);

}  // namespace reeve
