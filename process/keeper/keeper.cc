#include "process/keeper/keeper.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstring>
#include <utility>

namespace reeve::keeper {

namespace {

constexpr int64_t kReapDelayMs = 50;    // one look serves all SIGCHLDs of this long
constexpr int64_t kFirstDelayMs = 100;  // before the second restart; doubled for each further one
constexpr int kMostLevels = 10;         // 100 ms doubled so often is beyond any useful delay
constexpr int64_t kGoodMs = 10'000;     // a daemon that was ready for this long counts as a good one
constexpr int64_t kGoneMs = 5'000;      // a daemon without a connection ends by itself within this time
constexpr int64_t kGraceMs = 5'000;     // between TERM and KILL
constexpr int64_t kEndLookMs = 20;      // between two looks at what is left
constexpr int64_t kGiveUpMs = 5'000;    // processes that take no signal for so long belong to another user
constexpr int kTrialMs = 5'000;
constexpr size_t kSpareDescriptors = 64;  // for the keeper itself and for one message
constexpr int kNotFound = 127;            // the exit code of shells for a program that cannot be started
constexpr int kSecondSignal = 130;        // the daemon's exit code for a second signal to stop

sigset_t HandledSignals() {
  sigset_t handled;
  sigemptyset(&handled);
  for (const int signum : {SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2}) sigaddset(&handled, signum);
  return handled;
}

bool IsStop(int signum) { return signum == SIGTERM || signum == SIGINT; }

std::vector<std::string> PublicEnvironment() {
  std::vector<std::string> entries;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    if (!ServiceManager::IsPrivate(*entry)) entries.emplace_back(*entry);
  }
  return entries;
}

std::string HowEnded(int code, int signal) {
  return signal != 0 ? "signal=" + std::to_string(signal) : "code=" + std::to_string(code);
}

void SetCloseOnExec(int fd, bool on) { (void)fcntl(fd, F_SETFD, on ? FD_CLOEXEC : 0); }

void SendTo(const Fd& pidfd, int signum) {
  (void)syscall(SYS_pidfd_send_signal, pidfd.get(), signum, nullptr, 0);
}

}  // namespace

Keeper::Keeper(Options options) : options_(std::move(options)), env_(PublicEnvironment()) {
  if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) {
    log_.Warning(OsError("cannot adopt orphans", errno).message +
                 "; a process that loses its parent escapes its agent");
  }
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur > kSpareDescriptors)
    holdings_.most_fds = limit.rlim_cur - kSpareDescriptors;
  // A process inherits ignored signals. An ignored SIGCHLD would make the kernel reap our children.
  const sigset_t handled = HandledSignals();
  (void)std::signal(SIGCHLD, SIG_DFL);
  (void)std::signal(SIGPIPE, SIG_IGN);
  (void)std::signal(SIGXFSZ, SIG_IGN);  // a log beyond `ulimit -f` is handled as a full disk
  sigprocmask(SIG_SETMASK, &handled, nullptr);
  signals_ = Fd(signalfd(-1, &handled, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals_.valid()) {
    log_.Failure(OsError("signalfd", errno).message);
    exit_code_ = 1;
  }
  if (manager_.watchdog_ms() > 0) watchdog_at_ms_ = clock_.MonotonicMs();
  for (const int fd : options_.inherited) {
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) == 0) (void)holdings_.Keep(static_cast<uint64_t>(fd), Fd(fd));
  }
}

void Keeper::Restore(const KeeperState& state) {
  restarts_ = state.restarts;
  last_code_ = state.last_code;
  last_signal_ = state.last_signal;
  delay_level_ = std::clamp(state.delay_level, 0, kMostLevels);
  stop_signal_ = state.stop_signal;
  was_ready_ = state.was_ready;
  orphan_at_ms_ = state.orphan_at_ms;
  options_.soft_limit = state.soft_limit;
  for (const auto& [key, fd] : state.fds) {
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) == 0) (void)holdings_.Keep(key, Fd(fd));
  }
  holdings_.next_key = state.next_key;
  holdings_.children = state.children;
  program_before_ = state.program_before;
  reap_at_ms_ = clock_.MonotonicMs();  // the SIGCHLD of the trial, and of orphans meanwhile
}

KeeperState Keeper::State() const {
  KeeperState state;
  state.restarts = restarts_;
  state.last_code = last_code_;
  state.last_signal = last_signal_;
  state.delay_level = delay_level_;
  state.stop_signal = stop_signal_;
  state.was_ready = was_ready_;
  state.orphan_at_ms = orphan_at_ms_;
  state.soft_limit = options_.soft_limit;
  state.next_key = holdings_.next_key;
  for (const auto& [key, fd] : holdings_.fds) state.fds.emplace(key, fd.get());
  state.children = holdings_.children;
  state.program_before = program_before_;
  return state;
}

int Keeper::Run() {
  if (!exit_code_) StartDaemon();
  while (!exit_code_) Wait();
  return *exit_code_;
}

// ------------------------------------------------------------------------------------------------ the daemon

void Keeper::StartDaemon() {
  restart_at_ms_ = -1;
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    log_.Failure(OsError("socketpair", errno).message);
    return OnDaemonEnd(kNotFound, 0);
  }
  Fd ours(ends[0]);
  const Fd theirs(ends[1]);
  (void)fcntl(ours.get(), F_SETFL, O_NONBLOCK);  // of this end alone: the daemon's waits
  SpawnSpec spec;
  spec.argv = options_.program;
  spec.argv.insert(spec.argv.end(), {"--keeper", "3"});
  spec.env = env_;
  spec.descriptor_3 = theirs.get();
  spec.no_new_privs = false;
  spec.max_open_files = options_.soft_limit;
  auto started = SpawnWith(spec, {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO});
  if (!started) {
    log_.Failure("cannot start the daemon: " + started.error().message);
    return OnDaemonEnd(kNotFound, 0);
  }
  daemon_.emplace();
  daemon_->pid = started->pid;
  daemon_->pidfd = std::move(started->pidfd);
  daemon_->session =
      std::make_unique<Session>(std::move(ours), daemon_->pid,
                                Session::Greeting{restarts_, last_code_, last_signal_}, holdings_, SpawnWith);
  lost_ = 0;
}

// The daemon has ended, or could not be started. Its last messages are handled.
void Keeper::OnDaemonEnd(int code, int signal) {
  std::optional<int> bye;
  std::optional<Session::Paths> upgrade;
  if (daemon_) {
    bye = daemon_->session->bye();
    upgrade = daemon_->session->upgrade();
    if (daemon_->ready) {
      const int64_t now = clock_.MonotonicMs();
      orphan_at_ms_ = now + options_.orphan_timeout_ms;
      if (now - daemon_->ready_since_ms >= kGoodMs) delay_level_ = 0;
    }
    daemon_.reset();
  }
  if (bye) return End(*bye, 0);
  // A daemon that has not installed its handlers yet dies of the signal that we passed on.
  if (!was_ready_ || (stop_signal_ != 0 && signal == stop_signal_))
    return End(signal != 0 ? 128 + signal : code, 0);
  if (!upgrade && !program_before_.empty()) {
    log_.Failure("the upgrade failed, because " + options_.program[0] +
                 " did not become ready: " + HowEnded(code, signal) + "; " + program_before_ + " continues");
    options_.program[0] = std::exchange(program_before_, {});
  }
  if (!upgrade) return RestartLater(code, signal);

  program_before_ = std::exchange(options_.program[0], upgrade->program);
  if (signal != 0 || code != 0) return RestartLater(code, signal);
  last_code_ = 0;
  last_signal_ = 0;
  delay_level_ = 0;
  if (!upgrade->keeper.empty()) Become(upgrade->keeper);
  StartDaemon();
}

void Keeper::RestartLater(int code, int signal) {
  ++restarts_;
  last_code_ = signal != 0 ? -1 : code;
  last_signal_ = signal;
  const int64_t delay =
      delay_level_ == 0 ? 0 : std::min(kFirstDelayMs << (delay_level_ - 1), options_.restart_delay_ms);
  delay_level_ = std::min(delay_level_ + 1, kMostLevels);
  log_.Warning("the daemon has died and is started again: " + HowEnded(code, signal) +
               " restarts=" + std::to_string(restarts_) + " delay_ms=" + std::to_string(delay));
  restart_at_ms_ = clock_.MonotonicMs() + delay;
}

// Lets this process execute the keeper `path`, which continues with our state. Returns only if
// that fails: then this keeper goes on.
void Keeper::Become(const std::string& path) {
  const auto state = SaveState(State());
  if (!state) return log_.Failure("cannot become " + path + ": " + state.error().message);
  if (const Status tried = TryOut(path, state->get()); !tried)
    return log_.Failure("cannot become " + path + ": " + tried.error().message);

  std::vector<std::string> words = {path,
                                    "--orphan-timeout-ms",
                                    std::to_string(options_.orphan_timeout_ms),
                                    "--restart-delay-ms",
                                    std::to_string(options_.restart_delay_ms),
                                    "--state",
                                    std::to_string(state->get()),
                                    "--"};
  words.insert(words.end(), options_.program.begin(), options_.program.end());
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  // The signals stay blocked, so that none is lost.
  SetCloseOnExec(state->get(), false);
  for (const auto& [key, fd] : holdings_.fds) SetCloseOnExec(fd.get(), false);
  execve(path.c_str(), argv.data(), environ);
  const int error = errno;
  for (const auto& [key, fd] : holdings_.fds) SetCloseOnExec(fd.get(), true);
  log_.Failure(OsError("cannot become " + path, error).message);
}

// Lets the keeper `path` read the state. No daemon is there meanwhile, so nobody waits but for this.
Status Keeper::TryOut(const std::string& path, int state) const {
  SpawnSpec spec;
  spec.argv = {path, "--trial", "3"};
  spec.env = env_;
  spec.descriptor_3 = state;
  auto trial = SpawnWith(spec, {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO});
  if (!trial) return trial.error();
  pollfd ended{trial->pidfd.get(), POLLIN, 0};
  if (poll(&ended, 1, kTrialMs) != 1) SendTo(trial->pidfd, SIGKILL);
  siginfo_t info{};
  while (waitid(P_PID, static_cast<id_t>(trial->pid), &info, WEXITED) != 0 && errno == EINTR) continue;
  if (info.si_code == CLD_EXITED && info.si_status == 0 && IsAccepted(state)) return {};
  return Error{"keeper_state", "it does not accept the state"};
}

// -------------------------------------------------------------------------------------------------- the loop

void Keeper::Wait() {
  std::array<pollfd, 3> watched{};
  watched[0] = {signals_.get(), POLLIN, 0};
  watched[1] = {daemon_ ? daemon_->pidfd.get() : -1, POLLIN, 0};
  watched[2] = {daemon_ && daemon_->session->active() ? daemon_->session->fd() : -1, POLLIN, 0};
  int timeout = -1;
  if (const int64_t deadline = NextDeadline(); deadline >= 0)
    timeout = static_cast<int>(std::clamp<int64_t>(deadline - clock_.MonotonicMs(), 0, INT_MAX));
  if (poll(watched.data(), watched.size(), timeout) < 0) return;
  const bool ended = watched[1].revents != 0;
  if (watched[2].revents != 0) OnMessages();
  if (watched[0].revents != 0) OnSignals();
  if (ended) CheckExit();
  OnDeadlines();
}

int64_t Keeper::NextDeadline() const {
  int64_t next = -1;
  for (const int64_t at : {restart_at_ms_, orphan_at_ms_, reap_at_ms_, watchdog_at_ms_, end_again_at_ms_,
                           daemon_ ? daemon_->kill_at_ms : -1}) {
    if (at >= 0 && (next < 0 || at < next)) next = at;
  }
  return next;
}

void Keeper::OnDeadlines() {
  const int64_t now = clock_.MonotonicMs();
  const auto due = [now](int64_t& at) {
    if (at < 0 || now < at) return false;
    at = -1;
    return true;
  };
  if (due(reap_at_ms_) && !ending_) (void)holdings_.ReapOrphans(daemon_ ? daemon_->pid : -1);
  if (daemon_ && due(daemon_->kill_at_ms)) {
    log_.Failure("the daemon has closed its connection and does not end: it is killed");
    SendTo(daemon_->pidfd, SIGKILL);
  }
  if (due(watchdog_at_ms_)) CheckWatchdog();
  if (daemon_ && !program_before_.empty() && due(orphan_at_ms_) && !ending_) {
    log_.Failure("the new daemon did not become ready in time and is killed");
    SendTo(daemon_->pidfd, SIGKILL);  // the program before it gets as much time
    orphan_at_ms_ = now + options_.orphan_timeout_ms;
  }
  if (due(orphan_at_ms_) && !ending_) {
    log_.Failure("no daemon became ready in time: all processes are stopped, orphan_timeout_ms=" +
                 std::to_string(options_.orphan_timeout_ms));
    End(1, kGraceMs);
  }
  if (due(restart_at_ms_) && !ending_) StartDaemon();
  if (due(end_again_at_ms_)) ContinueEnding();
}

void Keeper::OnSignals() {
  std::array<signalfd_siginfo, 8> arrived{};  // more than there are kinds of signals
  const ssize_t got = read(signals_.get(), arrived.data(), sizeof arrived);
  for (size_t i = 0; got > 0 && i < static_cast<size_t>(got) / sizeof arrived[0]; ++i)
    OnSignal(static_cast<int>(arrived[i].ssi_signo));
}

void Keeper::OnSignal(int signum) {
  if (signum == SIGCHLD) {
    if (ending_) {
      end_again_at_ms_ = clock_.MonotonicMs();
    } else if (reap_at_ms_ < 0) {
      reap_at_ms_ = clock_.MonotonicMs() + kReapDelayMs;
    }
    return;
  }
  if (ending_) {
    if (!IsStop(signum)) return;
    if (stop_signal_ != 0) ending_->code = kSecondSignal;
    stop_signal_ = signum;
    ending_->kill_at_ms = clock_.MonotonicMs();
    end_again_at_ms_ = ending_->kill_at_ms;
    return;
  }
  if (signum == SIGUSR1) return;  // means nothing to the daemon
  if (IsStop(signum)) {
    manager_.Stopping();
    stop_signal_ = signum;
    // As with a daemon that is told to stop while it starts: it has nothing to do, and exits with 0.
    if (!daemon_) return End(0, kGraceMs);
  }
  // A daemon that starts reads its configuration anyway, and has not installed its handlers yet.
  if (daemon_ && (IsStop(signum) || daemon_->ready)) SendTo(daemon_->pidfd, signum);
  if (daemon_ && IsStop(signum)) daemon_->told_to_stop = true;
  if (daemon_ && signum == SIGHUP) manager_.Reloaded();
}

void Keeper::OnMessages() {
  Session& session = *daemon_->session;
  session.Read();
  if (session.ready() && !daemon_->ready) OnReady();
  if (session.lost() != lost_) {
    lost_ = session.lost();
    log_.Failure("descriptors of the daemon cannot be held, because this process has too many: lost=" +
                 std::to_string(lost_));
  }
  if (session.pongs() >= daemon_->pings) daemon_->pinged_at_ms = -1;
  if (session.state() == Session::State::kGone && daemon_->kill_at_ms < 0)
    daemon_->kill_at_ms = clock_.MonotonicMs() + kGoneMs;
  if (session.state() == Session::State::kBroken) {
    log_.Failure("the daemon is killed, because it broke the protocol: " + session.failure());
    SendTo(daemon_->pidfd, SIGKILL);
  }
}

void Keeper::OnReady() {
  daemon_->ready = true;
  daemon_->ready_since_ms = clock_.MonotonicMs();
  orphan_at_ms_ = -1;
  program_before_.clear();
  if (!std::exchange(was_ready_, true)) manager_.Ready();
  // The daemon before it died after it was told to stop, and this one does not know that.
  if (stop_signal_ != 0 && !std::exchange(daemon_->told_to_stop, true)) SendTo(daemon_->pidfd, stop_signal_);
}

void Keeper::CheckExit() {
  siginfo_t info{};
  if (!daemon_ || waitid(P_PID, static_cast<id_t>(daemon_->pid), &info, WEXITED | WNOHANG) != 0 ||
      info.si_pid == 0)
    return;
  const bool exited = info.si_code == CLD_EXITED;
  daemon_->session->ReadRest();
  if (daemon_->session->ready() && !daemon_->ready) OnReady();
  OnDaemonEnd(exited ? info.si_status : -1, exited ? 0 : info.si_status);
}

// A ready daemon must answer each Ping. Reads no messages here: Pongs are counted where they arrive.
void Keeper::CheckWatchdog() {
  const int64_t now = clock_.MonotonicMs();
  manager_.Alive();
  watchdog_at_ms_ = now + std::max<int64_t>(manager_.watchdog_ms() / 4, 1);
  if (!daemon_ || !daemon_->ready || ending_) return;
  if (daemon_->pinged_at_ms < 0) {
    daemon_->pinged_at_ms = now;
    if (daemon_->session->SendPing()) ++daemon_->pings;
  } else if (now - daemon_->pinged_at_ms >= manager_.watchdog_ms() / 2) {
    log_.Failure("the daemon does not answer and is killed: waited_ms=" +
                 std::to_string(now - daemon_->pinged_at_ms));
    SendTo(daemon_->pidfd, SIGKILL);
  }
}

// ------------------------------------------------------------------------------------------------ the ending

// Ends all descendants, and then this process with `code`.
void Keeper::End(int code, int64_t grace_ms) {
  const int64_t now = clock_.MonotonicMs();
  if (daemon_) SendTo(daemon_->pidfd, SIGKILL);
  daemon_.reset();
  restart_at_ms_ = -1;
  orphan_at_ms_ = -1;
  ending_ = Ending{code, now + grace_ms, now, {}};
  ContinueEnding();
}

void Keeper::ContinueEnding() {
  siginfo_t info{};
  int result = 0;
  do {  // nobody asks for exit statuses any more
    info.si_pid = 0;
    result = waitid(P_ALL, 0, &info, WEXITED | WNOHANG);
  } while (result == 0 && info.si_pid != 0);
  // Every descendant has an ancestor that is our child, so without children there is none.
  if (result != 0 && errno == ECHILD) {
    exit_code_ = ending_->code;
    return;
  }
  const int64_t now = clock_.MonotonicMs();
  if (SignalDescendants()) ending_->took_at_ms = now;
  if (now - std::max(ending_->took_at_ms, ending_->kill_at_ms) >= kGiveUpMs) {
    log_.Failure("some processes cannot be killed, because they belong to another user");
    exit_code_ = ending_->code;
    return;
  }
  end_again_at_ms_ = now + kEndLookMs;
}

// TERM to each descendant that has not got it, or KILL to all. Returns whether one took a signal.
bool Keeper::SignalDescendants() {
  const bool now_kill = clock_.MonotonicMs() >= ending_->kill_at_ms;
  auto& terminated = ending_->terminated;
  bool took = false;
  for (const ProcessId& process : Descendants(getpid())) {
    if (process.pid == getpid()) continue;
    if (now_kill) {
      took |= SignalProcess(process, SIGKILL);
    } else if (std::find(terminated.begin(), terminated.end(), process) == terminated.end()) {
      took |= SignalProcess(process, SIGTERM);
      SignalProcess(process, SIGCONT);
      terminated.push_back(process);
    }
  }
  return took;
}

}  // namespace reeve::keeper
