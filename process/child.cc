#include "process/child.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <utility>

#include "process/capture.h"
#include "process/cgroup.h"
#include "process/clock.h"
#include "process/log.h"
#include "process/loop.h"
#include "process/outbox.h"
#include "process/process_parent.h"
#include "process/process_tree.h"
#include "process/publish_queue.h"
#include "process/timer.h"
#include "process/watch.h"

namespace reeve {

namespace {

// An owner that has had enough after a few hundred tiny lines can pause us only between two reads. So the
// first read of a turn is about as large as all that the owner took in the turn before. Each further one is
// twice as large, or, if the owner had enough then, so small that it gets little more than it wants.
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

}  // namespace

struct Child::State final : PublishQueue::Member {
  using Stage = ChildState::Stage;

  // A descriptor that the parent keeps, too.
  struct Kept {
    Fd fd;
    uint64_t key = 0;
    [[nodiscard]] bool complete() const { return key == 0 || fd.valid(); }
  };
  struct Files {
    Kept pidfd, input, outbox;
    std::array<Kept, 2> outputs;
    std::array<Kept, 2> captures;
  };
  struct Pipe {
    std::unique_ptr<Watch> watch;  // none: the pipe has ended
    Capture capture;
    uint64_t key = 0;
    uint64_t capture_key = 0;
    uint64_t left = ChildState::kNoEnd;  // see ChildState
    size_t first_read = kLeastReadBytes;
    bool had_enough = false;  // the owner paused us after about that much
  };

  State(const ChildContext& context, pid_t child, ProcessTree process_tree, Handlers on)
      : loop(context.loop),
        parent(context.parent),
        queue(context.queue),
        pid(child),
        tree(std::move(process_tree)),
        handlers(std::move(on)),
        timer(loop, [this] { Advance(); }),
        more(loop, [this] { ReadOn(); }) {}
  ~State();
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  Status Open(Files files, const ChildState& saved);
  Status Restore(ChildState saved);
  [[nodiscard]] ChildState Save() const;
  void Abandon();
  void Read(Output which);
  void ReadOn();
  void WantOutput();
  void EndPipe(Pipe& pipe);
  void Changed();
  void Publish() override;
  void SendInput();
  void CloseInput();
  void Drop(uint64_t& key);
  void OnExit();
  void Advance();
  void Settle(bool empty);
  void Drain();
  void EndNow();
  void LetGo();

  Loop& loop;
  ProcessParent& parent;
  PublishQueue* queue;
  pid_t pid;
  uint64_t start_time = 0;  // 0: not read yet
  ProcessTree tree;
  Handlers handlers;
  Timer timer;        // fires Advance
  Timer more;         // fires ReadOn: output waits in a Capture
  SystemClock clock;  // the loop's clock is late after a long turn, which would cut the grace short
  Stage stage = Stage::kRunning;
  ExitStatus status;
  bool exited = false;
  bool paused = false;
  bool abandoned = false;
  std::unique_ptr<Watch> exit_watch;  // the pidfd, until the child is buried
  uint64_t exit_key = 0;
  std::array<Pipe, 2> pipes;  // by Output
  std::unique_ptr<Watch> input;
  uint64_t input_key = 0;
  Outbox outbox;
  uint64_t outbox_key = 0;
  bool close_input = false;  // close stdin once the outbox is empty
  bool close_published = false;
  int64_t kill_at = 0;
  int64_t give_up_at = 0;
};

Result<std::unique_ptr<Child>> Child::Start(const ChildContext& context, SpawnSpec spec, std::string marker,
                                            Handlers handlers) {
  auto stdio = MakeStdio(spec);
  if (!stdio) return stdio.error();
  State::Files files;
  for (State::Kept* kept : {&files.captures[0], &files.captures[1], &files.outbox}) {
    if (!context.parent.keeps() || (kept == &files.outbox && !stdio->stdin_fd.valid())) continue;
    auto file = kept == &files.outbox ? Outbox::MakeFile() : Capture::MakeFile();
    if (!file) return file.error();
    kept->fd = std::move(*file);
  }
  std::unique_ptr<Cgroup> cgroup = MakeCgroup(context, marker);
  if (cgroup) spec.cgroup = cgroup->path();
  const std::array<int, 3> ends = {stdio->child[0].get(), stdio->child[1].get(), stdio->child[2].get()};
  auto started = context.parent.Start(spec, ends);
  if (!started && cgroup) {  // the machine may let us make a cgroup but not enter it
    cgroup.reset();
    spec.cgroup.clear();
    std::string reason = started.error().message;
    started = context.parent.Start(spec, ends);
    if (started) log::Warning("running a child without a cgroup: {}", reason);
  }
  if (!started) return started.error();
  files.pidfd.fd = std::move(started->pidfd);
  files.input.fd = std::move(stdio->stdin_fd);
  files.outputs[0].fd = std::move(stdio->stdout_fd);
  files.outputs[1].fd = std::move(stdio->stderr_fd);
  for (State::Kept* kept : {&files.pidfd, &files.input, &files.outbox, &files.outputs[0], &files.outputs[1],
                            &files.captures[0], &files.captures[1]}) {
    if (kept->fd.valid()) kept->key = context.parent.Keep(kept->fd.get(), ProcessParent::Purpose::kChild);
  }
  ProcessTree tree(context.parent, started->pid, std::move(marker), std::move(cgroup));
  auto state = std::make_unique<State>(context, started->pid, std::move(tree), std::move(handlers));
  Status opened = state->Open(std::move(files), ChildState());
  std::unique_ptr<Child> child(new Child(std::move(state)));
  if (!opened) return opened.error();
  return child;
}

Result<std::unique_ptr<Child>> Child::Adopt(const ChildContext& context, ChildState saved,
                                            Handlers handlers) {
  const bool buried = saved.stage >= State::Stage::kDraining;
  if (!buried) {
    if (auto exit = context.parent.ExitOf(saved.pid); !exit)
      return Error{"handover_state", exit.error().message};
    context.parent.Own(saved.pid);
  }
  std::unique_ptr<Cgroup> cgroup;
  if (!saved.cgroup.empty()) cgroup = std::make_unique<Cgroup>(std::move(saved.cgroup));
  ProcessTree tree(context.parent, saved.pid, std::move(saved.marker), std::move(cgroup),
                   std::move(saved.terminated));
  auto state = std::make_unique<State>(context, saved.pid, std::move(tree), std::move(handlers));
  Status restored = state->Restore(std::move(saved));
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
  if (state_->outbox.waiting() + bytes.size() > kMaxInputBytes) {
    return Error{"queue_full", "the process does not read its stdin: 32 MiB are waiting"};
  }
  if (Status staged = state_->outbox.Stage(bytes); !staged) return staged;
  state_->Changed();
  if (!state_->input) return Error{"not_running", "the process's stdin is closed"};
  return {};
}

void Child::CloseStdin() {
  if (!state_->input) return;
  state_->close_input = true;
  state_->Changed();
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

ChildState Child::Save() const { return state_->Save(); }

void Child::Abandon() { state_->Abandon(); }

Status Child::State::Open(Files files, const ChildState& saved) {
  exit_key = files.pidfd.key;
  input_key = files.input.key;
  outbox_key = files.outbox.key;
  bool complete = true;
  for (size_t i = 0; i < pipes.size(); ++i) {
    pipes[i].key = files.outputs[i].key;
    pipes[i].capture_key = files.captures[i].key;
    complete = complete && files.outputs[i].complete() && files.captures[i].complete();
  }
  complete = complete && files.pidfd.complete() && files.input.complete() && files.outbox.complete();
  if (!complete) return Error{"os_error", "a descriptor is missing"};
  auto watch = [this](std::unique_ptr<Watch>& place, Fd fd, Watch::Ready ready) -> Status {
    if (!fd.valid()) return {};
    auto made = Watch::Make(loop, std::move(fd), std::move(ready));
    if (!made) return made.error();
    place = std::move(*made);
    return {};
  };
  Status opened = watch(exit_watch, std::move(files.pidfd.fd), [this](int) { OnExit(); });
  for (Output which : {Output::kStdout, Output::kStderr}) {
    const auto i = static_cast<size_t>(which);
    if (!opened || !files.outputs[i].fd.valid()) continue;
    auto capture = Capture::Continue(std::move(files.captures[i].fd), saved.outputs[i].consumed);
    if (!capture) return capture.error();
    pipes[i].capture = std::move(*capture);
    opened = watch(pipes[i].watch, std::move(files.outputs[i].fd), [this, which](int) { Read(which); });
  }
  if (opened && files.input.fd.valid()) {
    auto continued = Outbox::Continue(std::move(files.outbox.fd), saved.staged);
    if (!continued) return continued.error();
    outbox = std::move(*continued);
    opened = watch(input, std::move(files.input.fd), [this](int) { SendInput(); });
  }
  if (!opened) return opened;
  if (exit_watch && !exited) exit_watch->Want(Watch::kRead);
  WantOutput();
  return {};
}

Child::State::~State() {
  if (abandoned) return;
  Drop(exit_key);
  for (Pipe& pipe : pipes) EndPipe(pipe);
  CloseInput();
  if (queue) queue->Leave(*this);
}

Status Child::State::Restore(ChildState saved) {
  start_time = saved.start_time;
  stage = saved.stage;
  status = saved.status;
  exited = saved.exited;
  paused = saved.paused;
  kill_at = saved.kill_at;
  give_up_at = saved.give_up_at;
  close_input = close_published = saved.close_input;
  Files files;
  auto take = [this](uint64_t key) { return key == 0 ? Kept() : Kept{parent.Take(key), key}; };
  files.pidfd = take(saved.pidfd);
  files.input = take(saved.input);
  files.outbox = take(saved.outbox);
  for (size_t i = 0; i < pipes.size(); ++i) {
    files.outputs[i] = take(saved.outputs[i].pipe);
    files.captures[i] = take(saved.outputs[i].capture);
    pipes[i].left = saved.outputs[i].left;
  }
  Status opened = Open(std::move(files), saved);
  if (!opened) return Error{"handover_state", "child " + std::to_string(pid) + ": " + opened.error().message};
  if (!exit_watch && stage < Stage::kDraining)
    return Error{"handover_state", "the state of child " + std::to_string(pid) + " has no pidfd"};
  if (input && (outbox.sendable() || close_input)) input->Want(Watch::kWrite);
  if (exited || stage != Stage::kRunning) timer.Start(0);
  return {};
}

ChildState Child::State::Save() const {
  ChildState saved;
  saved.pid = pid;
  saved.start_time = start_time;
  saved.marker = tree.marker();
  if (tree.cgroup()) saved.cgroup = tree.cgroup()->path();
  saved.terminated = tree.terminated();
  saved.pidfd = exit_key;
  saved.input = input_key;
  saved.outbox = outbox_key;
  saved.staged = outbox.staged();
  saved.close_input = close_input;
  for (size_t i = 0; i < pipes.size(); ++i) {
    saved.outputs[i] = {pipes[i].key, pipes[i].capture_key, pipes[i].capture.consumed(), pipes[i].left};
  }
  saved.paused = paused;
  saved.exited = exited;
  saved.stage = stage;
  saved.kill_at = kill_at;
  saved.give_up_at = give_up_at;
  saved.status = status;
  return saved;
}

void Child::State::Abandon() {
  abandoned = true;
  for (auto* watch : {&exit_watch, &pipes[0].watch, &pipes[1].watch, &input}) watch->reset();
  if (queue) queue->Leave(*this);
  tree.ReleaseCgroup();
  timer.Stop();
  more.Stop();
  stage = Stage::kDone;
}

void Child::State::WantOutput() {
  if (stage >= Stage::kDraining) return;  // the timer reads the rest
  bool waits = false;
  for (Pipe& pipe : pipes) {
    if (!pipe.watch) continue;
    pipe.watch->Want(paused ? 0 : Watch::kRead);
    waits = waits || pipe.capture.waiting() != 0;
  }
  if (waits && !paused) more.Start(0);
}

void Child::State::ReadOn() {
  for (Output which : {Output::kStdout, Output::kStderr}) {
    const Pipe& pipe = pipes[static_cast<size_t>(which)];
    if (pipe.watch && pipe.capture.waiting() != 0 && stage < Stage::kDraining) Read(which);
  }
}

void Child::State::Read(Output which) {
  Pipe& pipe = pipes[static_cast<size_t>(which)];
  char buffer[kReadBytes];
  size_t taken = 0;
  const size_t begin = pipe.first_read;
  const bool careful = pipe.had_enough;
  const size_t step = std::max(begin / 8, kLeastReadBytes);
  for (size_t size = begin; taken < kTurnBytes && !paused;
       size = careful && taken < 2 * begin ? step : std::min(2 * size, kReadBytes)) {
    ssize_t got = pipe.capture.Read(pipe.watch->fd(), buffer, std::min<uint64_t>(size, pipe.left));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN && stage < Stage::kDraining) return;
    if (got <= 0) return EndPipe(pipe);
    auto bytes = static_cast<size_t>(got);
    const bool first = taken == 0;
    taken += bytes;
    if (pipe.left != ChildState::kNoEnd)
      pipe.left -= bytes;  // at 0 the next read returns 0, which means the end
    handlers.on_output(which, std::string_view(buffer, bytes));
    if (queue) queue->Add(*this);
    if (paused) {
      // Nothing else than that tells of a single read that was too much.
      pipe.first_read = std::clamp(first ? bytes / 4 * 3 : taken - bytes, kLeastReadBytes, kReadBytes);
      pipe.had_enough = true;
    } else if (!careful || taken > begin) {  // an empty pipe tells nothing of an owner that has enough
      pipe.first_read = std::clamp(taken, kLeastReadBytes, kReadBytes);
      pipe.had_enough = careful && taken < 2 * begin;
    }
    if (pipe.capture.waiting() == 0 && bytes < size && stage < Stage::kDraining) break;  // or nearly empty
  }
  if (!queue) pipe.capture.Release();
  if (pipe.capture.waiting() != 0 && !paused && stage < Stage::kDraining) more.Start(0);
}

void Child::State::EndPipe(Pipe& pipe) {
  pipe.watch.reset();
  Drop(pipe.key);
  Drop(pipe.capture_key);
}

// The parent's duplicate of a pipe must go too, or the child would not notice that ours has gone.
void Child::State::Drop(uint64_t& key) {
  if (key == 0) return;
  if (queue) {
    queue->Drop(key);
  } else {
    parent.Drop(key);
  }
  key = 0;
}

void Child::State::Changed() {
  if (queue) return queue->Add(*this);
  Publish();
}

void Child::State::Publish() {
  for (Pipe& pipe : pipes) {
    if (pipe.watch) pipe.capture.Release();
  }
  outbox.Publish();
  close_published = close_input;
  if (input) SendInput();
}

void Child::State::SendInput() {
  if (!outbox.Send(input->fd())) return CloseInput();  // nobody reads it any more
  if (outbox.sendable()) return input->Want(Watch::kWrite);
  if (close_published) return CloseInput();
  input->Want(0);
}

void Child::State::CloseInput() {
  input.reset();
  Drop(input_key);
  Drop(outbox_key);
  outbox = Outbox();
}

void Child::State::OnExit() {
  const auto exit = parent.ExitOf(pid);
  if (exit && !*exit) return;
  if (exit) {
    status.code = (*exit)->code;
    status.signal = (*exit)->signal;
  } else {
    log::Warning("the exit status of child {} was taken by other code", pid);
  }
  exited = true;
  exit_watch->Want(0);
  CloseInput();
  parent.Forget();
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
  LetGo();
  CloseInput();
  for (Pipe& pipe : pipes) {
    if (!pipe.watch) continue;
    pipe.watch->Want(0);
    int bytes = 0;
    ioctl(pipe.watch->fd(), FIONREAD, &bytes);
    pipe.left = pipe.capture.waiting() + static_cast<uint64_t>(std::max(bytes, 0));
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

void Child::State::LetGo() {
  if (queue) {
    queue->Bury(pid);
  } else {
    parent.Bury(pid);
  }
  exit_watch.reset();
  Drop(exit_key);
  tree.RemoveCgroup();
}

// Blocks until the kernel has ended the killed processes, because nobody will be there to notice it later.
void Child::State::EndNow() {
  if (stage >= Stage::kDraining) return;
  for (int64_t deadline = clock.MonotonicMs() + kEndNowMs; clock.MonotonicMs() < deadline;) {
    tree.Kill();
    const auto exit = parent.ExitOf(pid);
    parent.Forget();
    if (exit && *exit && tree.Empty()) {
      parent.Look();  // the members of a moment ago are zombies now
      return LetGo();
    }
    usleep(500);
  }
  log::Failure("cannot kill a process tree: child={}", pid);
  LetGo();
}

}  // namespace reeve
