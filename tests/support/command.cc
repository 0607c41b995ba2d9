#include "tests/support/command.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <utility>

#include "process/fd.h"
#include "tests/support/daemon.h"
#include "tests/support/paths.h"

namespace reeve {

namespace {

std::vector<std::string> ReeveWords(const std::vector<std::string>& arguments) {
  std::vector<std::string> words = {kReeveBinary};
  words.insert(words.end(), arguments.begin(), arguments.end());
  return words;
}

}  // namespace

Command::Command(const std::vector<std::string>& arguments, std::vector<std::string> environment,
                 const std::string& input)
    : Command(Program{ReeveWords(arguments), {}}, std::move(environment), input) {}

Command::Command(const Program& program, std::vector<std::string> environment, const std::string& input) {
  std::vector<std::string> words = program.words;
  auto otherwise = [&environment](const std::string& name, const std::string& value) {
    const bool given = std::any_of(environment.begin(), environment.end(), [&name](const std::string& entry) {
      return entry.rfind(name + "=", 0) == 0;
    });
    if (!given) environment.push_back(name + "=" + value);
  };
  for (const char* name : {"PATH", "ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS"}) {
    if (const char* value = std::getenv(name)) otherwise(name, value);
  }
  otherwise("HOME", folder_.path());
  otherwise("XDG_STATE_HOME", folder_.path());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  std::vector<char*> envp;
  for (std::string& variable : environment) envp.push_back(variable.data());
  envp.push_back(nullptr);
  Fd in;
  if (program.keeps_input) {
    int ends[2] = {-1, -1};
    if (pipe2(ends, O_CLOEXEC) != 0) return;
    in = Fd(ends[0]);
    input_ = Fd(ends[1]);
  } else {
    WriteFile(folder_.path() + "/in", input);
    in = Fd(open((folder_.path() + "/in").c_str(), O_RDONLY | O_CLOEXEC));
  }
  Fd out(open((folder_.path() + "/out").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  Fd err(open((folder_.path() + "/err").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  pid_ = fork();
  if (pid_ != 0) return;
  (void)signal(SIGINT,
               SIG_DFL);  // a shell ignores it for what it starts in the background, as it may the tests
  dup2(in.get(), 0);
  dup2(out.get(), 1);
  dup2(err.get(), 2);
  if (!program.folder.empty() && chdir(program.folder.c_str()) != 0) _exit(127);
  execvpe(argv[0], argv.data(), envp.data());
  _exit(127);
}

Command::~Command() {
  if (pid_ < 0) return;
  kill(pid_, SIGKILL);
  while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) continue;
}

void Command::Write(std::string_view bytes) const {
  while (!bytes.empty()) {
    const ssize_t written = write(input_.get(), bytes.data(), bytes.size());
    if (written < 0) return;
    bytes.remove_prefix(static_cast<size_t>(written));
  }
}

std::string Command::ReadLine() {
  std::string line;
  Eventually([&] {
    const std::string all = out();
    const size_t end = all.find('\n', read_);
    if (end == std::string::npos) return false;
    line = all.substr(read_, end - read_);
    read_ = end + 1;
    return true;
  });
  return line;
}

int Command::Wait() {
  int status = 0;
  if (!Eventually([&] { return waitpid(pid_, &status, WNOHANG) == pid_; })) return -1000;
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

void Command::Signal(int signum) const { kill(pid_, signum); }
std::string Command::out() const { return ReadFile(folder_.path() + "/out"); }
std::string Command::err() const { return ReadFile(folder_.path() + "/err"); }
bool Command::Says(const std::string& text) const {
  return Eventually([&] { return out().find(text) != std::string::npos; });
}

}  // namespace reeve
