#include "tests/support/daemon.h"
#include "tests/support/paths.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <thread>
#include <utility>

#include "orchestrator/store/data_folder.h"

namespace reeve {

namespace {

int64_t NowMs() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

std::string Lower(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

bool Ready(int fd, int16_t events, int64_t deadline_ms) {
  pollfd waiting{fd, events, 0};
  return poll(&waiting, 1, static_cast<int>(std::max<int64_t>(deadline_ms - NowMs(), 0))) > 0;
}

std::string FormatRequest(std::string_view method, std::string_view target, std::string_view body,
                          const Headers& headers) {
  std::string text(method);
  text += ' ';
  text += target;
  text += " HTTP/1.1\r\nHost: localhost\r\n";
  for (const auto& [name, value] : headers) text += name + ": " + value + "\r\n";
  if (!body.empty()) text += "Content-Type: application/json\r\n";
  if (!body.empty() || method == "POST") text += "Content-Length: " + std::to_string(body.size()) + "\r\n";
  text += "\r\n";
  text += body;
  return text;
}

std::string HeaderOf(const Headers& headers, std::string_view name) {
  for (const auto& [header, value] : headers) {
    if (header == name) return value;
  }
  return {};
}

constexpr uint64_t kDigestStart = 14695981039346656037U;  // FNV-1a
uint64_t DigestMore(uint64_t digest, std::string_view bytes) {
  for (char c : bytes) digest = (digest ^ static_cast<unsigned char>(c)) * 1099511628211U;
  return digest;
}

}  // namespace

int ParseHead(std::string_view head, Headers& headers) {
  size_t at = head.find("\r\n") + 2;
  while (at >= 2 && at < head.size()) {
    const size_t end = std::min(head.find("\r\n", at), head.size());
    std::string_view line = head.substr(at, end - at);
    const size_t colon = line.find(": ");
    if (colon == std::string_view::npos) break;
    headers.emplace_back(Lower(std::string(line.substr(0, colon))), line.substr(colon + 2));
    at = end + 2;
  }
  return head.size() < 12 ? 0 : std::atoi(std::string(head.substr(9, 3)).c_str());
}

Fd ConnectTo(const std::string& address, int receive_buffer) {
  sockaddr_storage storage{};
  socklen_t size = 0;
  if (address.empty()) return {};
  if (address.front() == '/') {
    auto* local = reinterpret_cast<sockaddr_un*>(&storage);
    local->sun_family = AF_UNIX;
    address.copy(local->sun_path, sizeof local->sun_path - 1);
    size = sizeof *local;
  } else {
    const size_t colon = address.rfind(':');
    const std::string host = address.substr(7, colon - 7);  // after "http://"
    auto* four = reinterpret_cast<sockaddr_in*>(&storage);
    four->sin_family = AF_INET;
    four->sin_port = htons(static_cast<uint16_t>(std::atoi(address.c_str() + colon + 1)));
    inet_pton(AF_INET, host == "0.0.0.0" ? "127.0.0.1" : host.c_str(), &four->sin_addr);
    size = sizeof *four;
  }
  Fd fd(socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (receive_buffer != 0) {
    setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
  }
  if (!fd.valid() || connect(fd.get(), reinterpret_cast<sockaddr*>(&storage), size) != 0) return {};
  return fd;
}

bool Eventually(const std::function<bool()>& condition, int64_t deadline_ms) {
  const int64_t deadline = NowMs() + deadline_ms;
  while (!condition()) {
    if (NowMs() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

std::vector<pid_t> ProcessesWith(const std::string& entry) {
  std::vector<pid_t> found;
  std::error_code gone;
  for (const auto& folder : std::filesystem::directory_iterator("/proc", gone)) {
    const std::string name = folder.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    const std::string environment = '\0' + ReadFile(folder.path() / "environ");
    if (environment.find('\0' + entry + '\0') != std::string::npos) found.push_back(std::atoi(name.c_str()));
  }
  return found;
}

std::string JsonField(std::string_view json, std::string_view path) {
  auto document = JsonDocument::Parse(json);
  if (!document) return {};
  JsonValue value = document->root();
  while (!path.empty()) {
    const size_t dot = std::min(path.find('.'), path.size());
    value = value[path.substr(0, dot)];
    path.remove_prefix(std::min(dot + 1, path.size()));
  }
  if (!value) return {};
  return value.AsString() ? std::string(*value.AsString()) : value.Raw();
}

// ---------------------------------------------------------------------------------------------------- HTTP

std::string HttpAnswer::Header(std::string_view name) const { return HeaderOf(headers, name); }
std::string HttpAnswer::Field(std::string_view path) const { return JsonField(body, path); }

HttpConnection::HttpConnection(const std::string& address) : fd_(ConnectTo(address)) {}

HttpAnswer HttpConnection::Call(std::string_view method, std::string_view target, std::string_view body,
                                const Headers& headers) {
  Send(method, target, body, headers);
  return Receive();
}

void HttpConnection::Send(std::string_view method, std::string_view target, std::string_view body,
                          const Headers& headers) {
  head_only_ = method == "HEAD";
  const std::string request = FormatRequest(method, target, body, headers);
  std::string_view rest = request;
  while (!rest.empty()) {
    const ssize_t sent = send(fd_.get(), rest.data(), rest.size(), MSG_NOSIGNAL);
    if (sent < 0) return;  // Receive() finds out
    rest.remove_prefix(static_cast<size_t>(sent));
  }
}

HttpAnswer HttpConnection::Receive(int64_t deadline_ms) {
  if (!fd_.valid()) return {};
  const int64_t deadline = NowMs() + deadline_ms;
  HttpAnswer answer;
  size_t head_end = std::string::npos;
  size_t whole = std::string::npos;
  bool chunked = false;
  for (;;) {
    if (head_end == std::string::npos) {
      head_end = received_.find("\r\n\r\n");
      if (head_end != std::string::npos) {
        answer.status = ParseHead(std::string_view(received_).substr(0, head_end + 2), answer.headers);
        const size_t size = static_cast<size_t>(std::atoll(answer.Header("content-length").c_str()));
        chunked = !head_only_ && answer.Header("transfer-encoding") == "chunked";
        if (!chunked) whole = head_end + 4 + (head_only_ ? 0 : size);
      }
    }
    if (chunked) {
      Chunks chunks;
      answer.body.clear();
      const size_t taken = chunks.Take(std::string_view(received_).substr(head_end + 4), answer.body);
      if (chunks.whole()) whole = head_end + 4 + taken;
    }
    if (received_.size() >= whole) break;
    char piece[65536];
    ssize_t got = Ready(fd_.get(), POLLIN, deadline) ? recv(fd_.get(), piece, sizeof piece, 0) : -1;
    if (got <= 0) return {};
    received_.append(piece, static_cast<size_t>(got));
  }
  answer.wire = received_.substr(0, whole);
  if (!chunked) answer.body = answer.wire.substr(head_end + 4);
  received_.erase(0, whole);
  return answer;
}

std::string HttpConnection::UntilClosed(std::string_view bytes) {
  (void)send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
  const int64_t deadline = NowMs() + kPatienceMs;
  char piece[65536];
  while (Ready(fd_.get(), POLLIN, deadline)) {
    const ssize_t got = recv(fd_.get(), piece, sizeof piece, 0);
    if (got <= 0) break;
    received_.append(piece, static_cast<size_t>(got));
  }
  return std::exchange(received_, {});
}

// ------------------------------------------------------------------------------------------------- streams

uint64_t Digest(std::string_view bytes) { return DigestMore(kDigestStart, bytes); }

StreamClient::StreamClient(const std::string& address, std::string_view target, Options options)
    : keep_frames_(options.keep_frames),
      fd_(ConnectTo(address, options.receive_buffer)),
      request_(FormatRequest("GET", target, "", options.headers)),
      digest_(kDigestStart) {
  ended_ = !fd_.valid() || send(fd_.get(), request_.data(), request_.size(), MSG_NOSIGNAL) !=
                               static_cast<ssize_t>(request_.size());
  if (fd_.valid()) fcntl(fd_.get(), F_SETFL, O_NONBLOCK);
}

bool StreamClient::Poll(size_t max_bytes) {
  char piece[65536];
  while (!ended_ && max_bytes > 0) {
    const ssize_t got = recv(fd_.get(), piece, std::min(sizeof piece, max_bytes), 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) break;
    if (got <= 0) {
      ended_ = true;
      fd_.Close();
      break;
    }
    max_bytes -= static_cast<size_t>(got);
    const std::string_view bytes(piece, static_cast<size_t>(got));
    if (chunked_) {
      (void)chunks_.Take(bytes, buffer_);
    } else {
      buffer_.append(bytes);
    }
    if (status_ == 0) TakeHead();
    if (status_ == 200) TakeBlocks();
    if (chunks_.broken()) malformed_ = "the chunks are malformed";
    if (!chunks_.whole() && !chunks_.broken()) continue;
    ended_ = true;
    fd_.Close();
  }
  return !ended_;
}

bool StreamClient::Until(const std::function<bool()>& condition, int64_t deadline_ms) {
  const int64_t deadline = NowMs() + deadline_ms;
  for (;;) {
    if (condition()) return true;
    if (ended_ || !Ready(fd_.get(), POLLIN, deadline)) return false;
    // Little at a time: the condition is to be seen when it begins to hold.
    Poll(4096);
  }
}

bool StreamClient::UntilEvent(std::string_view event) {
  size_t seen = 0;
  return Until([this, event, &seen] {
    for (; seen < frames_.size(); ++seen) {
      if (frames_[seen].event == event) return true;
    }
    return false;
  });
}

bool StreamClient::UntilEnd() {
  Until([this] { return ended_; });
  return ended_;
}

std::string StreamClient::Header(std::string_view name) const { return HeaderOf(headers_, name); }

const StreamFrame* StreamClient::Find(std::string_view event) const {
  for (const StreamFrame& frame : frames_) {
    if (frame.event == event) return &frame;
  }
  return nullptr;
}

std::vector<StreamFrame> StreamClient::All(std::string_view event) const {
  std::vector<StreamFrame> found;
  for (const StreamFrame& frame : frames_) {
    if (frame.event == event) found.push_back(frame);
  }
  return found;
}

void StreamClient::TakeHead() {
  const size_t end = buffer_.find("\r\n\r\n");
  if (end == std::string::npos) return;
  status_ = ParseHead(std::string_view(buffer_).substr(0, end + 2), headers_);
  buffer_.erase(0, end + 4);
  chunked_ = Header("transfer-encoding") == "chunked";
  if (!chunked_) return;
  const std::string body = std::move(buffer_);
  buffer_.clear();
  (void)chunks_.Take(body, buffer_);
}

void StreamClient::TakeBlocks() {
  size_t done = 0;
  for (;;) {
    const size_t end = buffer_.find("\n\n", done);
    if (end == std::string::npos) break;
    TakeBlock(std::string_view(buffer_).substr(done, end + 2 - done));
    done = end + 2;
  }
  buffer_.erase(0, done);
}

void StreamClient::TakeBlock(std::string_view block) {
  StreamFrame frame;
  bool comment = false;
  for (std::string_view rest = block.substr(0, block.size() - 1); !rest.empty();) {
    const size_t end = rest.find('\n');
    std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end + 1);
    if (line.substr(0, 4) == "id: " && frame.id.empty()) {
      frame.id = line.substr(4);
    } else if (line.substr(0, 7) == "event: " && frame.event.empty()) {
      frame.event = line.substr(7);
    } else if (line.substr(0, 6) == "data: " && frame.data.empty()) {
      frame.data = line.substr(6);
    } else if (line.empty() || line.substr(0, 1) == ":" || line.substr(0, 7) == "retry: ") {
      comment = true;
    } else {
      malformed_ += block;
      return;
    }
  }
  if (comment) return;
  if (!frame.id.empty()) last_id_ = frame.id;
  if (!frame.id.empty() && !frame.event.empty()) {
    ++count_;
    digest_ = DigestMore(digest_, block);
    if (keep_frames_) events_ += block;
  }
  // Output that is not an event is small.
  if (keep_frames_ || frame.event.rfind("stream.", 0) == 0) frames_.push_back(std::move(frame));
}

// ---------------------------------------------------------------------------------------------- the daemon

Daemon::Daemon() : Daemon(Options()) {}

Daemon::Daemon(Options options)
    : options_(std::move(options)), folder_(std::make_unique<TempDir>()), data_dir_(options_.data_dir) {
  if (data_dir_.empty()) data_dir_ = folder_->path() + "/data";
  Start();
}

Daemon::~Daemon() {
  Kill();
  Sweep();
  // The keeper starts a daemon again that a sanitizer has ended, and the test might pass without this one.
  for (const char* fault : {"ERROR: AddressSanitizer", "runtime error: ", "a change was not told"})
    EXPECT_EQ(log().find(fault), std::string::npos) << log();
}

void Daemon::Start(std::vector<std::string> environment, bool may_fail) {
  options_.environment = std::move(environment);
  options_.may_fail = may_fail;
  Start();
}

void Daemon::Start() {
  const std::string listen = address_.empty()          ? options_.listen
                             : address_.front() == '/' ? "unix://" + address_
                                                       : "tcp://" + address_.substr(7);
  std::vector<std::string> words = {kReeveBinary, "serve",
                                    "--data",     data_dir_,
                                    "--listen",   options_.inherit_fd < 0 ? listen : options_.listen};
  words.insert(words.end(), options_.arguments.begin(), options_.arguments.end());
  words.insert(words.begin(), options_.wrapper.begin(), options_.wrapper.end());
  std::vector<std::string> variables = options_.environment;
  for (const char* name : {"PATH", "TMPDIR", "ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS"}) {
    if (const char* value = std::getenv(name)) variables.push_back(std::string(name) + "=" + value);
  }
  variables.push_back("HOME=" + folder_->path());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  std::vector<char*> envp;
  for (std::string& variable : variables) envp.push_back(variable.data());
  envp.push_back(nullptr);

  const size_t said = output().size();
  const int flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC;
  Fd out(open((folder_->path() + "/stdout").c_str(), flags, 0600));
  Fd err(open((folder_->path() + "/stderr").c_str(), flags, 0600));
  Fd in(open("/dev/null", O_RDONLY | O_CLOEXEC));
  const pid_t parent = getpid();
  pid_ = fork();
  if (pid_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1);
    dup2(in.get(), 0);
    dup2(out.get(), 1);
    dup2(options_.stderr_fd >= 0 ? options_.stderr_fd : err.get(), 2);
    if (options_.inherit_fd >= 0) dup2(options_.inherit_fd, 3);
    execve(argv[0], argv.data(), envp.data());
    _exit(127);
  }
  constexpr std::string_view kListening = "reeve: listening on ";
  std::string line;
  int status = 0;
  bool ended = false;
  Eventually([&] {
    std::string all = output().substr(said);
    const size_t at = all.find(kListening);
    const size_t end = all.find('\n', std::min(at, all.size()));
    if (at != std::string::npos && end != std::string::npos) {
      line = all.substr(at + kListening.size(), end - at - kListening.size());
    }
    ended = line.empty() && waitpid(pid_, &status, WNOHANG) == pid_;
    return ended || !line.empty();
  });
  if (ended) {
    pid_ = -1;
    failed_with_ = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }
  EXPECT_TRUE(options_.may_fail || line.empty() == options_.fails)
      << (ended ? "the daemon ended: " : "the daemon does not listen: ") << log();
  if (!line.empty() || !options_.may_fail) address_ = line;
}

bool Daemon::HandOver(std::string_view binary) const {
  const std::string body = binary.empty() ? "{}" : JsonObject().Set("binary", binary).Take();
  const HttpAnswer answer = Post("/upgrade", body);
  EXPECT_EQ(answer.status, 202) << answer.wire << log();
  if (answer.status != 202) return false;
  const int64_t before = std::atoll(answer.Field("handovers").c_str());
  const bool done = Eventually([this, before] {
    const HttpAnswer health = Get("/health");
    return health.status == 200 && std::atoll(health.Field("handovers").c_str()) == before + 1;
  });
  EXPECT_TRUE(done) << log();
  return done;
}

pid_t Daemon::pid() const {
  const int daemon = std::atoi(JsonField(ReadFile(data_dir_ + "/runtime.json"), "pid").c_str());
  return daemon > 0 ? daemon : pid_;
}

void Daemon::Signal(int signum) const {
  if (pid_ <= 0) return;
  const pid_t to = signum == SIGSTOP || signum == SIGCONT ? pid() : pid_;
  kill(to, signum);
  if (signum != SIGSTOP) return;
  // It runs on for some moments, in which it could accept a connection.
  EXPECT_TRUE(Eventually([to] {
    const std::string stat = ReadFile("/proc/" + std::to_string(to) + "/stat");
    const size_t name_end = stat.rfind(") ");
    return name_end != std::string::npos && stat.compare(name_end + 2, 1, "T") == 0;
  }));
}

bool Daemon::Crash() const {
  const pid_t before = pid();
  EXPECT_EQ(kill(before, SIGKILL), 0);
  const bool back = Eventually([&] { return pid() != before && Get("/health").status == 200; });
  EXPECT_TRUE(back) << log();
  return back;
}

void Daemon::Kill() {
  if (pid_ < 0) return;
  kill(pid_, SIGKILL);
  while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) continue;
  pid_ = -1;
  // The daemon ends with its keeper, some moments later.
  if (!Eventually([this] { return !DataDirLocked(data_dir_); })) std::abort();
}

int Daemon::Wait(int64_t deadline_ms) {
  int status = 0;
  const bool ended =
      pid_ > 0 && Eventually([&] { return waitpid(pid_, &status, WNOHANG) == pid_; }, deadline_ms);
  if (!ended) return failed_with_;
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

std::string Daemon::token() const {
  std::string text = ReadFile(data_dir_ + "/token");
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

std::string Daemon::town_id() const { return ReadFile(data_dir_ + "/town-id"); }
std::string Daemon::log() const { return ReadFile(folder_->path() + "/stderr"); }
std::string Daemon::output() const { return ReadFile(folder_->path() + "/stdout"); }

void Daemon::Sweep() const {
  const std::string town = town_id();
  if (town.empty()) return;
  for (pid_t pid : ProcessesWith("REEVE_TOWN_ID=" + town)) kill(pid, SIGKILL);
}

HttpAnswer Daemon::Call(std::string_view method, std::string_view target, std::string_view body,
                        Headers headers) const {
  headers.emplace_back("Authorization", "Bearer " + token());
  return HttpConnection(address_).Call(method, target, body, headers);
}

std::string Daemon::Create(std::string_view spec) const {
  HttpAnswer answer = Post("/agents", spec);
  EXPECT_EQ(answer.status, 201) << answer.wire;
  return answer.Field("id");
}

HttpAnswer Daemon::WaitFor(const std::string& agent, std::string_view query) const {
  HttpAnswer answer;
  const int64_t deadline = NowMs() + kPatienceMs;
  do {
    answer = Get("/agents/" + agent + "/wait?timeout_ms=20000&" + std::string(query));
  } while (answer.status == 204 && NowMs() < deadline);
  return answer;
}

std::vector<std::string> Daemon::Events(const std::string& agent, std::string_view query) const {
  std::vector<std::string> events;
  const std::string target = "/agents/" + agent + "/events?limit=10000&";
  std::string page_query(query);
  for (;;) {
    HttpAnswer answer = Get(target + page_query);
    EXPECT_EQ(answer.status, 200) << answer.wire;
    auto page = JsonDocument::Parse(answer.body);
    if (!page || ((*page)["events"].size() == 0 && !(*page)["more"].AsBool().value_or(false))) return events;
    for (const JsonValue& event : (*page)["events"].Elements()) events.push_back(event.Raw());
    page_query = "after=" + answer.Field("cursor");
    if (query.find("after=") == std::string_view::npos) return events;
    if (const size_t types = query.find("types="); types != std::string_view::npos) {
      page_query += "&" + std::string(query.substr(types));
    }
  }
}

std::string Daemon::LogFiles(const std::string& agent) const {
  std::map<uint64_t, std::string> by_first_seq;
  std::error_code gone;
  for (const auto& file : std::filesystem::directory_iterator(data_dir_ + "/events/" + agent, gone)) {
    if (file.path().extension() == ".sse") {
      by_first_seq[std::strtoull(file.path().stem().c_str(), nullptr, 10)] = ReadFile(file.path());
    }
  }
  std::string all;
  for (const auto& [seq, bytes] : by_first_seq) all += bytes;
  return all;
}

std::unique_ptr<StreamClient> Daemon::Stream(std::string_view target, StreamClient::Options options) const {
  options.headers.emplace_back("Authorization", "Bearer " + token());
  return std::make_unique<StreamClient>(address_, target, std::move(options));
}

std::string Daemon::TicketUrl(const std::string& agent, std::string_view body) const {
  HttpAnswer answer = Post("/agents/" + agent + "/stream-ticket", body);
  EXPECT_EQ(answer.status, 200) << answer.wire;
  return answer.Field("url");
}

size_t Daemon::OpenDescriptors() const {
  std::error_code error;
  size_t count = 0;
  for ([[maybe_unused]] const auto& entry :
       std::filesystem::directory_iterator("/proc/" + std::to_string(pid()) + "/fd", error)) {
    ++count;
  }
  return count;
}

size_t Daemon::OpenSockets() const {
  std::error_code error;
  size_t count = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator("/proc/" + std::to_string(pid()) + "/fd", error)) {
    std::error_code gone;
    if (std::filesystem::read_symlink(entry, gone).string().starts_with("socket:")) ++count;
  }
  return count;
}

size_t Daemon::ResidentBytes() const {
  std::ifstream file("/proc/" + std::to_string(pid()) + "/statm");
  size_t total = 0;
  size_t resident = 0;
  file >> total >> resident;
  return resident * static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

}  // namespace reeve
