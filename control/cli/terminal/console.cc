#include "control/cli/terminal/console.h"

#include <fcntl.h>
#include <stdio_ext.h>
#include <unistd.h>

#include <langinfo.h>
#include <algorithm>
#include <cerrno>
#include <clocale>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "control/cli/terminal/terminal_mode.h"

namespace reeve {

namespace {

bool WantsColours() {
  const char* none = std::getenv("NO_COLOR");
  const char* terminal = std::getenv("TERM");
  return isatty(STDOUT_FILENO) == 1 && !(none && *none) && !(terminal && std::strcmp(terminal, "dumb") == 0);
}

}  // namespace

void AddCommonOptions(Command& command, CommonOptions& options, const char* quiet) {
  command.Flag("--json", options.json, "One JSON object per line, also for errors").Group("Output");
  command.Flag("-q,--quiet", options.quiet, quiet).Group("Output");
  command
      .Option("--server", options.client.server, "URL",
              "Address of the daemon: http://…, https://… or unix:///PATH")
      .Default("REEVE_SERVER, else the daemon on --data")
      .Group("Daemon");
  command.Option("--token-file", options.client.token_file, "FILE", "File with the token")
      .Default("REEVE_TOKEN, REEVE_TOKEN_FILE, DATA/token")
      .Group("Daemon");
  command
      .Option("--data", options.client.data_dir, "DIR",
              "Data folder of the daemon, to find its address and token")
      .Default("REEVE_DATA, else the default of `reeve serve`")
      .Group("Daemon");
  command.Variable("REEVE_SERVER", "As --server.");
  command.Variable("REEVE_TOKEN", "The token.");
  command.Variable("REEVE_TOKEN_FILE",
                   "File with the token. --token-file overrides REEVE_TOKEN, which overrides this variable.");
  command.Variable("REEVE_DATA", "As --data.");
  command.Variable("NO_COLOR", "If not empty, disables colours. Only a terminal gets colours.");
  command.File("DATA/runtime.json", "Address of the daemon that uses this folder.");
  command.File("DATA/token",
               "The daemon's token. DATA is /var/lib/reeve for root, else ~/.local/state/reeve.");
}

Console::Console(std::string command, const CommonOptions& options)
    : command_(std::move(command)),
      json_(options.json),
      quiet_(options.quiet),
      colours_(!options.json && WantsColours()),
      shows_progress_(!options.json && !options.quiet && isatty(STDERR_FILENO) == 1) {}

size_t Console::columns() const { return TerminalSizeOf(STDOUT_FILENO).columns; }
size_t Console::rows() const { return TerminalSizeOf(STDOUT_FILENO).rows; }

void Console::Line(std::string_view text) const {
  if (quiet_) return;
  std::string safe;
  if (json_) text = safe = SafeJson(text);
  WriteOrExit(std::string(text) + "\n");  // a pipe gets each line at once
}

void Console::Rows(const std::vector<JsonValue>& values, const std::vector<std::string>& head,
                   const std::function<std::vector<Table::Cell>(const JsonValue& value)>& row,
                   const std::string& agent) const {
  Table table;
  std::vector<Table::Cell> names;
  if (!agent.empty()) names.push_back({"AGENT", Colour::kBold});
  for (const std::string& name : head) names.push_back({name, Colour::kBold});
  table.Add(std::move(names));
  for (const JsonValue& value : values) {
    if (json_) {
      Line(agent.empty() ? value.Raw() : WithAgent(agent, value.Raw()));
      continue;
    }
    std::vector<Table::Cell> cells = row(value);
    if (!agent.empty()) cells.insert(cells.begin(), {agent});
    table.Add(std::move(cells));
  }
  if (table.size() > 1) Line(WithoutLineEnds(table.Show(colours_, columns())));
}

// ECMA-48: CUP, EL, ED. Clearing the screen first would flicker.
void Console::Screen(std::string_view text) const {
  const size_t room = std::max<size_t>(rows(), 2) - 1;
  const auto lines = SplitLines(text);
  const size_t shown = lines.size() > room ? room - 1 : lines.size();
  std::string screen = "\x1b[H";
  for (size_t i = 0; i < shown; ++i) screen.append(lines[i]).append("\x1b[K\n");
  if (shown < lines.size()) screen += "… " + std::to_string(lines.size() - shown) + " more\x1b[K\n";
  WriteToTerminal(screen + "\x1b[J");
}

void Console::Note(std::string_view text) const {
  if (quiet_ || json_) return;
  std::fprintf(stderr, "reeve: %s\n", Plain(text).c_str());
}

const char* Console::AwayWords(bool away) {
  return away ? "the daemon does not answer; waiting for it to come back" : "the daemon answers again";
}

void Console::NoteAway(bool away) {
  if (std::exchange(away_, away) != away) Note(AwayWords(away));
}

void Console::Progress(std::string_view text) {
  if (!shows_progress_ || (text.empty() && !in_progress_)) return;
  const size_t columns = TerminalSizeOf(STDERR_FILENO).columns;
  std::fprintf(stderr, "\r%s\x1b[K", Fit(Plain(text), (columns > 1 ? columns : 80) - 1).c_str());
  in_progress_ = !text.empty();
}

int Console::Fail(const Error& error, const std::string& about) {
  Progress("");
  const int code = ExitCodeOf(error);
  if (code_ == kOk) code_ = code;
  if (json_) {
    JsonObject object;
    object.Set("code", error.code).Set("command", command_);
    if (!about.empty()) object.Set("about", about);
    object.Set("message", error.message).Set("exit_code", code);
    std::fprintf(stderr, "%s\n", SafeJson(JsonObject().SetRaw("error", object.Take()).Take()).c_str());
    return code;
  }
  const char* hint = HintFor(error);
  std::fprintf(stderr, "reeve: %s: %s%s%s%s%s\n", command_.c_str(), Plain(about).c_str(),
               about.empty() ? "" : ": ", Plain(error.message).c_str(), *hint ? "; " : "", hint);
  return code;
}

// This is the last place before a terminal: text from an agent should be Plain here already.
Status WriteOutput(FILE* file, std::string_view text, Flush flush) {
  return isatty(fileno(file)) == 1 ? WriteBytes(file, SafeJson(text), flush) : WriteBytes(file, text, flush);
}

Status WriteBytes(FILE* file, std::string_view bytes, Flush flush) {
  if (std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size() &&
      (flush == Flush::kNo || std::fflush(file) == 0)) {
    return {};
  }
  const int reason = errno;
  __fpurge(file);  // or the end of the process would try again
  std::clearerr(file);
  return Error{reason == EPIPE ? "hung_up" : "write_failed",
               OsError(file == stdout ? "stdout" : "stderr", reason).message};
}

void WriteOrExit(std::string_view text, Flush flush) {
  const Status written = WriteOutput(stdout, text, flush);
  if (written) return;
  std::fprintf(stderr, "reeve: %s\n", written.error().message.c_str());
  std::exit(kIoError);
}

std::string WithAgent(const std::string& agent, const std::string& json) {
  std::string named = JsonObject().Set("agent", agent).Take();
  named.back() = ',';
  return named + json.substr(1);
}

void PrepareOutput() {
  // If the caller has closed one of them, the next socket or file would take its number.
  for (int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(fd, F_GETFD) < 0) (void)open("/dev/null", O_RDWR);
  }
  (void)std::setlocale(LC_CTYPE, "");
  if (std::strcmp(nl_langinfo(CODESET), "UTF-8") != 0) (void)std::setlocale(LC_CTYPE, "C.UTF-8");
  (void)std::signal(SIGPIPE, SIG_DFL);
}

int FinishOutput(int code) {
  const bool written = std::fflush(stdout) == 0 && std::ferror(stdout) == 0;
  if (written) return code;
  std::fprintf(stderr, "reeve: stdout: %s\n", std::strerror(errno));
  return code == kOk ? kIoError : code;
}

}  // namespace reeve
