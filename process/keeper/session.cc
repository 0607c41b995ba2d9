#include "process/keeper/session.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <utility>
#include <vector>

#include "process/keeper/spec.h"

namespace reeve::keeper {

namespace {

constexpr int kMostAtOnce = 64;  // messages in one Read

// Reads the memfd of a Spawn. It must be a memfd, because a read of any other file might wait.
Result<std::string> ReadSpec(int memfd) {
  struct stat file {};
  if (fcntl(memfd, F_GET_SEALS) < 0 || fstat(memfd, &file) != 0)
    return Error{"protocol", "the spec is not in a memfd"};
  if (file.st_size < 0 || static_cast<uint64_t>(file.st_size) > kMaxSpecBytes)
    return Error{"protocol", "the spec is too large"};
  std::string bytes(static_cast<size_t>(file.st_size), '\0');
  size_t have = 0;
  while (have < bytes.size()) {
    const ssize_t got = pread(memfd, bytes.data() + have, bytes.size() - have, static_cast<off_t>(have));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return Error{"protocol", "the spec is shorter than its file"};
    have += static_cast<size_t>(got);
  }
  return bytes;
}

}  // namespace

Session::Session(Fd socket, pid_t daemon, const Greeting& greeting, Holdings& holdings, Spawner spawn)
    : socket_(std::move(socket)),
      daemon_(daemon),
      greeting_(greeting),
      holdings_(holdings),
      spawn_(std::move(spawn)) {}

void Session::Read() {
  for (int i = 0; i < kMostAtOnce && Step(); ++i) continue;
}

void Session::ReadRest() {
  dead_ = true;
  while (Step()) continue;
}

// Handles one message. False: there is none, or no more is read.
bool Session::Step() {
  if (!active()) return false;
  Receive(socket_.get(), packet_, MSG_DONTWAIT);
  if (packet_.result == Packet::Result::kNothing) return false;
  if (packet_.result == Packet::Result::kClosed) {
    state_ = State::kGone;
    return false;
  }
  if (packet_.too_long) {
    Break("a message is too long");
  } else if (!Handle() && active()) {
    Break("a message is malformed");
  }
  packet_.fds.clear();
  return active();
}

bool Session::SendPing() { return active() && Send(socket_.get(), Ping{}); }

// False: the message is malformed.
bool Session::Handle() {
  const auto type = packet_.type();
  if (!type) return false;
  const bool takes_fds = type == Type::kKeep || type == Type::kSpawn;
  if (!takes_fds && (!packet_.fds.empty() || packet_.lost_fds)) return false;
  if (state_ == State::kNew && type != Type::kHello) {
    Break("the first message is not Hello");
    return true;
  }
  std::string_view tail;
  // Calls act(message) if the message is exactly a `Struct`, whose padding is zero.
  auto exactly = [this, &tail]<typename Struct>(Struct, auto act) {
    const auto message = packet_.As<Struct>(&tail);
    if (!message || !tail.empty()) return false;
    if constexpr (requires { message->zero; }) {
      if (message->zero != 0) return false;
    }
    act(*message);
    return true;
  };
  switch (*type) {
    case Type::kHello: {
      const auto hello = packet_.As<Hello>(&tail);
      return hello && tail.empty() && OnHello(*hello);
    }
    case Type::kNextHeld:
      return exactly(NextHeld{}, [this](const NextHeld& ask) { OnNextHeld(ask.key); });
    case Type::kNextChild:
      return exactly(NextChild{}, [this](const NextChild& ask) { OnNextChild(ask.pid); });
    case Type::kKeep: {
      const bool right = packet_.fds.size() == 1 || (packet_.fds.empty() && packet_.lost_fds);
      return right && exactly(Keep{}, [this](const Keep& keep) { OnKeep(keep.key); });
    }
    case Type::kDrop:
      return exactly(Drop{}, [this](const Drop& drop) { holdings_.fds.erase(drop.key); });
    case Type::kSpawn: {
      const auto spawn = packet_.As<Spawn>(&tail);
      return spawn && spawn->size == tail.size() && OnSpawn(tail);
    }
    case Type::kExitOf:
      return exactly(ExitOf{}, [this](const ExitOf& ask) { OnExitOf(ask.pid); });
    case Type::kReap:
      // A pid that is not held may have been reaped for an earlier daemon: nothing is to be done.
      return exactly(Reap{}, [this](const Reap& reap) { (void)holdings_.Reap(reap.pid); });
    case Type::kLook:
      return exactly(Look{}, [this](const Look&) {
        Looked looked;
        looked.complete = holdings_.ReapOrphans(daemon_) ? 1 : 0;
        looked.reaped = holdings_.reaped;
        Reply(looked);
      });
    case Type::kReady:
      return exactly(Ready{}, [this](const Ready&) { ready_ = true; });
    case Type::kBye: {
      const auto bye = packet_.As<Bye>(&tail);
      if (!bye || !tail.empty() || bye->code < 0 || bye->code > 255) return false;
      bye_ = bye->code;
      return true;
    }
    case Type::kPong:
      return exactly(Pong{}, [this](const Pong&) { ++pongs_; });
    case Type::kUpgrade: {
      const auto upgrade = packet_.As<Upgrade>(&tail);
      return upgrade && OnUpgrade(*upgrade, tail);
    }
    case Type::kWelcome:
    case Type::kHeld:
    case Type::kChildren:
    case Type::kSpawned:
    case Type::kFailed:
    case Type::kExit:
    case Type::kLooked:
    case Type::kPing:
      break;  // the keeper's own
  }
  return false;
}

void Session::Break(std::string_view reason) {
  Refuse("protocol", reason);
  failure_ = reason;
  state_ = State::kBroken;
}

// A daemon has one open request at most, so its queue has room for the reply.
template <typename Struct>
void Session::Reply(const Struct& message, std::span<const int> fds, std::string_view tail) {
  if (dead_ || Send(socket_.get(), message, fds, tail)) return;
  if (errno == EPIPE || errno == ECONNRESET) {
    state_ = State::kGone;
    return;
  }
  failure_ = OsError("a reply cannot be sent", errno).message;
  state_ = State::kBroken;
}

void Session::Refuse(std::string_view code, std::string_view message) {
  Failed failed;
  const std::string_view text = message.substr(0, kMaxMessageBytes - sizeof failed);
  failed.size = static_cast<uint32_t>(text.size());
  code.copy(failed.code, sizeof failed.code - 1);
  Reply(failed, {}, text);
}

bool Session::OnHello(const Hello& message) {
  if (state_ != State::kNew) return false;
  if (message.version < kOldestVersion) {
    Break("the keeper speaks versions " + std::to_string(kOldestVersion) + " to " +
          std::to_string(kProtocolVersion) + " of the protocol, and the daemon only up to " +
          std::to_string(message.version));
    return true;
  }
  state_ = State::kOpen;
  Welcome welcome;
  welcome.version = std::min(message.version, kProtocolVersion);
  welcome.restarts = greeting_.restarts;
  welcome.last_code = greeting_.last_code;
  welcome.last_signal = greeting_.last_signal;
  welcome.keeper_pid = getpid();
  welcome.children = static_cast<uint32_t>(holdings_.children.size());
  welcome.held = holdings_.fds.size();
  welcome.next_key = holdings_.next_key;
  Reply(welcome);
  return true;
}

void Session::OnNextHeld(uint64_t key) {
  Held held;
  std::array<int, kBatch> fds{};
  auto at = holdings_.fds.lower_bound(key);
  for (; at != holdings_.fds.end() && held.count < kBatch; ++at, ++held.count) {
    held.keys[held.count] = at->first;
    fds[held.count] = at->second.get();
  }
  if (at != holdings_.fds.end()) held.more = at->first;
  Reply(held, {fds.data(), held.count});
}

// A pidfd is made for the daemon alone: it names the right process, because a held child is not reaped.
void Session::OnNextChild(pid_t pid) {
  Children found;
  std::array<int, kBatch> numbers{};
  std::vector<Fd> pidfds;
  auto at = holdings_.children.lower_bound(pid);
  for (; at != holdings_.children.end() && found.count < kBatch; ++at, ++found.count) {
    Fd pidfd(static_cast<int>(syscall(SYS_pidfd_open, *at, 0)));
    if (!pidfd.valid()) {
      const Error error = OsError("pidfd_open", errno);
      return Refuse(error.code, error.message);
    }
    found.pids[found.count] = *at;
    numbers[found.count] = pidfd.get();
    pidfds.push_back(std::move(pidfd));
  }
  if (at != holdings_.children.end()) found.more = *at;
  Reply(found, {numbers.data(), found.count});
}

void Session::OnKeep(uint64_t key) {
  if (key == UINT64_MAX) return Break("there is no key after this one");
  if (packet_.fds.empty() || !holdings_.Keep(key, std::move(packet_.fds.front()))) ++lost_;
}

bool Session::OnSpawn(std::string_view inline_spec) {
  const size_t expected = inline_spec.empty() ? 4 : 3;
  const bool lost = packet_.lost_fds && packet_.fds.size() < expected;
  if (packet_.fds.size() != expected && !lost) return false;
  if (dead_) return true;
  if (lost) {
    Refuse("no_descriptors", "the keeper has no free descriptors");
    return true;
  }
  auto long_spec = inline_spec.empty() ? ReadSpec(packet_.fds[0].get()) : std::string();
  if (!long_spec) {
    Break(long_spec.error().message);
    return true;
  }
  const auto spec = DecodeSpec(inline_spec.empty() ? *long_spec : inline_spec);
  if (!spec) return false;
  const Fd* stdio = &packet_.fds[expected - 3];
  auto started = spawn_(*spec, {stdio[0].get(), stdio[1].get(), stdio[2].get()});
  if (!started) {
    Refuse(started.error().code, started.error().message);
    return true;
  }
  holdings_.children.insert(started->pid);
  Spawned spawned;
  spawned.pid = started->pid;
  const int pidfd = started->pidfd.get();
  Reply(spawned, {&pidfd, 1});
  return true;
}

void Session::OnExitOf(pid_t pid) {
  const auto end = holdings_.EndOf(pid);
  if (!end) return Refuse("no_child", "the keeper holds no such child");
  Exit exit;
  exit.exited = end->exited ? 1 : 0;
  exit.code = end->code;
  exit.signal = end->signal;
  exit.user_us = end->user_us;
  exit.system_us = end->system_us;
  Reply(exit);
}

bool Session::OnUpgrade(const Upgrade& message, std::string_view texts) {
  const auto good = [](std::string_view path) {
    return !path.empty() && path.size() < PATH_MAX && path.find('\0') == std::string_view::npos;
  };
  if (message.zero != 0 || uint64_t{message.program_size} + message.keeper_size != texts.size()) return false;
  const std::string_view program = texts.substr(0, message.program_size);
  const std::string_view keeper = texts.substr(message.program_size);
  if (!good(program) || (!keeper.empty() && !good(keeper))) return false;
  upgrade_ = Paths{std::string(program), std::string(keeper)};
  return true;
}

}  // namespace reeve::keeper
