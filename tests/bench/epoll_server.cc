#include "tests/bench/epoll_server.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "process/clock.h"
#include "process/lines.h"
#include "tests/bench/source.h"

namespace reeve::bench {

namespace {

constexpr std::string_view kHead =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nCache-Control: no-store, "
    "no-transform\r\n"
    "Connection: close\r\n\r\nevent: stream.hello\ndata: {}\n\n";

struct Viewer {
  Fd fd;
  bool live = false;    // has sent its request
  size_t position = 0;  // in the log: what it has been sent
};

class EpollServer {
 public:
  EpollServer(Fd listener, Fd source, Writes writes)
      : listener_(std::move(listener)),
        source_(std::move(source)),
        writes_(writes),
        epoll_(epoll_create1(EPOLL_CLOEXEC)) {
    log_.reserve(size_t{256} << 20);  // address space; a round's events fit, and are never moved
    Add(listener_.get(), EPOLLIN, &listener_);
    Add(source_.get(), EPOLLIN, &source_);
  }

  void Run() {
    while (true) {
      epoll_event events[512];
      int count = epoll_wait(epoll_.get(), events, std::size(events), -1);
      for (int i = 0; i < count; ++i) {
        if (events[i].data.ptr == &listener_) {
          Accept();
        } else if (events[i].data.ptr == &source_) {
          if (!ReadSource()) return;
        } else {
          Ready(*static_cast<Viewer*>(events[i].data.ptr));
        }
      }
    }
  }

 private:
  void Add(int fd, uint32_t events, void* owner) {
    epoll_event event{};
    event.events = events;
    event.data.ptr = owner;
    epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event);
  }

  void Accept() {
    while (true) {
      Fd fd(accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (!fd.valid()) return;
      int on = 1;
      setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      viewers_.push_back(std::make_unique<Viewer>());
      viewers_.back()->fd = std::move(fd);
      // Edge-triggered: told of the request, and of room once a write found none.
      Add(viewers_.back()->fd.get(), EPOLLIN | EPOLLOUT | EPOLLET, viewers_.back().get());
    }
  }

  void Ready(Viewer& viewer) {
    if (viewer.live) {
      Push(viewer);
      return;
    }
    char request[4096];  // arrives whole over loopback
    if (read(viewer.fd.get(), request, sizeof request) <= 0) return;
    viewer.live = write(viewer.fd.get(), kHead.data(), kHead.size()) > 0;
    viewer.position = log_.size();
  }

  bool ReadSource() {
    char bytes[size_t{64} << 10];
    ssize_t count = read(source_.get(), bytes, sizeof bytes);
    if (count <= 0) return false;
    time_ = FormatTime(clock_.WallMs());
    lines_.Feed({bytes, static_cast<size_t>(count)},
                [this](const Lines::Piece& line) { TakeLine(line.text); });
    if (writes_ == Writes::kBatch) {
      for (auto& viewer : viewers_) Push(*viewer);
    }
    return true;
  }

  void TakeLine(std::string_view line) {
    size_t begin = log_.size();
    ++seq_;
    fmt::format_to(std::back_inserter(log_),
                   "id: 1-{}\nevent: assistant.delta\ndata: "
                   "{{\"agent\":\"bench\",\"epoch\":1,\"seq\":{},\"time\":\"{}\","
                   "\"type\":\"assistant.delta\",\"run\":\"r1\",\"data\":{{{}}}\n\n",
                   seq_, seq_, time_, line.substr(sizeof kLineStart - 1));
    frame_ends_.push_back(log_.size());
    if (writes_ == Writes::kBatch) return;
    for (auto& viewer : viewers_) {
      if (viewer->position == begin) Write(*viewer, log_.size());  // else it waits for room
    }
  }

  void Push(Viewer& viewer) {
    while (viewer.live && viewer.position < log_.size()) {
      size_t end = writes_ == Writes::kBatch
                       ? log_.size()
                       : *std::upper_bound(frame_ends_.begin(), frame_ends_.end(), viewer.position);
      if (!Write(viewer, end)) return;
    }
  }

  // True when all up to `end` was taken.
  bool Write(Viewer& viewer, size_t end) {
    if (!viewer.live) return false;
    ssize_t written = write(viewer.fd.get(), log_.data() + viewer.position, end - viewer.position);
    if (written > 0) viewer.position += static_cast<size_t>(written);
    return viewer.position == end;
  }

  Fd listener_;
  Fd source_;
  Writes writes_;
  Fd epoll_;
  SystemClock clock_;
  Lines lines_;
  std::string time_;  // of this turn
  std::string log_;   // all frames of the round
  std::vector<size_t> frame_ends_;
  uint64_t seq_ = 0;
  std::vector<std::unique_ptr<Viewer>> viewers_;
};

}  // namespace

void RunEpollServer(Fd listener, Fd source, Writes writes) {
  EpollServer(std::move(listener), std::move(source), writes).Run();
}

}  // namespace reeve::bench
