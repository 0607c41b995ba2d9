#include "control/http/server.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <list>
#include <optional>
#include <utility>

#include "control/http/connection.h"
#include "process/fd.h"
#include "process/lifetime.h"
#include "process/log.h"
#include "process/loop.h"
#include "process/random.h"
#include "process/timer.h"

namespace reeve {

namespace {

constexpr size_t kReadBytes = size_t{64} << 10;
constexpr int kBacklog = 4096;
constexpr int kAcceptsPerTurn = 64;  // a storm of new clients must not starve the present ones
// Beyond Limits::connections, this many more may be open: for probes and operators, and to tell the others
// that the server is full. The rest are just closed.
constexpr size_t kReserve = 64;
constexpr int64_t kWarnMs = 10'000;  // between two lines of the log about the same trouble
constexpr int kLooksForRoom = 64;    // connections that one newcomer lets the server look at

// One listening socket.
struct Listener {
  std::unique_ptr<Watch> watch;
  bool unix_socket = false;
  std::string url;
  std::string address;
  uint64_t key = 0;    // see ListenerState
  std::string remove;  // our socket file; removed at the end if it is still the same file
  dev_t device = 0;
  ino_t inode = 0;

  Listener() = default;
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  ~Listener() {
    struct stat now {};
    if (!remove.empty() && lstat(remove.c_str(), &now) == 0 && now.st_dev == device && now.st_ino == inode) {
      unlink(remove.c_str());
    }
  }
};

struct Bound {
  Fd socket;
  std::string address;  // the address for clients
  std::string path;     // the path of a Unix socket that we made
  bool unix_socket = false;
};

Error InvalidUrl(const std::string& url, const std::string& reason) {
  return {"invalid_request", "listen on " + url + ": " + reason};
}

bool IsPending(int listener) {
  pollfd waiting{listener, POLLIN, 0};
  return poll(&waiting, 1, 0) == 1;
}

Result<Bound> BindTcp(const std::string& url, std::string_view rest) {
  size_t colon = rest.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return InvalidUrl(url, "it must be tcp://HOST:PORT");
  std::string host(rest.substr(0, colon));
  std::string port(rest.substr(colon + 1));
  if (host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string::npos) {
    return InvalidUrl(url, "an IPv6 address needs brackets: tcp://[::1]:8080");
  }
  unsigned number = 0;
  auto [end, bad] = std::from_chars(port.data(), port.data() + port.size(), number);
  if (bad != std::errc() || end != port.data() + port.size() || number > 65535)
    return InvalidUrl(url, "the port is not a number from 0 to 65535");

  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* raw = nullptr;
  int error = getaddrinfo(host.c_str(), port.c_str(), &hints, &raw);
  if (error != 0) return InvalidUrl(url, gai_strerror(error));
  std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> found(raw, &freeaddrinfo);

  int reason = EADDRNOTAVAIL;
  for (const addrinfo* one = found.get(); one; one = one->ai_next) {
    Bound bound;
    bound.socket = Fd(socket(one->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    int on = 1;
    if (bound.socket.valid() &&
        setsockopt(bound.socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
        bind(bound.socket.get(), one->ai_addr, one->ai_addrlen) == 0 &&
        listen(bound.socket.get(), kBacklog) == 0) {
      bound.address = AddressOf(bound.socket.get());
      return bound;
    }
    reason = errno;
  }
  return OsError("listen on " + url, reason);
}

// Removes a socket file on which nobody listens any more. Anything else at the path is an error.
Status ClearPath(const std::string& url, const std::string& path, const sockaddr_un& address) {
  struct stat there {};
  if (lstat(path.c_str(), &there) != 0)
    return errno == ENOENT ? Status() : OsError("listen on " + url, errno);
  if (!S_ISSOCK(there.st_mode)) return InvalidUrl(url, "the path exists and is not a socket");
  Fd probe(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!probe.valid()) return OsError("listen on " + url, errno);
  if (connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ||
      errno == EAGAIN) {
    return OsError("listen on " + url, EADDRINUSE);
  }
  if (errno != ECONNREFUSED) return OsError("listen on " + url, errno);
  if (unlink(path.c_str()) != 0) return OsError("listen on " + url, errno);
  return {};
}

Result<Bound> BindUnix(const std::string& url, const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.front() != '/') return InvalidUrl(url, "it must be unix:///PATH");
  if (path.size() >= sizeof address.sun_path) {
    return InvalidUrl(url,
                      "the path is longer than " + std::to_string(sizeof address.sun_path - 1) + " bytes");
  }
  path.copy(address.sun_path, path.size());
  if (auto clear = ClearPath(url, path, address); !clear.ok()) return clear.error();
  Bound bound;
  bound.unix_socket = true;
  bound.address = path;
  bound.socket = Fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  // Nobody can connect before listen(), so setting the mode here is early enough.
  if (!bound.socket.valid() ||
      bind(bound.socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return OsError("listen on " + url, errno);
  }
  bound.path = path;
  if (chmod(path.c_str(), 0600) != 0 || listen(bound.socket.get(), kBacklog) != 0) {
    int reason = errno;
    unlink(path.c_str());
    return OsError("listen on " + url, reason);
  }
  return bound;
}

// Takes `fd` only if it returns no error.
Result<Bound> AdoptDescriptor(const std::string& url, int fd) {
  int type = 0;
  int listening = 0;
  int family = 0;
  socklen_t size = sizeof(int);
  if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0 ||
      getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) != 0 ||
      getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &size) != 0) {
    return OsError("listen on " + url, errno);
  }
  if (type != SOCK_STREAM || listening == 0) return InvalidUrl(url, "it is not a listening stream socket");
  if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) return OsError("listen on " + url, errno);
  Bound bound;
  bound.socket = Fd(fd);
  bound.unix_socket = family == AF_UNIX;
  bound.address = AddressOf(fd);
  return bound;
}

Result<Bound> BindDescriptor(const std::string& url, std::string_view number) {
  int fd = -1;
  auto [end, bad] = std::from_chars(number.data(), number.data() + number.size(), fd);
  if (bad != std::errc() || end != number.data() + number.size() || fd < 3)
    return InvalidUrl(url, "it must be fd://N, with N of at least 3");
  return AdoptDescriptor(url, fd);
}

Result<Bound> Bind(const std::string& url) {
  auto after = [&url](std::string_view scheme) -> std::optional<std::string> {
    if (url.compare(0, scheme.size(), scheme) != 0) return std::nullopt;
    return url.substr(scheme.size());
  };
  if (auto rest = after("tcp://")) return BindTcp(url, *rest);
  if (auto rest = after("unix://")) return BindUnix(url, *rest);
  if (auto rest = after("fd://")) return BindDescriptor(url, *rest);
  return InvalidUrl(url, "it must begin with tcp://, unix:// or fd://");
}

}  // namespace

std::string AddressOf(int socket) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  auto* address = reinterpret_cast<sockaddr*>(&storage);
  if (getsockname(socket, address, &size) != 0) return {};
  if (storage.ss_family == AF_UNIX) {
    const auto* local = reinterpret_cast<const sockaddr_un*>(&storage);
    return {local->sun_path, strnlen(local->sun_path, size - offsetof(sockaddr_un, sun_path))};
  }
  char host[NI_MAXHOST];
  char port[NI_MAXSERV];
  if (getnameinfo(address, size, host, sizeof host, port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV) != 0)
    return {};
  std::string name = storage.ss_family == AF_INET6 ? '[' + std::string(host) + ']' : std::string(host);
  return "http://" + name + ':' + port;
}

struct Server::State {
  State(Loop& loop, Limits limits, Dispatch dispatch, Admit admit);

  Status Add(std::unique_ptr<Listener> listener, Fd socket);
  bool SendAnswers();
  void Accept(Listener& listener);
  void PauseAccepting(Listener& listener, int reason);
  void ResumeAccepting();
  void Welcome(Fd socket, bool unix_socket);
  void Rejoin(std::unique_ptr<Watch> socket, std::string input, bool unix_socket);
  void TakeReturned();
  Connection& Make(bool unix_socket);
  [[nodiscard]] size_t Count() const;
  bool MakeRoom(bool urgent);
  void Move(Connection& connection);
  void Retire(Connection& connection);
  void ForEach(const std::function<void(Connection&)>& visit);
  void Scan();
  void StartScan();
  void DestroyRetired();
  void CloseIdle(std::function<void()> then);

  Connection::Shared shared;
  std::list<std::unique_ptr<Listener>> listeners;
  // By Connection::Load. In each list the connection to which nothing has happened for longest stands first.
  std::array<std::list<std::unique_ptr<Connection>>, Connection::kLoads> connections;
  std::list<std::unique_ptr<Connection>> retired;  // closed in this turn; may still be on the stack
  struct Returned {
    std::unique_ptr<Watch> socket;
    std::string input;
    bool unix_socket;
  };
  std::vector<Returned> returned;    // their streams ended in this turn
  std::optional<int64_t> warned_ms;  // when the log last told that no connection can be accepted
  std::function<void()> drained;
  bool paused = false;  // by Pause
  Timer scan;           // one timer for the time-outs of all connections
  Timer retire;
  Timer rejoin;
  Lifetime alive;
};

Server::State::State(Loop& loop, Limits limits, Dispatch dispatch, Admit admit)
    : shared{loop,
             limits,
             {limits.body_bytes, limits.header_bytes, limits.target_bytes},
             std::move(dispatch),
             std::move(admit),
             [this](Connection& connection) { Retire(connection); },
             [this](Connection& connection) { Move(connection); },
             {},
             {},
             std::vector<char>(kReadBytes),
             {},
             0,
             false,
             {}},
      scan(loop, [this] { Scan(); }),
      retire(loop, [this] { DestroyRetired(); }),
      rejoin(loop, [this] { TakeReturned(); }) {
  shared.rejoin = alive.Guard([this](std::unique_ptr<Watch> socket, std::string input, bool unix_socket) {
    Rejoin(std::move(socket), std::move(input), unix_socket);
  });
  loop.BeforeSleep([this, watched = alive.Watch()] {
    if (watched.expired()) return false;
    if (!shared.stats.accepting && FreeDescriptors(1) != 0) ResumeAccepting();
    return SendAnswers();
  });
  shared.id_prefix = "req-" + RandomHex(4) + '-';  // ids of different runs must differ
}

// Returns whether a connection has another answer at once, which waits for the end of the next turn.
bool Server::State::SendAnswers() {
  for (Connection* connection : std::exchange(shared.unsent, {})) connection->SendAnswer();
  return !shared.unsent.empty();
}

void Server::State::Accept(Listener& listener) {
  for (int i = 0; i < kAcceptsPerTurn; ++i) {
    Fd socket(accept4(listener.watch->fd(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (socket.valid()) {
      Welcome(std::move(socket), listener.unix_socket);
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      const int reason = errno;
      if (!IsPending(listener.watch->fd()))
        return;  // accept4() looks for a descriptor before it looks for a client
      if (reason == EMFILE && MakeRoom(false)) continue;
      return PauseAccepting(listener, reason);
    } else if (errno != EINTR && errno != ECONNABORTED) {
      return;  // EAGAIN, or an error of the peer's network, which accept4() reports as its own
    }
  }
}

// The new client stays in the backlog, which would wake us without end. The server tries again at the end of
// a turn that left a descriptor free, and at the next scan.
void Server::State::PauseAccepting(Listener& listener, int reason) {
  const int64_t now = shared.loop.NowMs();
  if (!warned_ms || now - *warned_ms >= kWarnMs) {
    log::Warning("cannot accept connections for now: {}", OsError("accept", reason).message);
    warned_ms = now;
  }
  listener.watch->Want(0);
  shared.stats.accepting = false;
  StartScan();
}

void Server::State::ResumeAccepting() {
  if (std::exchange(shared.stats.accepting, true) || paused) return;
  for (auto& listener : listeners) listener->watch->Want(Watch::kRead);
}

void Server::State::Welcome(Fd socket, bool unix_socket) {
  const size_t reserve_end = shared.limits.connections + kReserve;
  if (Count() >= shared.limits.connections) (void)MakeRoom(Count() >= reserve_end);
  if (Count() >= reserve_end) {
    ++shared.stats.refused;
    return;
  }
  const bool in_reserve = Count() >= shared.limits.connections;
  if (!unix_socket) {
    int on = 1;
    setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  Connection& connection = Make(unix_socket);
  if (!connection.Open(std::move(socket), in_reserve)) return connections[0].pop_back();
  StartScan();
}

Connection& Server::State::Make(bool unix_socket) {
  auto& list = connections[0];
  list.push_back(std::make_unique<Connection>(shared, unix_socket));
  list.back()->place = std::prev(list.end());
  return *list.back();
}

size_t Server::State::Count() const {
  size_t count = 0;
  for (const auto& list : connections) count += list.size();
  return count;
}

// Closes the connection that has been idle for longest, or one whose client takes no answer.
bool Server::State::MakeRoom(bool urgent) {
  int looks = 0;
  for (Connection::Load load : {Connection::Load::kResting, Connection::Load::kBusy}) {
    for (const auto& connection : connections[static_cast<size_t>(load)]) {
      if (++looks > kLooksForRoom) return false;
      if (connection->Evict(urgent)) return true;
    }
  }
  return false;
}

void Server::State::Move(Connection& connection) {
  auto& from = connections[static_cast<size_t>(connection.listed)];
  connection.listed = connection.load();
  auto& to = connections[static_cast<size_t>(connection.listed)];
  to.splice(to.end(), from, connection.place);
}

// In a later turn, because the stream that gives the socket back is still on the stack.
void Server::State::Rejoin(std::unique_ptr<Watch> socket, std::string input, bool unix_socket) {
  returned.push_back({std::move(socket), std::move(input), unix_socket});
  rejoin.Start(0);
}

void Server::State::TakeReturned() {
  for (Returned& one : std::exchange(returned, {})) {
    if (Count() >= shared.limits.connections) (void)MakeRoom(false);
    if (Count() >= shared.limits.connections) continue;  // closes it: its answer was sent
    Make(one.unix_socket).Rejoin(std::move(one.socket), std::move(one.input));
  }
  if (Count() != 0) StartScan();
}

void Server::State::Retire(Connection& connection) {
  retired.splice(retired.end(), connections[static_cast<size_t>(connection.listed)], connection.place);
  retire.Start(0);
}

// `visit` may close the connection, or move it in the lists.
void Server::State::ForEach(const std::function<void(Connection&)>& visit) {
  std::vector<Connection*> all;  // closed ones are destroyed in a later turn
  for (const auto& list : connections) {
    for (const auto& connection : list) all.push_back(connection.get());
  }
  for (Connection* connection : all) {
    if (connection->open()) visit(*connection);
  }
}

void Server::State::DestroyRetired() {
  retired.clear();
  if (Count() != 0 || !drained) return;
  auto call = std::exchange(drained, {});
  call();
}

void Server::State::StartScan() {
  if (scan.active()) return;
  // A time-out is noticed late by at most a quarter of the shortest limit, and by at most a second.
  int64_t shortest = std::min({shared.limits.request_ms, shared.limits.idle_ms, shared.limits.write_ms});
  int64_t period = std::clamp<int64_t>(shortest / 4, 1, 1'000);
  scan.Start(period, period);
}

void Server::State::Scan() {
  ForEach([now = shared.loop.NowMs()](Connection& connection) { connection.CheckTime(now); });
  ResumeAccepting();
  if (Count() == 0) scan.Stop();
}

// Each connection ends when its request in progress is answered. Calls `then` when none is left.
void Server::State::CloseIdle(std::function<void()> then) {
  shared.draining = true;
  drained = std::move(then);
  ForEach([](Connection& connection) { connection.Drain(); });
  retire.Start(0);
}

Server::Server(Loop& loop, Limits limits, Dispatch dispatch, Admit admit)
    : state_(std::make_unique<State>(loop, limits, std::move(dispatch), std::move(admit))) {}

Server::~Server() = default;

Status Server::State::Add(std::unique_ptr<Listener> listener, Fd socket) {
  auto watch =
      Watch::Make(shared.loop, std::move(socket), [this, raw = listener.get()](int) { Accept(*raw); });
  if (!watch.ok()) return watch.error();
  listener->watch = std::move(*watch);
  listener->watch->Want(Watch::kRead);
  listeners.push_back(std::move(listener));
  return {};
}

Result<std::string> Server::Listen(const std::string& url) {
  auto bound = Bind(url);
  if (!bound.ok()) return bound.error();
  auto listener = std::make_unique<Listener>();
  listener->unix_socket = bound->unix_socket;
  listener->url = url;
  listener->address = bound->address;
  struct stat made {};
  if (!bound->path.empty() && lstat(bound->path.c_str(), &made) == 0) {
    listener->remove = bound->path;
    listener->device = made.st_dev;
    listener->inode = made.st_ino;
  }
  if (auto added = state_->Add(std::move(listener), std::move(bound->socket)); !added) return added.error();
  return bound->address;
}

void Server::KeepListeners(const std::function<uint64_t(int socket)>& keep) {
  for (auto& listener : state_->listeners) {
    if (listener->key == 0) listener->key = keep(listener->watch->fd());
  }
}

std::vector<ListenerState> Server::Listeners() const {
  std::vector<ListenerState> saved;
  for (const auto& listener : state_->listeners) {
    saved.push_back({listener->key, listener->url, listener->address, listener->remove, listener->device,
                     listener->inode});
  }
  return saved;
}

std::map<std::string, std::string> Server::Inherit(const std::vector<ListenerState>& earlier,
                                                   const std::vector<std::string>& wanted,
                                                   const std::function<Fd(uint64_t key)>& take) {
  std::map<std::string, std::string> addresses;
  for (const ListenerState& saved : earlier) {
    Fd socket = take(saved.key);
    auto bound = AdoptDescriptor(saved.url, socket.get());
    if (!bound.ok()) {
      log::Failure("{}", bound.error().message);
      continue;
    }
    (void)socket.Release();
    auto listener = std::make_unique<Listener>();
    listener->unix_socket = bound->unix_socket;
    listener->url = saved.url;
    listener->address = saved.address.empty() ? bound->address : saved.address;
    listener->key = saved.key;
    listener->remove = saved.path;
    listener->device = saved.device;
    listener->inode = saved.inode;
    if (std::find(wanted.begin(), wanted.end(), saved.url) == wanted.end()) {
      log::Info("no longer listening on {}", listener->address);
      continue;
    }
    const std::string address = listener->address;
    if (auto added = state_->Add(std::move(listener), std::move(bound->socket)); !added) {
      log::Failure("{}", added.error().message);
      continue;
    }
    addresses.emplace(saved.url, address);
  }
  return addresses;
}

void Server::Pause(std::function<void()> quiet) {
  for (auto& listener : state_->listeners) listener->watch->Want(0);
  state_->shared.stats.accepting = true;
  state_->paused = true;
  state_->CloseIdle(std::move(quiet));
}

void Server::Resume() {
  if (!std::exchange(state_->paused, false)) return;  // it drains meanwhile
  for (auto& listener : state_->listeners) listener->watch->Want(Watch::kRead);
  state_->shared.draining = false;
  state_->drained = {};
}

void Server::Drain(std::function<void()> drained) {
  for (auto& listener : state_->listeners) state_->Accept(*listener);  // already connected clients are served
  state_->listeners.clear();
  state_->paused = false;
  state_->CloseIdle(std::move(drained));
}

Server::Stats Server::stats() const {
  Stats stats = state_->shared.stats;
  stats.connections = state_->Count();
  return stats;
}

}  // namespace reeve
