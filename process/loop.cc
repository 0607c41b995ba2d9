#include "process/loop.h"

#include <cstdio>
#include <cstdlib>
#include <deque>
#include <latch>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include "process/handle.h"

namespace reeve {

namespace {

// A failure here is our own bug, or at start a machine without memory or descriptors. Nothing can continue.
void Check(int result, const char* what) {
  if (result == 0) return;
  std::fprintf(stderr, "reeve: %s: %s\n", what, uv_strerror(result));
  std::abort();
}

struct Signal {
  std::function<void()> handler;
  UvHandle<uv_signal_t> handle;
};

struct Work {
  uv_work_t request{};
  std::function<void()> work;
  std::function<void()> done;
  size_t* counted_in = nullptr;
};

}  // namespace

struct Loop::State {
  uv_loop_t uv{};
  UvHandle<uv_async_t> wake;
  UvHandle<uv_prepare_t> prepare;
  UvHandle<uv_idle_t> busy;                 // while it runs, the next poll does not sleep
  std::deque<std::function<bool()>> steps;  // one may be added while they run
  std::vector<std::unique_ptr<Signal>> signals;
  size_t offloaded = 0;

  std::mutex mutex;
  std::vector<std::function<void()>> posted;  // guarded by mutex

  // Sends coalesce: one wake-up runs every task that was posted before it.
  bool RunPosted() {
    std::vector<std::function<void()>> tasks;
    {
      std::lock_guard<std::mutex> lock(mutex);
      tasks.swap(posted);
    }
    for (auto& task : tasks) task();
    return !tasks.empty();
  }

  void RunSteps() {
    bool more = false;
    for (size_t i = 0; i < steps.size(); ++i) more |= steps[i]();
    if (more && !uv_is_active(reinterpret_cast<uv_handle_t*>(busy.get()))) {
      uv_idle_start(busy.get(), [](uv_idle_t*) {});
    } else if (!more) {
      uv_idle_stop(busy.get());
    }
  }
};

Loop::Loop() : state_(std::make_unique<State>()) {
  State* state = state_.get();
  Check(uv_loop_init(&state->uv), "uv_loop_init");
  state->wake = MakeUvHandle<uv_async_t>(state, [state](uv_async_t* handle) {
    return uv_async_init(&state->uv, handle, [](uv_async_t* async) {
      if (auto* owner = OwnerOf<State>(async)) owner->RunPosted();
    });
  });
  state->prepare = MakeUvHandle<uv_prepare_t>(
      state, [state](uv_prepare_t* handle) { return uv_prepare_init(&state->uv, handle); });
  state->busy =
      MakeUvHandle<uv_idle_t>(state, [state](uv_idle_t* handle) { return uv_idle_init(&state->uv, handle); });
  if (!state->wake || !state->prepare || !state->busy) Check(UV_ENOMEM, "loop handles");
  uv_prepare_start(state->prepare.get(), [](uv_prepare_t* prepare) {
    if (auto* owner = OwnerOf<State>(prepare)) owner->RunSteps();
  });
}

Loop::~Loop() {
  state_->steps.clear();
  state_->signals.clear();
  state_->prepare.reset();
  state_->busy.reset();
  state_->RunPosted();
  state_->wake.reset();
  uv_run(&state_->uv, UV_RUN_DEFAULT);  // lets offloaded work finish and closing handles close
  state_->RunPosted();
  Check(uv_loop_close(&state_->uv), "a handle outlived its loop");
}

void Loop::Run() { uv_run(&state_->uv, UV_RUN_DEFAULT); }
void Loop::Stop() { uv_stop(&state_->uv); }
void Loop::RunOnce(bool wait) { uv_run(&state_->uv, wait ? UV_RUN_ONCE : UV_RUN_NOWAIT); }
int64_t Loop::NowMs() const { return static_cast<int64_t>(uv_now(&state_->uv)); }
uv_loop_s* Loop::uv() const { return &state_->uv; }

void Loop::Post(std::function<void()> task) {
  std::lock_guard<std::mutex> lock(state_->mutex);
  state_->posted.push_back(std::move(task));
  if (state_->wake) uv_async_send(state_->wake.get());
}

bool Loop::RunPosted() { return state_->RunPosted(); }

void Loop::Offload(std::function<void()> work, std::function<void()> done, Loss loss) {
  auto task = std::make_unique<Work>();
  task->work = std::move(work);
  task->done = std::move(done);
  if (loss == Loss::kMatters) {
    ++state_->offloaded;
    task->counted_in = &state_->offloaded;
  }
  task->request.data = task.get();
  int result = uv_queue_work(
      &state_->uv, &task->request, [](uv_work_t* request) { static_cast<Work*>(request->data)->work(); },
      [](uv_work_t* request, int) {
        std::unique_ptr<Work> finished(static_cast<Work*>(request->data));
        if (finished->counted_in) --*finished->counted_in;
        finished->done();
      });
  Check(result, "uv_queue_work");
  (void)task.release();  // the callback above takes ownership back
}

Status Loop::StartThreads() {
  // As many threads as the pool has by default, at the same time.
  std::vector<std::thread> tried;
  std::latch all_tried(1);
  Status status;
  try {
    while (tried.size() < 4) tried.emplace_back([&all_tried] { all_tried.wait(); });
  } catch (const std::system_error& failure) {
    status = OsError("make a thread", failure.code().value());
  }
  all_tried.count_down();
  for (std::thread& thread : tried) thread.join();
  if (status) Offload([] {}, [] {}, Loss::kHarmless);
  return status;
}

size_t Loop::offloaded() const { return state_->offloaded; }

bool Loop::BeforeSleep(std::function<bool()> step) {
  state_->steps.push_back(std::move(step));
  return true;
}

void Loop::OnSignal(int signum, std::function<void()> handler) {
  auto signal = std::make_unique<Signal>();
  signal->handler = std::move(handler);
  signal->handle = MakeUvHandle<uv_signal_t>(
      signal.get(), [this](uv_signal_t* handle) { return uv_signal_init(&state_->uv, handle); });
  if (!signal->handle) Check(UV_ENOMEM, "uv_signal_init");
  Check(uv_signal_start(
            signal->handle.get(),
            [](uv_signal_t* arrived, int) {
              if (auto* owner = OwnerOf<Signal>(arrived)) owner->handler();
            },
            signum),
        "uv_signal_start");
  state_->signals.push_back(std::move(signal));
}

}  // namespace reeve
