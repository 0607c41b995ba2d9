// Plays the daemon in tests of the keeper: does what lines on stdin say, and answers with lines on stdout.
// stdin and stdout are the keeper's, so successive daemons read the same lines one after the other.
//
//   puppet_daemon [--exit CODE] [--deaf] --keeper FD
//
// --exit ends it at once with CODE, before it greets the keeper. --deaf lets it greet the keeper and do
// nothing else. It begins with the line "begun PID restarts=N last=CODE/SIGNAL held=KEYS children=PIDS".
#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <charconv>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "process/keeper/keeper_link.h"

namespace {

void Say(const std::string& line) {
  const std::string whole = line + "\n";
  if (write(STDOUT_FILENO, whole.data(), whole.size()) < 0) _exit(3);
}

// One line, read byte by byte: the next line may be for the next daemon.
bool ReadLine(std::string& line) {
  line.clear();
  for (char c = 0; read(STDIN_FILENO, &c, 1) == 1;) {
    if (c == '\n') return true;
    line += c;
  }
  return false;
}

class Puppet {
 public:
  Puppet(std::unique_ptr<reeve::KeeperLink> link, int socket) : link_(std::move(link)), socket_(socket) {}

  void Begin() {
    const auto end = link_->last_end();
    std::string line = "begun " + std::to_string(getpid()) + " restarts=" + std::to_string(link_->restarts());
    line += " last=";
    line += end ? std::to_string(end->code) + "/" + std::to_string(end->signal) : "none";
    line += " children=";
    children_ = link_->TakeChildren();
    for (const auto& child : children_) line += std::to_string(child.pid) + ",";
    Say(line + " keeper=" + std::to_string(link_->keeper_pid()));
  }

  void Run() {
    sigset_t all;
    sigemptyset(&all);
    for (const int signum : {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2}) sigaddset(&all, signum);
    sigprocmask(SIG_BLOCK, &all, nullptr);
    const int signals = signalfd(-1, &all, SFD_CLOEXEC);
    Begin();
    for (;;) {
      pollfd waiting[] = {{STDIN_FILENO, POLLIN, 0}, {signals, POLLIN, 0}, {link_->fd(), POLLIN, 0}};
      if (poll(waiting, 3, -1) < 0) continue;
      if (waiting[1].revents != 0) {
        signalfd_siginfo arrived{};
        if (read(signals, &arrived, sizeof arrived) > 0) Say("signal " + std::to_string(arrived.ssi_signo));
      }
      if (waiting[2].revents != 0) link_->OnReadable();
      if (waiting[0].revents != 0) {
        std::string line;
        if (!ReadLine(line)) pause();
        Obey(line);
      }
    }
  }

 private:
  void Obey(const std::string& line) {
    std::istringstream words(line);
    std::string verb;
    words >> verb;
    std::string rest;
    std::getline(words >> std::ws, rest);
    const auto number = [&rest] { return std::atoll(rest.c_str()); };
    const auto pid = [&number] { return static_cast<pid_t>(number()); };
    const auto key = [&number] { return static_cast<uint64_t>(number()); };
    if (verb == "ready") {
      link_->Ready();
    } else if (verb == "bye") {
      link_->Bye(static_cast<int>(number()));
      _exit(0);
    } else if (verb == "exit") {
      _exit(static_cast<int>(number()));
    } else if (verb == "close") {
      link_.reset();
      for (;;) pause();
    } else if (verb == "upgrade") {  // PROGRAM KEEPER
      const size_t space = rest.find(' ');
      link_->Upgrade(rest.substr(0, space), space == std::string::npos ? "" : rest.substr(space + 1));
      _exit(0);
    } else if (verb == "spawn" || verb == "run") {  // a script; `run` inherits stdout
      Spawn(verb == "run", {"/bin/sh", "-c", rest});
      return;
    } else if (verb == "exec") {
      Spawn(false, {rest});
      return;
    } else if (verb == "many") {  // COUNT: so many children that wait
      for (auto left = number(); left > 0; --left) Spawn(false, {"/bin/sleep", "1000"});
    } else if (verb == "exitof") {
      const auto exit = link_->ExitOf(pid());
      Say(exit ? "exit " + std::to_string(exit->code) + "/" + std::to_string(exit->signal) : "runs");
      return;
    } else if (verb == "reap") {
      link_->Reap(pid());
    } else if (verb == "look") {
      Say(link_->Look() ? "complete" : "incomplete");
      return;
    } else if (verb == "keep") {  // TEXT: in a file without a name
      const reeve::Fd file(open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
      if (write(file.get(), rest.data(), rest.size()) < 0) _exit(3);
      Say("kept " + std::to_string(link_->Keep(file.get())));
      return;
    } else if (verb == "keepas") {  // KEY: the read end of a pipe that holds the key
      int ends[2];
      if (pipe(ends) != 0 || write(ends[1], rest.data(), rest.size()) < 0) _exit(3);
      link_->KeepAs(key(), ends[0]);
      close(ends[0]);
      close(ends[1]);
    } else if (verb == "keepmany") {
      for (auto left = number(); left > 0; --left) (void)link_->Keep(STDIN_FILENO);
    } else if (verb == "take") {
      char text[100] = {};
      const reeve::Fd taken = link_->Take(key());
      if (!taken.valid()) return Say("nothing");
      ssize_t size = pread(taken.get(), text, sizeof text, 0);
      if (size < 0) size = read(taken.get(), text, sizeof text);
      Say("took " + std::string(text, static_cast<size_t>(std::max<ssize_t>(size, 0))));
      return;
    } else if (verb == "drop") {
      link_->Drop(key());
    } else if (verb == "dropuntaken") {
      link_->DropUntaken();
    } else if (verb == "raw") {  // BYTES: as one message, which the keeper must not accept
      (void)send(socket_, rest.data(), rest.size(), MSG_NOSIGNAL);
      for (;;) pause();
    } else if (verb == "environment") {
      for (char** entry = environ; *entry != nullptr; ++entry) Say(*entry);
    } else {
      Say("unknown: " + verb);
      return;
    }
    Say("ok");
  }

  void Spawn(bool inherit, std::vector<std::string> argv) {
    reeve::SpawnSpec spec;
    spec.argv = std::move(argv);
    spec.env = {"PATH=/usr/local/bin:/usr/bin:/bin"};
    const reeve::Fd null(open("/dev/null", O_RDWR | O_CLOEXEC));
    const int out = inherit ? STDOUT_FILENO : null.get();
    auto child = link_->Spawn(spec, {null.get(), out, null.get()});
    Say(child ? "spawned " + std::to_string(child->pid)
              : "failed " + child.error().code + " " + child.error().message);
    if (child) children_.push_back({child->pid, std::move(child->pidfd)});
  }

  std::unique_ptr<reeve::KeeperLink> link_;
  const int socket_;
  std::vector<reeve::KeeperLink::HeldChild> children_;
};

}  // namespace

int main(int argc, char** argv) {
  int socket = -1;
  bool deaf = false;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--exit" && i + 1 < argc) return std::atoi(argv[i + 1]);
    if (word == "--keeper" && i + 1 < argc) socket = std::atoi(argv[i + 1]);
    deaf |= word == "--deaf";
  }
  auto link = reeve::KeeperLink::Connect(reeve::Fd(socket));
  if (!link) {
    Say("no link: " + link.error().message);
    return 4;
  }
  if (deaf) {
    Say("deaf " + std::to_string(getpid()));
    for (;;) pause();
  }
  Puppet(std::move(*link), socket).Run();
}
