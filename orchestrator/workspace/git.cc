#include "orchestrator/workspace/git.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <deque>
#include <optional>
#include <sstream>
#include <utility>

#include "process/clock.h"
#include "process/lines.h"
#include "process/loop.h"
#include "process/regular_file.h"

namespace reeve {

namespace {

constexpr size_t kMaxLineBytes = 400;  // of its stderr, which people read
constexpr size_t kLastLines = 6;
constexpr int64_t kProgressMs = 1'000;
constexpr int64_t kPhaseMs = 100;    // the phases come from the server, which may change them with each line
constexpr int64_t kGraceMs = 2'000;  // git removes its locks and drafts after TERM
constexpr size_t kLeastSecret = 4;
constexpr size_t kMaxCredentialBytes = size_t{1} << 20;

// The variables that git and its ssh need from the daemon's own environment.
constexpr const char* kInherited[] = {"PATH",        "HOME",         "USER",          "LOGNAME",
                                      "TMPDIR",      "TZ",           "http_proxy",    "https_proxy",
                                      "HTTPS_PROXY", "no_proxy",     "NO_PROXY",      "all_proxy",
                                      "ALL_PROXY",   "SSL_CERT_DIR", "SSL_CERT_FILE", "SSH_AUTH_SOCK"};

// From githooks(5) and git-config(1). They also apply to the git processes that git starts.
constexpr const char* kSettings[] = {"core.hooksPath=/dev/null",
                                     "core.fsmonitor=false",
                                     "core.untrackedCache=false",
                                     "core.attributesFile=/dev/null",
                                     "core.excludesFile=/dev/null",
                                     "submodule.recurse=false",
                                     "gc.auto=0",
                                     "maintenance.auto=false",
                                     "fetch.recurseSubmodules=false",
                                     "advice.detachedHead=false",
                                     "credential.helper="};

std::string Quoted(const std::string& text) {
  std::string quoted = "'";
  for (char c : text) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

// Handles "get" only: otherwise git would erase an entry that a server refused once, and store one that a
// server accepted.
std::string CredentialHelper(const std::string& file) {
  return "credential.helper=!f() { test \"$1\" = get || return 0; git credential-store --file=" +
         Quoted(file) + " get; }; f";
}

struct Progress {
  std::string phase;
  int percent = 0;
};

// "remote: Counting objects:  42% (5/12)", "Receiving objects: 100% (12/12), 3.1 MiB | 2 MiB/s, done."
std::optional<Progress> ParseProgress(std::string_view line) {
  constexpr std::string_view kRemote = "remote: ";
  if (line.starts_with(kRemote)) line.remove_prefix(kRemote.size());
  const size_t colon = line.find(':');
  const size_t percent = line.find('%');
  if (colon == std::string_view::npos || colon > 40 || percent == std::string_view::npos || percent < colon)
    return std::nullopt;
  auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == ' '; };
  if (colon == 0 || !std::all_of(line.begin(), line.begin() + static_cast<long>(colon), letter))
    return std::nullopt;
  const std::string number(line.substr(colon + 1, percent - colon - 1));
  if (number.empty() || number.find_first_not_of(" 0123456789") != std::string::npos || number.size() > 5)
    return std::nullopt;
  return Progress{std::string(line.substr(0, colon)), std::atoi(number.c_str())};
}

// The file of credentials; empty if there is none. This runs on the loop, which must not wait for a pipe.
std::string CredentialsIn(const std::string& path) {
  if (path.empty()) return {};
  auto file = OpenRegularFile(path, O_RDONLY);
  if (!file) return {};
  std::string text(kMaxCredentialBytes, '\0');
  size_t size = 0;
  for (ssize_t got = 0; size < text.size(); size += static_cast<size_t>(got)) {
    got = read(file->get(), text.data() + size, text.size() - size);
    if (got <= 0) break;
  }
  text.resize(size);
  return text;
}

}  // namespace

std::string Git::Command::Name() const {
  size_t at = 0;
  while (at + 2 < arguments.size() && arguments[at] == "-c") at += 2;
  return "git " + arguments[at];
}

struct Git::Running {
  Running(Loop& loop, std::function<void()> on_deadline) : deadline(loop, std::move(on_deadline)) {}

  void TakeStderr(std::string_view bytes, int64_t now_ms) {
    std::string text(bytes);
    std::replace(text.begin(), text.end(), '\r', '\n');  // a progress line overwrites itself
    lines.Feed(text, [this, now_ms](const Lines::Piece& piece) {
      const std::string_view line = piece.text;
      if (!piece.begins) return;  // the end of a line that is too long for people
      if (auto progress = ParseProgress(line)) return TakeProgress(*progress, now_ms);
      if (line.empty()) return;
      last_words.emplace_back(line);
      if (last_words.size() > kLastLines) last_words.pop_front();
    });
  }
  void TakeProgress(const Progress& progress, int64_t now_ms) {
    const int64_t pause_ms = progress.phase == phase ? kProgressMs : kPhaseMs;
    if (!command.on_progress || now_ms - told_ms < pause_ms) return;
    phase = progress.phase;
    told_ms = now_ms;
    command.on_progress(phase, std::min(progress.percent, 100));
  }

  [[nodiscard]] bool full() const { return out.size() > command.max_output; }
  [[nodiscard]] std::string what() const { return command.Name(); }

  Command command;
  std::unique_ptr<Child> child;  // null: the command waits for its turn
  Timer deadline;
  int64_t timeout_ms = 0;
  std::string out;
  Lines lines{kMaxLineBytes};
  std::deque<std::string> last_words;
  std::string phase;
  int64_t told_ms = 0;
  bool cancelled = false;
  bool timed_out = false;
};

Git::Git(ChildContext context, Options options) : context_(context), options_(std::move(options)) {}
Git::~Git() = default;

std::string Git::Program() {
  const char* path = std::getenv("PATH");
  return FindProgram("git", path ? path : "");
}

bool Git::Allows(std::string_view protocol) const {
  const std::string list = ":" + options_.protocols + ":";
  return list.find(":" + std::string(protocol) + ":") != std::string::npos;
}

SpawnSpec Git::Spawn(const Command& command) const {
  SpawnSpec spawn;
  spawn.argv = {"git"};
  for (const char* setting : kSettings) spawn.argv.insert(spawn.argv.end(), {"-c", setting});
  if (command.reach == Reach::kRemote && !options_.credentials.empty()) {
    spawn.argv.insert(spawn.argv.end(), {"-c", CredentialHelper(options_.credentials)});
  }
  spawn.argv.insert(spawn.argv.end(), command.arguments.begin(), command.arguments.end());
  spawn.cwd = command.folder;
  spawn.stdin_pipe = !command.input.empty();
  for (const char* name : kInherited) {
    if (const char* value = std::getenv(name))
      spawn.env.push_back(std::string(name).append("=").append(value));
  }
  // Files that agents may write must not be found, so git reads no configuration of the user or the machine.
  for (const char* entry :
       {"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_ATTR_NOSYSTEM=1",
        "GIT_TERMINAL_PROMPT=0", "GIT_ASKPASS=", "SSH_ASKPASS=", "GIT_OPTIONAL_LOCKS=0",
        "GIT_EDITOR=:", "GIT_PAGER=cat", "LC_ALL=C",
        "GIT_SSH_COMMAND=ssh -o BatchMode=yes -o StrictHostKeyChecking=yes", "GIT_SSH_VARIANT=ssh"}) {
    spawn.env.emplace_back(entry);
  }
  std::string allowed = "none";  // no protocol has that name
  if (command.reach == Reach::kLocal) allowed = "file";
  if (command.reach == Reach::kRemote && !options_.protocols.empty()) allowed = options_.protocols;
  spawn.env.push_back("GIT_ALLOW_PROTOCOL=" + allowed);
  spawn.env.push_back("REEVE_TOWN_ID=" + town_id_);
  spawn.env.push_back(Marker(town_id_));
  spawn.env.insert(spawn.env.end(), command.env.begin(), command.env.end());
  return spawn;
}

uint64_t Git::Run(Command command) {
  const uint64_t run = ++last_;
  auto asked = std::make_unique<Running>(context_.loop, [this, run] { OnDeadline(run); });
  if (command.until_ms != 0)
    asked->deadline.Start(std::max<int64_t>(command.until_ms - context_.loop.NowMs(), 0));
  Lane& lane = LaneOf(command.reach);
  asked->command = std::move(command);
  running_.emplace(run, std::move(asked));
  lane.waiting.push_back(run);
  StartNext(lane);
  return run;
}

void Git::StartNext(Lane& lane) {
  while (lane.running < lane.most && !lane.waiting.empty()) {
    const uint64_t run = lane.waiting.front();
    lane.waiting.pop_front();
    if (Status started = Start(run, *running_.at(run)); started) {
      ++lane.running;
    } else {
      EndUnstarted(run, started.error());
    }
  }
}

Status Git::Start(uint64_t run, Running& running) {
  const Command& command = running.command;
  SpawnSpec spawn = Spawn(command);
  const std::string marker = "REEVE_GIT=" + town_id_ + "/" + std::to_string(run);
  spawn.env.push_back(marker);
  auto child = Child::Start(context_, std::move(spawn), marker,
                            {[&running, this](Child::Output from, std::string_view bytes) {
                               if (from == Child::Output::kStderr)
                                 return running.TakeStderr(bytes, context_.loop.NowMs());
                               if (running.full()) return;
                               // One byte beyond the limit is enough to know that there are more.
                               running.out +=
                                   bytes.substr(0, running.command.max_output + 1 - running.out.size());
                               if (running.command.cut && running.full()) running.child->Stop(kGraceMs);
                             },
                             [this, run](const ExitStatus& exit) { OnDone(run, exit); }});
  if (!child) {
    return Error{"workspace_failed",
                 child.error().message + (Program().empty() ? ": git is not installed" : "")};
  }
  running.child = std::move(*child);
  if (!command.input.empty()) {
    (void)running.child->WriteStdin(command.input);
    running.child->CloseStdin();
  }
  running.timeout_ms = command.timeout_ms > 0 ? command.timeout_ms : options_.timeout_ms;
  if (command.until_ms != 0) {
    running.timeout_ms = std::clamp<int64_t>(command.until_ms - context_.loop.NowMs(), 0, running.timeout_ms);
  }
  running.deadline.Start(running.timeout_ms);
  return {};
}

void Git::OnDeadline(uint64_t run) {
  Running& late = *running_.at(run);
  if (!late.child) {
    std::deque<uint64_t>& waiting = LaneOf(late.command.reach).waiting;
    waiting.erase(std::find(waiting.begin(), waiting.end(), run));
    return EndUnstarted(run, {"workspace_timeout", late.what() + ": too many other commands ran before it"});
  }
  late.timed_out = true;
  late.child->Stop(kGraceMs);
}

void Git::Cancel(uint64_t run) {
  auto found = running_.find(run);
  if (found == running_.end()) return;
  Running& unwanted = *found->second;
  if (unwanted.child) {
    unwanted.cancelled = true;
    return unwanted.child->Stop(kGraceMs);
  }
  std::deque<uint64_t>& waiting = LaneOf(unwanted.command.reach).waiting;
  waiting.erase(std::find(waiting.begin(), waiting.end(), run));
  EndUnstarted(run, {"cancelled", unwanted.what() + ": cancelled"});
}

// Reports the error in a later turn, because the caller may be in the middle of a call.
void Git::EndUnstarted(uint64_t run, Error error) {
  context_.loop.Post([alive = std::weak_ptr<bool>(alive_), done = std::move(running_.at(run)->command.done),
                      error = std::move(error)] {
    if (!alive.expired()) done(error);
  });
  running_.erase(run);
}

void Git::OnDone(uint64_t run, const ExitStatus& exit) {
  auto found = running_.find(run);
  const std::unique_ptr<Running> ended = std::move(found->second);
  running_.erase(found);
  Lane& lane = LaneOf(ended->command.reach);
  --lane.running;
  StartNext(lane);
  ended->TakeStderr("\n", context_.loop.NowMs());
  const std::string what = ended->what();
  auto done = std::move(ended->command.done);
  if (ended->cancelled) return done(Error{"cancelled", what + ": cancelled"});
  if (ended->full()) {
    if (ended->command.cut) return done(std::move(ended->out));
    return done(Error{"workspace_failed",
                      what + ": printed more than " + std::to_string(ended->command.max_output) + " bytes"});
  }
  if (!ended->timed_out && exit.code == 0) return done(std::move(ended->out));
  std::string words;
  for (const std::string& line : ended->last_words) words += (words.empty() ? "" : "\n") + line;
  words = WithoutSecrets(std::move(words));
  if (ended->timed_out) {
    return done(Error{"workspace_timeout", what + ": did not finish within " +
                                               std::to_string(ended->timeout_ms) + " ms" +
                                               (words.empty() ? "" : ": " + words)});
  }
  if (words.empty()) {
    words = exit.signal != 0 ? "ended by signal " + std::to_string(exit.signal)
                             : "ended with code " + std::to_string(exit.code);
  }
  done(Error{"workspace_failed", what + ": " + words});
}

Git::Stats Git::stats() const {
  return {local_.running + remote_.running, local_.waiting.size() + remote_.waiting.size()};
}

// Removes secrets, because a server may repeat what it was sent.
std::string Git::WithoutSecrets(std::string text) const {
  std::istringstream file(CredentialsIn(options_.credentials));
  for (std::string line; std::getline(file, line);) {
    const size_t scheme = line.find("://");
    const size_t at = line.rfind('@');
    if (scheme == std::string::npos || at == std::string::npos || at < scheme + 3) continue;
    const size_t colon = std::min(line.find(':', scheme + 3), at);
    const std::string password = line.substr(std::min(colon + 1, at), at - std::min(colon + 1, at));
    const std::string user =
        line.substr(scheme + 3, colon - scheme - 3);  // some tokens are sent as the user name
    for (const std::string& secret : {password, user}) {
      if (secret.size() < kLeastSecret || secret == "git") continue;
      for (size_t found = text.find(secret); found != std::string::npos; found = text.find(secret, found + 3))
        text.replace(found, secret.size(), "***");
    }
  }
  return text;
}

}  // namespace reeve
