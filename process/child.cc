#include "process/child.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <utility>

#include "process/cgroup.h"
#include "process/clock.h"
#include "process/log.h"
#include "process/loop.h"
#include "process/process_tree.h"
#include "process/reaper.h"
#include "process/timer.h"
#include "process/watch.h"

namespace reeve {

namespace {

// An owner that has had enough after a few hundred tiny lines can pause us only between two reads. So the
// first read of a turn is about as large as all that the owner took in the turn before, and each further one
// is twice as large.
constexpr size_t kLeastReadBytes = 128;
constexpr size_t kReadBytes = size_t{64} << 10;  // a pipe holds as much
constexpr size_t kTurnBytes = size_t{128}
                              << 10;  // read from one pipe in one turn, so that no child holds up the loop
// Bytes that may wait for a child that does not read. A protocol's message may be 16 MiB, and an answer may
// repeat it quoted.
constexpr size_t kMaxInputBytes = size_t{32} << 20;
constexpr int64_t kOrphanGraceMs = 2'000;  // between TERM and KILL for the processes a child left behind
constexpr int64_t kLookMs = 20;            // between two checks whether the tree is empty
constexpr int64_t kEndNowMs = 1'000;       // how long the destructor kills at most, as it blocks

int SendSignal(int pidfd, int signum) {
  return static_cast<int>(syscall(SYS_pidfd_send_signal, pidfd, signum, nullptr, 0));
}

// A child runs without a cgroup where none can be made: /proc then shows its tree.
std::unique_ptr<Cgroup> MakeCgroup(const ChildContext& context, std::string_view marker) {
  if (!context.cgroups) return {};
  auto cgroup = context.cgroups->Make(marker.substr(marker.find('=') + 1));
  if (cgroup) return std::move(*cgroup);
  log::Warning("running a child without a cgroup: {}", cgroup.error().message);
  return {};
}

// Takes a descriptor of the old image. Exec left it open, but our own children must not inherit it.
Fd Inherit(int number) {
  if (number >= 0) fcntl(number, F_SETFD, FD_CLOEXEC);
  return Fd(number);
}

Spawned Inherit(const ChildState& saved) {
  return {saved.pid, Inherit(saved.pidfd), Inherit(saved.stdin_fd), Inherit(saved.outputs[0].fd),
          Inherit(saved.outputs[1].fd)};
}

}  // namespace

struct Child::State {
  using Stage = ChildState::Stage;

  struct Pipe {
    std::unique_ptr<Watch> watch;        // none: the pipe has ended
    uint64_t left = ChildState::kNoEnd;  // see ChildState
    size_t first_read = kLeastReadBytes;
  };

  State(const ChildContext& context, pid_t child, ProcessTree process_tree, Handlers on)
      : loop(context.loop),
        reaper(context.reaper),
        pid(child),
        tree(std::move(process_tree)),
        handlers(std::move(on)),
        timer(loop, [this] { Advance(); }) {}

  Status Open(Spawned spawned);
  Status Restore(ChildState saved, Spawned inherited);
  [[nodiscard]] ChildState Save() const;
  void Abandon();
  void Read(Output which);
  void WantOutput();
  void Flush();
  void CloseInput();
  void OnExit();
  void Advance();
  void Settle(bool empty);
  void Drain();
  void EndNow();
  void Reap();

  Loop& loop;
  Reaper& reaper;
  pid_t pid;
  uint64_t start_time = 0;  // 0: not read yet
  ProcessTree tree;
  Handlers handlers;
  Timer timer;        // fires Advance
  SystemClock clock;  // the loop's clock is late after a long turn, which would cut the grace short
  Stage stage = Stage::kRunning;
  ExitStatus status;
  bool exited = false;
  bool paused = false;
  std::unique_ptr<Watch> exit_watch;  // the pidfd, until the child is reaped
  std::array<Pipe, 2> pipes;          // by Output
  std::unique_ptr<Watch> input;
  std::string input_bytes;   // bytes that stdin has not taken yet
  bool close_input = false;  // close stdin once input_bytes is written
  int64_t kill_at = 0;
  int64_t give_up_at = 0;
};

Result<std::unique_ptr<Child>> Child::Start(const ChildContext& context, SpawnSpec spec, std::string marker,
                                            Handlers handlers) {
  std::unique_ptr<Cgroup> cgroup = MakeCgroup(context, marker);
  if (cgroup) spec.cgroup = cgroup->path();
  auto spawned = Spawn(spec);
  if (!spawned && cgroup) {  // the machine may let us make a cgroup but not enter it
    cgroup.reset();
    spec.cgroup.clear();
    std::string reason = spawned.error().message;
    spawned = Spawn(spec);
    if (spawned) log::Warning("running a child without a cgroup: {}", reason);
  }
  if (!spawned) return spawned.error();
  context.reaper.Own(spawned->pid);
  ProcessTree tree(context.reaper, spawned->pid, std::move(marker), std::move(cgroup));
  auto state = std::make_unique<State>(context, spawned->pid, std::move(tree), std::move(handlers));
  Status opened = state->Open(std::move(*spawned));
  std::unique_ptr<Child> child(new Child(std::move(state)));
  if (!opened) return opened.error();
  return child;
}

Result<std::unique_ptr<Child>> Child::Adopt(const ChildContext& context, ChildState saved,
                                            Handlers handlers) {
  Spawned inherited = Inherit(saved);
  bool reaped = saved.stage >= State::Stage::kDraining;
  siginfo_t info{};
  if (!reaped && (saved.pid <= 0 ||
                  waitid(P_PID, static_cast<id_t>(saved.pid), &info, WEXITED | WNOHANG | WNOWAIT) != 0)) {
    return Error{"handover_state", "process " + std::to_string(saved.pid) + " is no child of this daemon"};
  }
  if (!reaped) context.reaper.Own(saved.pid);
  std::unique_ptr<Cgroup> cgroup;
  if (!saved.cgroup.empty()) cgroup = std::make_unique<Cgroup>(std::move(saved.cgroup));
  ProcessTree tree(context.reaper, saved.pid, std::move(saved.marker), std::move(cgroup),
                   std::move(saved.terminated));
  auto state = std::make_unique<State>(context, saved.pid, std::move(tree), std::move(handlers));
  Status restored = state->Restore(std::move(saved), std::move(inherited));
  std::unique_ptr<Child> child(new Child(std::move(state)));
  if (!restored) return restored.error();
  return child;
}

Child::Child(std::unique_ptr<State> state) : state_(std::move(state)) {}

Child::~Child() { state_->EndNow(); }

pid_t Child::pid() const { return state_->pid; }
bool Child::exited() const { return state_->exited; }

uint64_t Child::start_time() const {
  bool reaped = state_->stage >= State::Stage::kDraining;
  if (state_->start_time == 0 && !reaped) state_->start_time = StartTime(state_->pid);
  return state_->start_time;
}

Status Child::WriteStdin(std::string_view bytes) {
  if (!state_->input || state_->close_input) return Error{"not_running", "the process's stdin is closed"};
  if (state_->input_bytes.size() + bytes.size() > kMaxInputBytes) {
    return Error{"queue_full", "the process does not read its stdin: 32 MiB are waiting"};
  }
  state_->input_bytes.append(bytes);
  state_->Flush();
  if (!state_->input) return Error{"not_running", "the process's stdin is closed"};
  return {};
}

void Child::CloseStdin() {
  if (!state_->input) return;
  state_->close_input = true;
  state_->Flush();
}

void Child::PauseReading(bool paused) {
  if (state_->paused == paused) return;
  state_->paused = paused;
  state_->WantOutput();
  if (state_->stage == State::Stage::kDraining) state_->timer.Start(0);
}

void Child::Signal(int signum) {
  if (!state_->exited) SendSignal(state_->exit_watch->fd(), signum);
}

void Child::Stop(int64_t grace_ms) {
  State& state = *state_;
  int64_t kill_at = state.clock.MonotonicMs() + std::max<int64_t>(grace_ms, 0);
  switch (state.stage) {
    case State::Stage::kRunning:
      state.stage = State::Stage::kStopping;
      state.kill_at = kill_at;
      if (grace_ms > 0) state.tree.Terminate();
      break;
    case State::Stage::kStopping:
    case State::Stage::kOrphans:
      state.kill_at = std::min(state.kill_at, kill_at);
      break;
    case State::Stage::kKilling:
    case State::Stage::kDraining:
    case State::Stage::kDone:
      return;
  }
  state.timer.Start(0);
}

std::vector<ProcessId> Child::Tree() const {
  if (state_->stage >= State::Stage::kDraining) return {};
  return state_->tree.Members();
}

ChildState Child::Save(std::vector<int>& keep) const {
  ChildState saved = state_->Save();
  for (int fd : {saved.pidfd, saved.stdin_fd, saved.outputs[0].fd, saved.outputs[1].fd}) {
    if (fd >= 0) keep.push_back(fd);
  }
  return saved;
}

void Child::Abandon() { state_->Abandon(); }

Status Child::State::Open(Spawned spawned) {
  auto open = [this](std::unique_ptr<Watch>& place, Fd fd, Watch::Ready ready) -> Status {
    if (!fd.valid()) return {};
    auto watch = Watch::Make(loop, std::move(fd), std::move(ready));
    if (!watch) return watch.error();
    place = std::move(*watch);
    return {};
  };
  auto read = [this](Output which) { return [this, which](int) { Read(which); }; };
  Status opened = open(exit_watch, std::move(spawned.pidfd), [this](int) { OnExit(); });
  if (opened) opened = open(pipes[0].watch, std::move(spawned.stdout_fd), read(Output::kStdout));
  if (opened) opened = open(pipes[1].watch, std::move(spawned.stderr_fd), read(Output::kStderr));
  if (opened) opened = open(input, std::move(spawned.stdin_fd), [this](int) { Flush(); });
  if (!opened) return opened;
  if (exit_watch && !exited) exit_watch->Want(Watch::kRead);
  WantOutput();
  return {};
}

Status Child::State::Restore(ChildState saved, Spawned inherited) {
  start_time = saved.start_time;
  stage = saved.stage;
  status = saved.status;
  exited = saved.exited;
  paused = saved.paused;
  kill_at = saved.kill_at;
  give_up_at = saved.give_up_at;
  input_bytes = std::move(saved.input);
  close_input = saved.close_input;
  for (size_t i = 0; i < pipes.size(); ++i) pipes[i].left = saved.outputs[i].left;
  Status opened = Open(std::move(inherited));
  if (!opened) return Error{"handover_state", "child " + std::to_string(pid) + ": " + opened.error().message};
  if (!exit_watch && stage < Stage::kDraining)
    return Error{"handover_state", "the state of child " + std::to_string(pid) + " has no pidfd"};
  if (input && !input_bytes.empty()) input->Want(Watch::kWrite);
  if (exited || stage != Stage::kRunning) timer.Start(0);
  return {};
}

ChildState Child::State::Save() const {
  auto number = [](const std::unique_ptr<Watch>& watch) { return watch ? watch->fd() : -1; };
  ChildState saved;
  saved.pid = pid;
  saved.start_time = start_time;
  saved.marker = tree.marker();
  if (tree.cgroup()) saved.cgroup = tree.cgroup()->path();
  saved.terminated = tree.terminated();
  saved.pidfd = number(exit_watch);
  saved.stdin_fd = number(input);
  for (size_t i = 0; i < pipes.size(); ++i) saved.outputs[i] = {number(pipes[i].watch), pipes[i].left};
  saved.input = input_bytes;
  saved.close_input = close_input;
  saved.paused = paused;
  saved.exited = exited;
  saved.stage = stage;
  saved.kill_at = kill_at;
  saved.give_up_at = give_up_at;
  saved.status = status;
  return saved;
}

void Child::State::Abandon() {
  for (auto* watch : {&exit_watch, &pipes[0].watch, &pipes[1].watch, &input}) {
    if (*watch) (*watch)->Release();
    watch->reset();
  }
  tree.ReleaseCgroup();
  timer.Stop();
  stage = Stage::kDone;
}

void Child::State::WantOutput() {
  if (stage >= Stage::kDraining) return;  // the timer reads the rest
  for (Pipe& pipe : pipes) {
    if (pipe.watch) pipe.watch->Want(paused ? 0 : Watch::kRead);
  }
}

void Child::State::Read(Output which) {
  Pipe& pipe = pipes[static_cast<size_t>(which)];
  char buffer[kReadBytes];
  size_t taken = 0;
  for (size_t size = pipe.first_read; taken < kTurnBytes && !paused; size = std::min(2 * size, kReadBytes)) {
    ssize_t got = read(pipe.watch->fd(), buffer, std::min<uint64_t>(size, pipe.left));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN && stage < Stage::kDraining) return;
    if (got <= 0) {
      pipe.watch.reset();
      return;
    }
    auto bytes = static_cast<size_t>(got);
    const bool first = taken == 0;
    taken += bytes;
    if (pipe.left != ChildState::kNoEnd)
      pipe.left -= bytes;  // at 0 the next read returns 0, which means the end
    handlers.on_output(which, std::string_view(buffer, bytes));
    // One read that was too much leaves no other clue than that.
    pipe.first_read = std::clamp(paused && first ? bytes / 2 : taken, kLeastReadBytes, kReadBytes);
    if (bytes < size && stage < Stage::kDraining) return;  // the pipe is empty, or nearly so
  }
}

void Child::State::Flush() {
  size_t written = 0;
  while (written < input_bytes.size()) {
    ssize_t taken = write(input->fd(), input_bytes.data() + written, input_bytes.size() - written);
    if (taken < 0 && errno == EINTR) continue;
    if (taken < 0 && errno == EAGAIN) break;
    if (taken < 0) return CloseInput();  // nobody reads it any more
    written += static_cast<size_t>(taken);
  }
  input_bytes.erase(0, written);
  if (!input_bytes.empty()) return input->Want(Watch::kWrite);
  std::string().swap(input_bytes);  // frees what may have been megabytes
  if (close_input) return CloseInput();
  input->Want(0);
}

void Child::State::CloseInput() {
  input.reset();
  std::string().swap(input_bytes);
}

void Child::State::OnExit() {
  siginfo_t info{};
  // WNOWAIT leaves the child unreaped, so that its pid keeps naming its process group while we look for the
  // rest of its tree.
  int result = waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT);
  if (result == 0 && info.si_pid == 0) return;
  if (result != 0) log::Warning("the exit status of child {} was taken by other code", pid);
  if (info.si_code == CLD_EXITED) {
    status.code = info.si_status;
  } else {
    status.signal = info.si_status;
  }
  exited = true;
  exit_watch->Want(0);
  CloseInput();
  reaper.Forget();
  timer.Start(0);  // children that exit in one turn share one look at the processes they left
}

void Child::State::Advance() {
  if (stage == Stage::kDone) return;
  if (stage == Stage::kDraining) return Drain();
  int64_t now = clock.MonotonicMs();
  if (exited && tree.Empty()) return Settle(true);
  if (exited && stage < Stage::kOrphans) {
    if (stage == Stage::kRunning) kill_at = now + kOrphanGraceMs;
    stage = Stage::kOrphans;
    tree.Terminate();
  }
  if (stage < Stage::kKilling && now >= kill_at) {
    stage = Stage::kKilling;
    give_up_at = now + Child::kKillForMs;
  }
  if (stage == Stage::kKilling) {
    if (now >= give_up_at) return Settle(false);
    tree.Kill();
  }
  timer.Start(stage == Stage::kStopping ? kill_at - now : kLookMs);
}

// Every process that could write is dead, or out of our reach, so the bytes in the pipes now are the last
// output. A process that slipped out of the tree may hold a pipe open, and even keep writing; we do not wait
// for it.
void Child::State::Settle(bool empty) {
  status.tree_empty = empty;
  if (!exited) status.signal = SIGKILL;
  if (tree.cgroup()) status.oom = tree.cgroup()->OomKilled();
  if (!empty) {
    for (const ProcessId& survivor : tree.Members()) {
      auto stat = StatProcess(survivor.pid);
      log::Failure("cannot kill a process: child={} pid={} name={}", pid, survivor.pid,
                   stat ? stat->name : "");
    }
  }
  Reap();
  CloseInput();
  for (Pipe& pipe : pipes) {
    if (!pipe.watch) continue;
    pipe.watch->Want(0);
    int bytes = 0;
    ioctl(pipe.watch->fd(), FIONREAD, &bytes);
    pipe.left = static_cast<uint64_t>(std::max(bytes, 0));
  }
  stage = Stage::kDraining;
  Drain();
}

void Child::State::Drain() {
  for (Output which : {Output::kStdout, Output::kStderr}) {
    while (pipes[static_cast<size_t>(which)].watch && !paused) Read(which);
  }
  if (pipes[0].watch || pipes[1].watch) return;  // wait for PauseReading(false)
  stage = Stage::kDone;
  auto on_done = std::move(handlers.on_done);
  on_done(ExitStatus(status));  // may destroy this object
}

void Child::State::Reap() {
  siginfo_t info{};
  waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG);
  reaper.Disown(pid);
  exit_watch.reset();
  tree.RemoveCgroup();
}

// Blocks until the kernel has ended the killed processes, because nobody will be there to notice it later.
void Child::State::EndNow() {
  if (stage >= Stage::kDraining) return;
  for (int64_t deadline = clock.MonotonicMs() + kEndNowMs; clock.MonotonicMs() < deadline;) {
    tree.Kill();
    siginfo_t info{};
    waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT);
    reaper.Forget();
    if (info.si_pid == pid && tree.Empty()) {
      reaper.Look();  // the members of a moment ago are zombies now
      return Reap();
    }
    usleep(500);
  }
  log::Failure("cannot kill a process tree: child={}", pid);
  Reap();
}

}  // namespace reeve
