#include "control/cli/terminal/input_reader.h"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

#include "process/loop.h"

namespace reeve {

// Shared by the thread and the reader.
struct InputReader::Shared {
  std::mutex mutex;
  std::condition_variable wanted_or_over;
  bool wanted = false;
  Loop* loop = nullptr;                   // null: the reader is gone
  std::function<void(std::string)> take;  // the loop's thread only
};

InputReader::InputReader(Loop& loop, std::function<void(std::string bytes)> take)
    : shared_(std::make_shared<Shared>()) {
  shared_->loop = &loop;
  shared_->take = std::move(take);
  // Detached, because a read from a terminal cannot be cancelled. The thread ends with the process.
  std::thread([shared = shared_] {
    std::array<char, 65536> piece{};
    for (;;) {
      {
        std::unique_lock lock(shared->mutex);
        shared->wanted_or_over.wait(lock, [&shared] { return shared->wanted || !shared->loop; });
        if (!shared->loop) return;
        shared->wanted = false;
      }
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

InputReader::~InputReader() {
  const std::lock_guard lock(shared_->mutex);
  shared_->loop = nullptr;
  shared_->take = nullptr;
  shared_->wanted_or_over.notify_one();
}

void InputReader::Read() {
  const std::lock_guard lock(shared_->mutex);
  shared_->wanted = true;
  shared_->wanted_or_over.notify_one();
}

}  // namespace reeve
