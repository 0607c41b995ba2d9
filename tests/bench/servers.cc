#include "tests/bench/servers.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>

namespace reeve::bench {

namespace {

sockaddr_in Loopback(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

Status WriteAll(int fd, std::string_view bytes, const char* what) {
  while (!bytes.empty()) {
    ssize_t written = write(fd, bytes.data(), bytes.size());
    if (written < 0) return OsError(what, errno);
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return {};
}

std::string GetRequest(uint16_t port, std::string_view target, std::string_view headers) {
  return fmt::format("GET {} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nAccept: text/event-stream\r\n{}\r\n", target,
                     port, headers);
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

Result<std::array<Fd, 2>> MakePipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return OsError("pipe", errno);
  return std::array<Fd, 2>{Fd(ends[0]), Fd(ends[1])};
}

class EpollServerProcess : public Server {
 public:
  [[nodiscard]] pid_t pid() const override { return process_.pid(); }
  [[nodiscard]] uint16_t port() const override { return port_; }
  [[nodiscard]] std::string StreamRequest() const override { return GetRequest(port_, "/", ""); }
  Status Order(const std::string& order) override { return WriteAll(orders_.get(), order + "\n", "source"); }

  Status Start(Writes writes) {
    Fd listener(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    sockaddr_in address = Loopback(0);
    socklen_t size = sizeof address;
    if (bind(listener.get(), reinterpret_cast<sockaddr*>(&address), size) != 0 ||
        listen(listener.get(), 511) != 0 ||
        getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) {
      return OsError("listen", errno);
    }
    port_ = ntohs(address.sin_port);
    auto orders = MakePipe();
    if (!orders) return orders.error();
    auto lines = MakePipe();
    if (!lines) return lines.error();
    auto source = Process::Run(SourceCommand(), (*orders)[0].get(), (*lines)[1].get());
    if (!source) return source.error();
    source_ = std::move(*source);
    orders_ = std::move((*orders)[1]);
    (*lines)[1].Close();
    auto process = Process::Fork([&] {
      orders_.Close();
      RunEpollServer(std::move(listener), std::move((*lines)[0]), writes);
    });
    if (!process) return process.error();
    process_ = std::move(*process);
    return {};
  }

 private:
  uint16_t port_ = 0;
  Fd orders_;
  Process source_;
  Process process_;
};

class ReeveServer : public Server {
 public:
  ReeveServer(std::unique_ptr<Daemon> daemon, Viewing viewing)
      : daemon_(std::move(daemon)), viewing_(viewing) {}
  [[nodiscard]] pid_t pid() const override { return daemon_->pid(); }
  [[nodiscard]] uint16_t port() const override { return daemon_->port(); }
  [[nodiscard]] std::string StreamRequest() const override {
    return web_socket()
               ? daemon_->GatewayRequest() + GatewayCall(1, "events.subscribe", R"({"agent":"bench"})")
               : daemon_->StreamRequest("bench");
  }
  [[nodiscard]] bool web_socket() const override { return viewing_ == Viewing::kGateway; }
  Status Order(const std::string& order) override { return daemon_->Send("bench", order); }

 private:
  std::unique_ptr<Daemon> daemon_;
  const Viewing viewing_;
};

// One line, without its end; empty on a time-out or at the end of the file.
std::string ReadLine(int fd, int64_t timeout_ms) {
  std::string line;
  int64_t deadline = NowNs() + timeout_ms * 1'000'000;
  pollfd readable{fd, POLLIN, 0};
  while (NowNs() < deadline && poll(&readable, 1, static_cast<int>(timeout_ms)) == 1) {
    char c = 0;
    if (read(fd, &c, 1) != 1) break;
    if (c == '\n') return line;
    line += c;
  }
  return {};
}

// Reads one answer that has a Content-Length. Its body, or the whole of it if its status is not 2xx.
Result<std::string> ReadAnswer(int fd, const std::string& request) {
  std::string bytes;
  size_t whole = std::string::npos;
  size_t head = std::string::npos;
  while (bytes.size() < whole) {
    char piece[16384];
    pollfd readable{fd, POLLIN, 0};
    if (poll(&readable, 1, 60'000) != 1) return Error{"timeout", request + ": no answer in 60 s"};
    ssize_t count = read(fd, piece, sizeof piece);
    if (count <= 0) return Error{"closed", request + ": the daemon closed the connection"};
    bytes.append(piece, static_cast<size_t>(count));
    if (head != std::string::npos || (head = bytes.find("\r\n\r\n")) == std::string::npos) continue;
    head += 4;
    size_t length = bytes.find("Content-Length: ");
    whole = head + (length < head ? std::strtoul(bytes.c_str() + length + 16, nullptr, 10) : 0);
  }
  if (bytes.compare(0, 10, "HTTP/1.1 2") != 0) return Error{"refused", request + ": " + bytes};
  return bytes.substr(head);
}

}  // namespace

Result<std::unique_ptr<Server>> StartEpollServer(Writes writes) {
  auto server = std::make_unique<EpollServerProcess>();
  if (Status started = server->Start(writes); !started) return started.error();
  return std::unique_ptr<Server>(std::move(server));
}

Result<std::unique_ptr<Server>> StartReeve(const std::string& path, Viewing viewing) {
  auto daemon = Daemon::Start(path);
  if (!daemon) return daemon.error();
  if (Status added = (*daemon)->AddSource("bench"); !added) return added.error();
  return std::unique_ptr<Server>(std::make_unique<ReeveServer>(std::move(*daemon), viewing));
}

Result<std::unique_ptr<Daemon>> Daemon::Start(const std::string& path,
                                              const std::vector<std::string>& arguments) {
  std::unique_ptr<Daemon> daemon(new Daemon());
  std::string folder = (std::filesystem::temp_directory_path() / "reeve-bench-XXXXXX").string();
  if (!mkdtemp(folder.data())) return OsError(folder, errno);
  daemon->folder_ = folder;
  auto out = MakePipe();
  if (!out) return out.error();
  Fd log(open((folder + "/stderr").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));

  int64_t begin = NowNs();
  std::vector<std::string> words = {path,     "serve",         "--listen", "tcp://127.0.0.1:0",
                                    "--data", folder + "/data"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  auto process = Process::Run(words, -1, (*out)[1].get(), log.get());
  if (!process) return process.error();
  daemon->process_ = std::move(*process);
  (*out)[1].Close();
  daemon->stdout_ = std::move((*out)[0]);
  std::string line = ReadLine(daemon->stdout_.get(), 10'000);
  daemon->ready_us_ = (NowNs() - begin) / 1000;
  size_t colon = line.rfind(':');
  if (line.compare(0, 18, "reeve: listening o") != 0 || colon == std::string::npos) {
    return Error{"not_ready",
                 path + " serve: no listening line: " + line + "\n" + ReadFile(folder + "/stderr")};
  }
  daemon->port_ = static_cast<uint16_t>(std::strtoul(line.c_str() + colon + 1, nullptr, 10));
  daemon->pid_ = daemon->ReadPid();
  if (daemon->pid_ < 0) return Error{"not_ready", "runtime.json names no daemon"};
  daemon->token_ = ReadFile(folder + "/data/token");
  while (!daemon->token_.empty() && daemon->token_.back() == '\n') daemon->token_.pop_back();
  if (Status connected = daemon->Connect(); !connected) return connected.error();
  return daemon;
}

Daemon::~Daemon() {
  connection_.Close();
  if (!process_.End(10'000)) fmt::print(stderr, "the daemon did not end within 10 s of TERM\n");
  std::error_code ignored;
  if (!folder_.empty()) std::filesystem::remove_all(folder_, ignored);
}

pid_t Daemon::ReadPid() const {
  constexpr std::string_view kPid = "{\"pid\":";
  const std::string runtime = ReadFile(folder_ + "/data/runtime.json");
  return runtime.starts_with(kPid)
             ? static_cast<pid_t>(std::strtol(runtime.c_str() + kPid.size(), nullptr, 10))
             : -1;
}

void Daemon::Crash() const { kill(pid_, SIGKILL); }

Status Daemon::AwaitNext() {
  for (int64_t deadline = NowNs() + 60'000'000'000; NowNs() < deadline; usleep(1000)) {
    const pid_t next = ReadPid();
    if (next < 0 || next == pid_) continue;
    pid_ = next;
    return Connect();
  }
  return Error{"timeout", "no daemon followed within 60 s"};
}

Status Daemon::Connect() {
  connection_ = Fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address = Loopback(port_);
  if (connect(connection_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    return OsError("connect to the daemon", errno);
  }
  return {};
}

Result<std::string> Daemon::Request(const char* method, const std::string& target, const std::string& body) {
  std::string what = fmt::format("{} {}", method, target);
  std::string request = fmt::format(
      "{} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n"
      "Content-Length: {}\r\n\r\n{}",
      what, port_, token_, body.size(), body);
  pollfd ended{connection_.get(), POLLIN, 0};
  if (poll(&ended, 1, 0) == 1) {  // idle for too long
    if (Status connected = Connect(); !connected) return connected.error();
  }
  if (Status sent = WriteAll(connection_.get(), request, "daemon"); !sent) return sent.error();
  return ReadAnswer(connection_.get(), what);
}

Status Daemon::AddAgent(const std::string& id, const char* kind, const std::vector<std::string>& command) {
  auto made = Request(
      "POST", "/agents",
      fmt::format(R"({{"id":"{}","kind":"{}","command":["{}"]}})", id, kind, fmt::join(command, R"(",")")));
  if (!made) return made.error();
  return {};
}

Status Daemon::AddSource(const std::string& id, int line_bytes) {
  if (Status added = AddAgent(id, "jsonl", SourceCommand(line_bytes)); !added) return added;
  return AwaitState(id, "running");
}

Status Daemon::AwaitState(const std::string& id, std::string_view state) {
  std::string seen;
  for (int64_t deadline = NowNs() + 30'000'000'000; NowNs() < deadline; usleep(2000)) {
    auto agent = Request("GET", "/agents/" + id);
    if (!agent) return agent.error();
    seen = Member(*agent, "state");
    if (seen == state) return {};
  }
  return Error{"timeout", fmt::format("agent {}: still {} after 30 s, not {}", id, seen, state)};
}

Status Daemon::Send(const std::string& agent, const std::string& text) {
  auto sent = Request("POST", "/agents/" + agent + "/message", fmt::format(R"({{"text":"{}"}})", text));
  if (!sent) return sent.error();
  return {};
}

std::string Daemon::StreamRequest(const std::string& agent, const std::string& cursor) const {
  std::string headers = "Authorization: Bearer " + token_ + "\r\n";
  if (!cursor.empty()) headers += "Last-Event-ID: " + cursor + "\r\n";
  return GetRequest(port_, "/agents/" + agent + "/stream", headers);
}

std::string Daemon::GatewayRequest() const {
  return fmt::format(
      "GET /ws HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nAuthorization: Bearer {}\r\nUpgrade: websocket\r\n"
      "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
      port_, token_);
}

// A length of at most 125 bytes needs one byte. The mask is 0.
std::string GatewayCall(int64_t id, std::string_view method, std::string_view params) {
  const std::string call =
      fmt::format(R"({{"jsonrpc":"2.0","id":{},"method":"{}","params":{}}})", id, method, params);
  return "\x81" + std::string(1, static_cast<char>(0x80 | call.size())) + std::string(4, '\0') + call;
}

std::string_view Member(std::string_view json, std::string_view name) {
  std::string key = fmt::format("\"{}\":\"", name);
  size_t at = json.find(key);
  if (at == std::string_view::npos) return {};
  json.remove_prefix(at + key.size());
  return json.substr(0, json.find('"'));
}

}  // namespace reeve::bench
