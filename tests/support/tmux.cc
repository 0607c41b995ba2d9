#include "tests/support/tmux.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <utility>

#include "process/fd.h"
#include "tests/support/daemon.h"

namespace reeve {

namespace {

// Only the pane is on the screen; a key is what was pressed, at once; an end leaves all as it is.
constexpr const char* kConfiguration =
    "set -g status off\n"
    "set -g default-terminal screen-256color\n"
    "set -g escape-time 0\n"
    "set -g remain-on-exit on\n"
    "set -g remain-on-exit-format ''\n";

}  // namespace

Tmux::Tmux(const std::vector<std::string>& program, const Options& options)
    : environment_(options.environment) {
  for (const char* name : {"PATH", "TMPDIR", "ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS"}) {
    if (const char* value = std::getenv(name)) environment_.push_back(std::string(name) + "=" + value);
  }
  environment_.push_back("LC_ALL=C.UTF-8");
  environment_.push_back("HOME=" + folder_.path());
  environment_.push_back("XDG_STATE_HOME=" + folder_.path());
  WriteFile(folder_.path() + "/tmux.conf", kConfiguration);
  // With several words no shell reads any of them.
  std::vector<std::string> words = {
      "-f", folder_.path() + "/tmux.conf", "new-session", "-d", "-x", std::to_string(options.columns),
      "-y", std::to_string(options.rows),  "env"};
  words.insert(words.end(), program.begin(), program.end());
  const Answer started = Call(words);
  EXPECT_EQ(started.code, 0) << "tmux: " << started.out;
  pid_ = std::atoi(Variable("pane_pid").c_str());
}

Tmux::~Tmux() {
  const bool ended = Variable("pane_dead") == "1";
  Call({"kill-server"});
  if (pid_ > 0 && !ended) kill(pid_, SIGKILL);
}

void Tmux::Type(const std::string& text) { EXPECT_EQ(Call({"send-keys", "-l", "--", text}).code, 0) << text; }
void Tmux::Paste(const std::string& text) {
  EXPECT_EQ(Call({"set-buffer", "--", text}).code, 0) << text;
  EXPECT_EQ(Call({"paste-buffer", "-p"}).code, 0) << text;
}
void Tmux::Press(const std::string& key) { EXPECT_EQ(Call({"send-keys", "--", key}).code, 0) << key; }

void Tmux::Resize(int columns, int rows) {
  EXPECT_EQ(Call({"resize-window", "-x", std::to_string(columns), "-y", std::to_string(rows)}).code, 0);
}

std::string Tmux::Screen() const { return Call({"capture-pane", "-p"}).out; }
std::string Tmux::Coloured() const { return Call({"capture-pane", "-p", "-e"}).out; }

std::string Tmux::LineWith(const std::string& text) const {
  const std::string screen = Screen();
  const size_t at = screen.find(text);
  if (at == std::string::npos) return {};
  const size_t before = screen.rfind('\n', at);
  const size_t start = before == std::string::npos ? 0 : before + 1;
  return screen.substr(start, screen.find('\n', at) - start);
}

bool Tmux::Shows(const std::string& text) const {
  return Eventually([&] { return Screen().find(text) != std::string::npos; });
}

bool Tmux::Hides(const std::string& text) const {
  return Eventually([&] { return Screen().find(text) == std::string::npos; });
}

std::string Tmux::Variable(const std::string& name) const {
  std::string value = Call({"display-message", "-p", "#{" + name + "}"}).out;
  while (!value.empty() && value.back() == '\n') value.pop_back();
  return value;
}

int Tmux::Wait() const {
  std::string status;
  std::string signal;
  const bool ended = Eventually([&] {
    if (Variable("pane_dead") != "1") return false;
    // Its terminal is closed. Now and then tmux misses that the program has ended, and learns it from the end
    // of another one.
    (void)Call({"run-shell", "true"});
    status = Variable("pane_dead_status");
    signal = Variable("pane_dead_signal");
    return !status.empty() || !signal.empty();
  });
  if (!ended) return -1000;
  return signal.empty() ? std::atoi(status.c_str()) : -std::atoi(signal.c_str());
}

Tmux::Answer Tmux::Call(const std::vector<std::string>& words) const {
  std::vector<std::string> all = {"tmux", "-u", "-S", folder_.path() + "/s"};
  all.insert(all.end(), words.begin(), words.end());
  std::vector<char*> argv;
  argv.reserve(all.size() + 1);
  for (std::string& word : all) argv.push_back(word.data());
  argv.push_back(nullptr);
  std::vector<std::string> variables = environment_;
  std::vector<char*> envp;
  envp.reserve(variables.size() + 1);
  for (std::string& variable : variables) envp.push_back(variable.data());
  envp.push_back(nullptr);
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return {};
  Fd reads(ends[0]);
  Fd writes(ends[1]);
  const pid_t child = fork();
  if (child == 0) {
    dup2(writes.get(), 1);
    dup2(writes.get(), 2);
    execvpe(argv[0], argv.data(), envp.data());
    _exit(127);
  }
  writes.Close();
  Answer answer;
  char piece[4096];
  for (;;) {
    const ssize_t got = read(reads.get(), piece, sizeof piece);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    answer.out.append(piece, static_cast<size_t>(got));
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  answer.code = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  return answer;
}

}  // namespace reeve
