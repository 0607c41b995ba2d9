#include "control/cli/commands/replay_server.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "control/cli/line/exit_code.h"
#include "control/http/server.h"
#include "orchestrator/json/json.h"
#include "process/loop.h"
#include "process/timer.h"
#include "process/watch.h"

namespace reeve {

namespace {

using Dir = RecordedLine::Dir;

constexpr std::string_view kListening = "server listening on http://";
constexpr int64_t kHeartbeatMs = 10'000;  // as theirs: the adapter takes silence for a break

// What the server said by its event stream, not by its stdout.
bool IsEvent(const RecordedLine& line) {
  if (line.dir != Dir::kIn) return false;
  auto json = JsonDocument::Parse(line.text);
  return json.ok() && (*json)["type"] && (*json)["properties"];
}

class ReplayServer {
 public:
  ReplayServer(Loop& loop, const std::vector<RecordedLine>& lines, const ReplayOptions& options)
      : lines_(lines),
        options_(options),
        next_(loop, [this] { Play(); }),
        heartbeat_(loop, [this] { Say(R"({"type":"server.heartbeat","properties":{}})"); }),
        server_(loop, Server::Limits{},
                [this](const Request& request, Reply reply) { Answer(request, std::move(reply)); }) {
    for (const RecordedLine& line : lines_) {
      if (!IsEvent(line)) continue;
      auto event = JsonDocument::Parse(line.text);
      if ((*event)["type"].StringOr("") == "session.created" && session_.empty()) {
        session_ = (*event)["properties"]["info"].Raw();
      }
    }
  }

  Status Listen() {
    auto address = server_.Listen("tcp://127.0.0.1:0");
    if (!address) return address.error();
    for (const RecordedLine& line : lines_) {
      const size_t at = line.text.find(kListening);
      if (at == std::string::npos) continue;
      std::printf("%s%s\n", line.text.substr(0, at + kListening.size() - 7).c_str(), address->c_str());
      std::fflush(stdout);
      break;
    }
    return {};
  }

 private:
  void Answer(const Request& request, Reply reply) {
    const std::string_view path = request.path;
    const bool post = request.method == "POST";
    if (path == "/event") return Open(std::move(reply));
    if (path == "/global/health")
      return reply.Send(Response::Json(200, R"({"healthy":true,"version":"replay"})"));
    if (path == "/session" && post) return reply.Send(Response::Json(200, session_));
    if (post) {
      if (told_ < lines_.size()) ++asked_;
      Play();
      return reply.Send(path.ends_with("prompt_async") ? Response{204, {}, ""} : Response::Json(200, "true"));
    }
    const bool one = path.rfind("/session/", 0) == 0 && path.find('/', 9) == std::string_view::npos;
    const bool object = path == "/session/status" || path.rfind("/config", 0) == 0;
    reply.Send(Response::Json(200, object ? "{}" : one ? session_ : "[]"));
  }

  // One stream at a time: the adapter opens another only when the last one broke.
  void Open(Reply reply) {
    stream_ = reply.TakeSocket();
    if (!stream_) return;
    stream_->SetReady([this](int) {
      char byte = 0;
      if (recv(stream_->fd(), &byte, 1, MSG_DONTWAIT) == 0) stream_.reset();
    });
    stream_->Want(Watch::kRead);
    Send(FormatHead(200, {{"Content-Type", "text/event-stream"}, {"Connection", "close"}}, ""));
    if (told_ > 0) Say(R"({"type":"server.connected","properties":{}})");  // again: the recording has one
    heartbeat_.Start(kHeartbeatMs, kHeartbeatMs);
    Play();
  }

  // Says what comes next, up to what is to be told first.
  void Play() {
    while (stream_ && told_ < lines_.size() && !next_.active()) {
      const RecordedLine& line = lines_[told_];
      if (line.dir == Dir::kOut) {
        if (asked_ == 0) return;
        --asked_;
      } else {
        const int64_t pause_ms = paused_ ? 0 : PauseMs(options_, last_ms_, line.time_ms);
        if (pause_ms > 0) {
          paused_ = true;
          return next_.Start(pause_ms);
        }
        paused_ = false;
        if (IsEvent(line)) Say(line.text);
      }
      last_ms_ = line.time_ms;
      ++told_;
    }
  }

  void Say(const std::string& data) { Send("data: " + data + "\n\n"); }

  // Waits for the reader: it is the agent's own process, and has nothing else to do.
  void Send(std::string_view bytes) {
    while (stream_ && !bytes.empty()) {
      const ssize_t n = send(stream_->fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n > 0) {
        bytes.remove_prefix(static_cast<size_t>(n));
      } else if (errno == EAGAIN) {
        pollfd writable{stream_->fd(), POLLOUT, 0};
        (void)poll(&writable, 1, -1);
      } else {
        stream_.reset();
      }
    }
  }

  const std::vector<RecordedLine>& lines_;
  const ReplayOptions& options_;
  std::string session_;  // as JSON
  size_t told_ = 0;      // lines that have been played
  size_t asked_ = 0;     // requests that came before their line
  int64_t last_ms_ = 0;
  bool paused_ = false;  // before the next line
  Timer next_;
  Timer heartbeat_;
  std::unique_ptr<Watch> stream_;
  Server server_;
};

}  // namespace

bool IsOfServer(const std::vector<RecordedLine>& lines) {
  const auto listens = [](const RecordedLine& line) {
    return line.dir != Dir::kOut && line.text.find(kListening) != std::string::npos &&
           !JsonDocument::Parse(line.text);
  };
  return std::any_of(lines.begin(), lines.end(), listens) && std::any_of(lines.begin(), lines.end(), IsEvent);
}

int ReplayAsServer(const std::vector<RecordedLine>& lines, const ReplayOptions& options) {
  Loop loop;
  ReplayServer server(loop, lines, options);
  if (Status listening = server.Listen(); !listening) {
    std::fprintf(stderr, "reeve replay: %s\n", listening.error().message.c_str());
    return kFailed;
  }
  for (int signum : {SIGTERM, SIGINT}) {
    loop.OnSignal(signum, [&loop] { loop.Stop(); });
  }
  loop.Run();
  return kOk;
}

}  // namespace reeve
