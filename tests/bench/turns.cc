// How long after an agent's own last line of a turn does a viewer see that the turn has ended? For the kinds
// that speak on stdio, alone and beside agents that print as fast as they are read.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "process/fd.h"
#include "tests/bench/benchmarks.h"
#include "tests/bench/servers.h"
#include "tests/bench/source.h"

namespace reeve::bench {

namespace {

constexpr int kTurns = 400;
constexpr const char* kKinds[] = {"jsonl", "claude", "codex", "acp"};

// --- the agent

void Say(const std::string& lines) {
  size_t done = 0;
  while (done < lines.size()) {
    const ssize_t n = write(STDOUT_FILENO, lines.data() + done, lines.size() - done);
    if (n <= 0) std::exit(1);
    done += static_cast<size_t>(n);
  }
}

// The turn's text is the moment at which its last line was made.
std::string TurnOf(const std::string& kind, const std::string& id) {
  const int64_t now = NowNs();
  if (kind == "jsonl") {
    return fmt::format(R"({{"type":"run.started"}}
{{"type":"assistant.message","message_id":"m","text":"{}"}}
{{"type":"run.completed"}}
)",
                       now);
  }
  if (kind == "claude") {
    return fmt::format(
        R"({{"type":"system","subtype":"init","session_id":"s"}}
{{"type":"assistant","message":{{"id":"m","role":"assistant","content":[{{"type":"text","text":"{}"}}]}},"parent_tool_use_id":null}}
{{"type":"result","subtype":"success","is_error":false,"terminal_reason":"completed","session_id":"s"}}
)",
        now);
  }
  if (kind == "codex") {
    const std::string turn = R"({"id":"t","items":[],"status":)";
    return fmt::format(
        R"({{"id":{0},"result":{{"turn":{1}"inProgress"}}}}}}
{{"method":"turn/started","params":{{"threadId":"h","turn":{1}"inProgress"}}}}}}
{{"method":"item/completed","params":{{"threadId":"h","turnId":"t","item":{{"type":"agentMessage","id":"m","text":"{2}"}}}}}}
{{"method":"turn/completed","params":{{"threadId":"h","turn":{1}"completed"}}}}}}
)",
        id, turn, now);
  }
  return fmt::format(
      R"({{"jsonrpc":"2.0","method":"session/update","params":{{"sessionId":"s","update":{{"sessionUpdate":"agent_message_chunk","content":{{"type":"text","text":"{}"}}}}}}}}
{{"jsonrpc":"2.0","id":{},"result":{{"stopReason":"end_turn"}}}}
)",
      now, id);
}

// The number after "id": of a request.
std::string IdIn(const char* line) {
  const char* id = std::strstr(line, "\"id\":");
  if (!id) return "0";
  id += 5;
  return {id, std::strspn(id, "0123456789")};
}

bool Has(const char* line, const char* text) { return std::strstr(line, text) != nullptr; }

}  // namespace

int RunTurnAgent(const std::string& kind) {
  static char line[65'536];
  while (std::fgets(line, sizeof line, stdin)) {
    const std::string id = IdIn(line);
    if (kind == "jsonl" || Has(line, R"("type":"user")") || Has(line, "\"turn/start\"") ||
        Has(line, "\"session/prompt\"")) {
      Say(TurnOf(kind, id));
    } else if (Has(line, R"("subtype":"initialize")")) {
      Say("{\"type\":\"control_response\",\"response\":{\"subtype\":\"success\",\"request_id\":\"initialize-"
          "1\",\"response\":{}}}\n");
    } else if (Has(line, "\"initialize\"")) {
      Say(fmt::format("{{\"id\":{},\"result\":{{\"protocolVersion\":1,\"agentCapabilities\":{{}}}}}}\n", id));
    } else if (Has(line, "\"thread/start\"")) {
      Say(fmt::format("{{\"id\":{},\"result\":{{\"thread\":{{\"id\":\"h\"}}}}}}\n", id));
    } else if (Has(line, "\"session/new\"")) {
      Say(fmt::format("{{\"id\":{},\"result\":{{\"sessionId\":\"s\"}}}}\n", id));
    }
  }
  return 0;
}

namespace {

// --- the viewer

class Viewer {
 public:
  static Result<Viewer> Open(uint16_t port, const std::string& request) {
    Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const timeval patience{30, 0};
    if (!fd.valid() || connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
        setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) != 0 ||
        send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL) !=
            static_cast<ssize_t>(request.size())) {
      return OsError("open a stream", errno);
    }
    return Viewer(std::move(fd));
  }

  // Reads on until `text` has been read; what came before it is dropped. The moment it was there.
  Result<int64_t> Until(const std::string& text, std::string* before = nullptr) {
    for (;;) {
      const size_t at = got_.find(text);
      if (at != std::string::npos) {
        if (before) *before = got_.substr(0, at);
        got_.erase(0, at + text.size());
        return NowNs();
      }
      char bytes[65'536];
      const ssize_t n = recv(fd_.get(), bytes, sizeof bytes, 0);
      if (n <= 0) return Error{"short", "the stream ended before " + text};
      got_.append(bytes, static_cast<size_t>(n));
    }
  }

 private:
  explicit Viewer(Fd fd) : fd_(std::move(fd)) {}
  Fd fd_;
  std::string got_;
};

// The times of one kind from the agent's last line of a turn until the viewer has read its end, in
// microseconds, sorted.
Result<std::vector<double>> TurnsOf(Daemon& daemon, const std::string& kind) {
  const std::string options = kind == "jsonl" ? R"(,"kind_options":{"turns":true})" : "";
  auto made =
      daemon.Request("POST", "/agents",
                     fmt::format(R"({{"id":"{0}","kind":"{0}","command":["{1}","turn-agent","{0}"]{2}}})",
                                 kind, SelfPath(), options));
  if (!made) return made.error();
  if (Status idle = daemon.AwaitState(kind, "idle"); !idle) return idle.error();
  auto viewer = Viewer::Open(daemon.port(), daemon.StreamRequest(kind));
  if (!viewer) return viewer.error();
  if (auto live = viewer->Until("event: stream.synced"); !live) return live.error();
  std::vector<double> took;
  for (int i = 0; i < kTurns; ++i) {
    if (Status sent = daemon.Send(kind, "go"); !sent) return sent.error();
    std::string before;
    auto seen = viewer->Until("event: run.completed", &before);
    if (!seen) return seen.error();
    const size_t message = before.rfind("event: assistant.message");
    const size_t text = before.find("\"text\":\"", message == std::string::npos ? 0 : message);
    if (text == std::string::npos) return Error{"short", kind + ": a turn without its text"};
    took.push_back(static_cast<double>(*seen - std::strtoll(before.c_str() + text + 8, nullptr, 10)) / 1000);
  }
  std::sort(took.begin(), took.end());
  return took;
}

}  // namespace

namespace {

struct Neighbour {
  const char* name;
  std::vector<std::string> command;  // empty: the source, or with `name` empty nobody
};

Status AddNeighbour(Daemon& daemon, const Neighbour& neighbour) {
  if (*neighbour.name == '\0') return {};
  if (!neighbour.command.empty()) return daemon.AddAgent("busy", "process", neighbour.command);
  if (Status added = daemon.AddSource("busy"); !added) return added;
  return daemon.Send("busy", SourceOrder(1'000'000'000, 0));
}

}  // namespace

Status RunTurns(const Options& options, Report& report) {
  report.Begin("turns", fmt::format("{} turns a kind: from the agent's own line to the viewer", kTurns));
  const Neighbour neighbours[] = {{"", {}},
                                  {", beside a busy agent", {}},
                                  {", beside yes", {"/usr/bin/yes"}},
                                  {", beside yes ''", {"/usr/bin/yes", ""}}};
  std::map<std::string, double> quiet;  // p99 of each kind
  for (const Neighbour& neighbour : neighbours) {
    auto daemon = Daemon::Start(options.reeve);
    if (!daemon) return daemon.error();
    if (Status added = AddNeighbour(**daemon, neighbour); !added) return added;
    for (const char* kind : kKinds) {
      auto took = TurnsOf(**daemon, kind);
      if (!took) return took.error();
      const double p99 = (*took)[kTurns * 99 / 100];
      quiet.emplace(kind, p99);
      report.Add(
          fmt::format("{}{}", kind, neighbour.name),
          {{"p50_us", (*took)[kTurns / 2], 0}, {"p99_us", p99, 0}, {"p99_ratio", p99 / quiet[kind], 2}});
    }
  }
  report.End();
  return {};
}

}  // namespace reeve::bench
