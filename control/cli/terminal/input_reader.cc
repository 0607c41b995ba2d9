#include "control/cli/terminal/input_reader.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

#include "process/fd.h"
#include "process/loop.h"

namespace reeve {

// Shared by the thread and the reader.
struct InputReader::Shared {
  std::mutex mutex;
  std::condition_variable wanted_or_over;
  bool wanted = false;
  Fd over{eventfd(0, EFD_CLOEXEC)};       // readable once the reader has stopped
  Loop* loop = nullptr;                   // null: the reader has stopped
  std::function<void(std::string)> take;  // the loop's thread only
};

namespace {

// Waits for bytes, or the end, of stdin. False: the reader has stopped, and the bytes are left for the next
// program.
bool AwaitInput(int over) {
  std::array<pollfd, 2> both = {{{STDIN_FILENO, POLLIN, 0}, {over, POLLIN, 0}}};
  while (poll(both.data(), both.size(), -1) < 0 && errno == EINTR) continue;
  return both[1].revents == 0;
}

}  // namespace

InputReader::InputReader(Loop& loop, std::function<void(std::string bytes)> take)
    : shared_(std::make_shared<Shared>()) {
  shared_->loop = &loop;
  shared_->take = std::move(take);
  // Detached, because a read cannot be cancelled once another program has taken the bytes that it was to
  // return.
  std::thread([shared = shared_] {
    std::array<char, 65536> piece{};
    for (;;) {
      {
        std::unique_lock lock(shared->mutex);
        shared->wanted_or_over.wait(lock, [&shared] { return shared->wanted || !shared->loop; });
        if (!shared->loop) return;
        shared->wanted = false;
      }
      if (!AwaitInput(shared->over.get())) return;
      ssize_t got = 0;
      do {
        got = read(STDIN_FILENO, piece.data(), piece.size());
      } while (got < 0 && errno == EINTR);
      std::string bytes(piece.data(), got > 0 ? static_cast<size_t>(got) : 0);
      const std::lock_guard lock(shared->mutex);
      if (!shared->loop) return;
      shared->loop->Post([weak = std::weak_ptr(shared), bytes = std::move(bytes)]() mutable {
        const auto alive = weak.lock();
        if (alive && alive->take) alive->take(std::move(bytes));
      });
      if (got <= 0) return;
    }
  }).detach();
}

InputReader::~InputReader() { Stop(); }

void InputReader::Stop() {
  const std::lock_guard lock(shared_->mutex);
  shared_->loop = nullptr;
  shared_->take = nullptr;
  (void)eventfd_write(shared_->over.get(), 1);
  shared_->wanted_or_over.notify_one();
}

void InputReader::Read() {
  const std::lock_guard lock(shared_->mutex);
  shared_->wanted = true;
  shared_->wanted_or_over.notify_one();
}

}  // namespace reeve
