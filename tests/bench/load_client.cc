#include "tests/bench/load_client.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/bench/source.h"

namespace reeve::bench {

namespace {

// The orders, one byte each.
constexpr char kAsk = '?';
constexpr char kResume = 'r';
// Connections opened and not yet answered: less than any server's backlog.
constexpr int kOpening = 64;

uint64_t Number(std::string_view digits) {
  uint64_t number = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), number);
  return number;
}

// The `seq` of a message of the gateway; 0: it has none.
uint64_t SeqOfMessage(std::string_view message) {
  constexpr std::string_view kSeq = ",\"seq\":";
  const size_t at = message.find(kSeq);
  return at == std::string_view::npos ? 0 : Number(message.substr(at + kSeq.size(), 20));
}

// The `seq` of the block that begins with "id: <epoch>-<seq>".
uint64_t SeqOf(std::string_view block) {
  size_t dash = block.find('-');
  return dash == std::string_view::npos ? 0 : Number(block.substr(dash + 1, 20));
}

struct Viewer {
  Fd fd;
  bool live = false;
  bool stalled = false;
  bool timed = false;
  bool done = false;
  uint64_t seq = 0;        // of its last event of any type
  int64_t events = 0;      // of the source
  size_t event_bytes = 0;  // the length of its last event of the source: the next is likely to be as long
  std::string partial;     // of a frame, until the rest comes
  bool upgraded = false;   // the answer to the handshake of a WebSocket has come
  bool chunked = false;
  size_t chunk_left = 0;   // content of the current chunk that has not come
  std::string chunk_line;  // a line of a chunk's framing, until the rest comes
};

class Client {
 public:
  Client(const Load& load, Fd control)
      : load_(load),
        control_(std::move(control)),
        epoll_(epoll_create1(EPOLL_CLOEXEC)),
        viewers_(static_cast<size_t>(load.viewers)),
        buffer_(size_t{128} << 10, '\0') {}

  void Run() {
    epoll_event event{EPOLLIN, {.ptr = nullptr}};
    epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, control_.get(), &event);
    int opened = 0;
    while (live_ < load_.viewers) {
      while (opened < load_.viewers && opened - live_ < kOpening) {
        if (!Open(viewers_[static_cast<size_t>(opened)], opened)) return;
        ++opened;
      }
      if (!Turn()) return;
    }
    seen_.reads = 0;
    seen_.bytes = 0;
    Report();
    while (Turn()) {
    }
  }

 private:
  bool Open(Viewer& viewer, int index) {
    viewer.fd = Fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(load_.port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    linger reset{1, 0};  // no TIME_WAIT: thousands of ports a round
    setsockopt(viewer.fd.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    if (connect(viewer.fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return false;
    if (write(viewer.fd.get(), load_.request.data(), load_.request.size()) < 0) return false;
    fcntl(viewer.fd.get(), F_SETFL, O_NONBLOCK);

    int stride = std::max(load_.viewers / 50, 5);  // at most 50 are timed, spread over all
    viewer.timed = index % stride == stride / 2;
    epoll_event event{EPOLLIN | EPOLLET, {.ptr = &viewer}};
    return epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, viewer.fd.get(), &event) == 0;
  }

  bool Turn() {
    epoll_event events[512];
    // Asleep it would have to be woken, and on a virtual machine that costs the server more than the write
    // itself: a cost of viewers on the same machine, not of serving.
    bool spin = awaited_ && live_ == load_.viewers && load_.events > 0;
    int count = epoll_wait(epoll_.get(), events, std::size(events), spin ? 0 : -1);
    for (int i = 0; i < count; ++i) {
      if (!events[i].data.ptr) {
        if (!Obey()) return false;
      } else if (auto* viewer = static_cast<Viewer*>(events[i].data.ptr); !viewer->stalled) {
        Read(*viewer);
      }
    }
    if (awaited_ && done_ + stalled_ == load_.viewers) {
      awaited_ = false;
      Report();
    }
    return true;
  }

  // False once the other end has gone.
  bool Obey() {
    char order = 0;
    if (recv(control_.get(), &order, 1, 0) <= 0) return false;
    if (order == kAsk) {
      Report();
      return true;
    }
    stalled_ = 0;
    awaited_ = true;
    for (Viewer& viewer : viewers_) {
      if (std::exchange(viewer.stalled, false)) Read(viewer);
    }
    return true;
  }

  void Read(Viewer& viewer) {
    while (viewer.fd.valid()) {
      size_t kept = viewer.partial.size();
      std::memcpy(buffer_.data(), viewer.partial.data(), kept);
      ssize_t count = recv(viewer.fd.get(), buffer_.data() + kept, buffer_.size() - kept, 0);
      if (count < 0 && errno == EAGAIN) return;
      if (count <= 0) {
        ++seen_.lost;
        viewer.fd.Close();
        return;
      }
      ++seen_.reads;
      seen_.bytes += count;
      size_t fresh = static_cast<size_t>(count);
      if (viewer.chunked) fresh = Unchunk(viewer, buffer_.data() + kept, fresh);
      std::string_view bytes(buffer_.data(), kept + fresh);
      if (load_.web_socket) {
        viewer.partial = bytes.substr(ScanMessages(viewer, bytes));
      } else if (viewer.live) {
        viewer.partial = bytes.substr(Scan(viewer, bytes));
      } else {
        ScanHead(viewer, bytes);
      }
      // Edge-triggered: a read that did not fill the buffer has emptied the socket.
      if (viewer.stalled || kept + static_cast<size_t>(count) < buffer_.size()) return;
    }
  }

  // Waits for the head and the first block, stream.hello, and takes them. The rest stays in viewer.partial.
  void ScanHead(Viewer& viewer, std::string_view bytes) {
    size_t head = bytes.find("\r\n\r\n");
    if (head == std::string_view::npos || bytes.find("\n\n", head + 4) == std::string_view::npos) {
      viewer.partial = bytes;
      return;
    }
    if (bytes.find(" 200 ") > 16) {
      ++seen_.lost;
      viewer.fd.Close();
      return;
    }
    viewer.chunked = bytes.substr(0, head).find("chunked") != std::string_view::npos;
    BeLive(viewer);
    char* body = buffer_.data() + head + 4;
    size_t size = bytes.size() - head - 4;
    if (viewer.chunked) size = Unchunk(viewer, body, size);
    viewer.partial = std::string_view(body, size).substr(Scan(viewer, {body, size}));
  }

  // Removes the chunks' framing from `bytes`, in place. Returns the size of the content.
  static size_t Unchunk(Viewer& viewer, char* bytes, size_t size) {
    size_t content = 0;
    for (size_t at = 0; at < size;) {
      if (viewer.chunk_left > 0) {
        const size_t part = std::min(viewer.chunk_left, size - at);
        std::memmove(bytes + content, bytes + at, part);
        content += part;
        at += part;
        viewer.chunk_left -= part;
        continue;
      }
      const char c = bytes[at++];
      if (c != '\n') {
        viewer.chunk_line += c;
        continue;
      }
      std::from_chars(viewer.chunk_line.data(), viewer.chunk_line.data() + viewer.chunk_line.size(),
                      viewer.chunk_left, 16);
      viewer.chunk_line.clear();
    }
    return content;
  }

  // The length of the head and the frames that `bytes` holds whole. Frames of a server have no mask.
  size_t ScanMessages(Viewer& viewer, std::string_view bytes) {
    const int64_t now = NowNs();
    const int64_t before = viewer.events;
    size_t at = 0;
    if (!viewer.upgraded) {
      at = bytes.find("\r\n\r\n");
      if (at == std::string_view::npos) return 0;
      viewer.upgraded = bytes.find(" 101 ") < 16;
      at += 4;
    }
    std::string_view last;  // the last event, if it was only counted
    while (viewer.upgraded && bytes.size() - at >= 2) {
      size_t head = 2;
      size_t size = static_cast<unsigned char>(bytes[at + 1]);
      if (size >= 126) {
        head = size == 126 ? 4 : 10;
        if (bytes.size() - at < head) break;
        size = 0;
        for (size_t i = 2; i < head; ++i) size = size << 8 | static_cast<unsigned char>(bytes[at + i]);
      }
      if (bytes.size() - at < head + size) break;
      const std::string_view message = bytes.substr(at + head, size);
      at += head + size;
      if (message.size() == viewer.event_bytes) {
        ++viewer.seq;
        ++viewer.events;
        if (viewer.timed) Time(message, now);
        last = message;
      } else {
        TakeMessage(viewer, message, now);
        last = {};
      }
    }
    if (!last.empty() && SeqOfMessage(last) != viewer.seq) BreakAt(viewer, SeqOfMessage(last));
    CountEvents(viewer, before, now);
    return at;
  }

  void TakeMessage(Viewer& viewer, std::string_view message, int64_t now) {
    if (message.find("\"type\":\"stream.synced\"") != std::string_view::npos) BeLive(viewer);
    const uint64_t seq = SeqOfMessage(message);
    if (seq == 0) return;
    if (viewer.seq > 0 && seq != viewer.seq + 1) ++seen_.breaks;
    viewer.seq = seq;
    if (message.find("\"type\":\"assistant.delta\"") == std::string_view::npos) return;
    ++viewer.events;
    viewer.event_bytes = message.size();
    if (viewer.timed) Time(message, now);
  }

  void BeLive(Viewer& viewer) {
    if (std::exchange(viewer.live, true)) return;
    ++live_;
    if (&viewer - viewers_.data() < load_.stalled) {
      viewer.stalled = true;
      ++stalled_;
    }
  }

  // The length of the blocks that `bytes` holds whole.
  size_t Scan(Viewer& viewer, std::string_view bytes) {
    int64_t now = NowNs();
    int64_t before = viewer.events;
    size_t at = 0;
    size_t last = bytes.size();  // where the last event began, if it was only counted
    while (true) {
      size_t next = at + viewer.event_bytes;
      if (viewer.event_bytes > 0 && next <= bytes.size() && bytes[at] == 'i' && bytes[next - 1] == '\n' &&
          bytes[next - 2] == '\n') {
        ++viewer.seq;
        ++viewer.events;
        if (viewer.timed) Time(bytes.substr(at, viewer.event_bytes), now);
        last = std::exchange(at, next);
        continue;
      }
      size_t end = bytes.find("\n\n", at);
      if (end == std::string_view::npos) break;
      TakeBlock(viewer, bytes.substr(at, end + 2 - at), now);
      last = bytes.size();
      at = end + 2;
    }
    if (last < bytes.size() && SeqOf(bytes.substr(last)) != viewer.seq) Break(viewer, bytes.substr(last));
    CountEvents(viewer, before, now);
    return at;
  }

  void CountEvents(Viewer& viewer, int64_t before, int64_t now) {
    if (viewer.events == before) return;
    seen_.events += viewer.events - before;
    seen_.last_ns = now;
    if (!viewer.done && viewer.events >= load_.events) {
      viewer.done = true;
      ++done_;
    }
  }

  void TakeBlock(Viewer& viewer, std::string_view block, int64_t now) {
    if (block.find("event: stream.heartbeat\n") != std::string_view::npos) ++seen_.heartbeats;
    if (block.substr(0, 4) != "id: ") return;
    bool event = block.find("\ndata: ") != std::string_view::npos;  // without, it is this viewer's cursor
    if (event) ++viewer.seq;
    if (viewer.seq > 1 && SeqOf(block) != viewer.seq) Break(viewer, block);
    viewer.seq = SeqOf(block);
    if (!event || block.find("event: assistant.delta\n") == std::string_view::npos) return;
    ++viewer.events;
    viewer.event_bytes = block.size();
    if (viewer.timed) Time(block, now);
  }

  void Break(Viewer& viewer, std::string_view block) { BreakAt(viewer, SeqOf(block)); }

  void BreakAt(Viewer& viewer, uint64_t seq) {
    ++seen_.breaks;
    viewer.seq = seq;
  }

  void Time(std::string_view event, int64_t now) {
    size_t stamp = event.find(kStampStart);
    if (stamp == std::string_view::npos) return;
    auto made = static_cast<int64_t>(Number(event.substr(stamp + sizeof kStampStart - 1, 20)));
    latencies_us_.push_back(static_cast<uint32_t>((now - made) / 1000));
  }

  int64_t Percentile(double share) {
    if (latencies_us_.empty()) return 0;
    auto at =
        latencies_us_.begin() + static_cast<ptrdiff_t>(share * static_cast<double>(latencies_us_.size() - 1));
    std::nth_element(latencies_us_.begin(), at, latencies_us_.end());
    return *at;
  }

  void Report() {
    seen_.unfinished = load_.viewers - done_ - stalled_;
    seen_.p50_us = Percentile(0.5);
    seen_.p99_us = Percentile(0.99);
    send(control_.get(), &seen_, sizeof seen_, 0);
  }

  Load load_;
  Fd control_;
  Fd epoll_;
  std::vector<Viewer> viewers_;
  std::string buffer_;
  std::vector<uint32_t> latencies_us_;
  int live_ = 0;
  int stalled_ = 0;
  int done_ = 0;
  bool awaited_ = true;
  Seen seen_;
};

bool ReadableWithin(int fd, int64_t ms) {
  pollfd readable{fd, POLLIN, 0};
  return poll(&readable, 1, static_cast<int>(std::max<int64_t>(ms, 0))) == 1;
}

}  // namespace

Result<std::unique_ptr<LoadClient>> LoadClient::Start(const Load& load) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return OsError("socketpair", errno);
  Fd ours(ends[0]);
  Fd theirs(ends[1]);
  auto process = Process::Fork([&] {
    ours.Close();
    Client(load, std::move(theirs)).Run();
  });
  if (!process) return process.error();
  theirs.Close();
  Seen seen;
  if (!ReadableWithin(ours.get(), 60'000) || recv(ours.get(), &seen, sizeof seen, 0) != sizeof seen ||
      seen.lost > 0) {
    return Error{"load_client",
                 std::to_string(load.viewers) + " viewers: not all of them could connect within 60 s"};
  }
  return std::unique_ptr<LoadClient>(new LoadClient(std::move(ours), std::move(*process)));
}

Seen LoadClient::Await(int64_t timeout_ms, const std::function<void()>& tick) {
  int64_t deadline = NowNs() + timeout_ms * 1'000'000;
  while (!ReadableWithin(control_.get(), 200)) {
    if (tick) tick();
    if (NowNs() > deadline) return Ask();
  }
  Seen seen;
  recv(control_.get(), &seen, sizeof seen, 0);
  return seen;
}

Seen LoadClient::Ask() {
  send(control_.get(), &kAsk, 1, 0);
  Seen seen;
  recv(control_.get(), &seen, sizeof seen, 0);
  return seen;
}

void LoadClient::Resume() { send(control_.get(), &kResume, 1, 0); }

}  // namespace reeve::bench
