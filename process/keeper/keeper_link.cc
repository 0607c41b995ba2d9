#include "process/keeper/keeper_link.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

#include "process/keeper/spec.h"

namespace reeve {

namespace {

// Longer than any spawn takes. A keeper that is slower is stuck, and a late reply would be taken for another.
constexpr timeval kReplyTimeout = {30, 0};

Error KeeperFailed(const std::string& reason) { return {"keeper_failed", "the keeper: " + reason}; }

Result<Fd> InMemfd(std::string_view bytes) {
  Fd memfd(memfd_create("reeve-spec", MFD_CLOEXEC));
  if (!memfd.valid()) return OsError("memfd", errno);
  while (!bytes.empty()) {
    const ssize_t wrote = write(memfd.get(), bytes.data(), bytes.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) return OsError("memfd", errno);
    bytes.remove_prefix(static_cast<size_t>(wrote));
  }
  return memfd;
}

}  // namespace

Result<std::unique_ptr<KeeperLink>> KeeperLink::Connect(Fd socket) {
  if (fcntl(socket.get(), F_SETFD, FD_CLOEXEC) != 0) return KeeperFailed("there is no connection to it");
  for (const int option : {SO_RCVTIMEO, SO_SNDTIMEO})
    (void)setsockopt(socket.get(), SOL_SOCKET, option, &kReplyTimeout, sizeof kReplyTimeout);
  std::unique_ptr<KeeperLink> link(new KeeperLink(std::move(socket)));
  if (Status greeted = link->Greet(); !greeted) return greeted.error();
  if (Status fetched = link->FetchHeld(); !fetched) return fetched.error();
  if (Status fetched = link->FetchChildren(); !fetched) return fetched.error();
  return link;
}

Status KeeperLink::Greet() {
  std::string_view tail;
  if (!Ask(keeper::Hello{})) return KeeperFailed("it does not answer");
  if (auto failure = Failure()) return KeeperFailed(failure->message);
  const auto welcome = packet_.As<keeper::Welcome>(&tail);
  if (packet_.type() != keeper::Type::kWelcome || !welcome || !tail.empty()) return Nonsense();
  if (welcome->version < keeper::kOldestVersion || welcome->version > keeper::kProtocolVersion) {
    Close();
    return KeeperFailed("it speaks version " + std::to_string(welcome->version) + " of the protocol");
  }
  keeper_pid_ = welcome->keeper_pid;
  restarts_ = welcome->restarts;
  if (welcome->last_code != 0 || welcome->last_signal != 0)
    last_end_ = LastEnd{welcome->last_code, welcome->last_signal};
  next_key_ = std::max(welcome->next_key, keeper::kFirstFreeKey);
  return {};
}

Status KeeperLink::FetchHeld() {
  for (uint64_t key = 0;;) {
    std::string_view tail;
    keeper::NextHeld next;
    next.key = key;
    if (!Ask(next)) return KeeperFailed("it does not answer");
    if (auto failure = Failure()) return KeeperFailed(failure->message);
    const auto held = packet_.As<keeper::Held>(&tail);
    if (packet_.lost_fds) return Error{"keeper_failed", "no descriptors are free for those of the keeper"};
    if (packet_.type() != keeper::Type::kHeld || !held || !tail.empty() ||
        held->count != packet_.fds.size() || (held->more != 0 && held->more <= key))
      return Nonsense();
    for (size_t i = 0; i < held->count; ++i) untaken_[held->keys[i]] = std::move(packet_.fds[i]);
    if (held->more == 0) return {};
    key = held->more;
  }
}

Status KeeperLink::FetchChildren() {
  for (pid_t pid = 0;;) {
    std::string_view tail;
    keeper::NextChild next;
    next.pid = pid;
    if (!Ask(next)) return KeeperFailed("it does not answer");
    if (auto failure = Failure()) return KeeperFailed(failure->message);
    const auto found = packet_.As<keeper::Children>(&tail);
    if (packet_.lost_fds) return Error{"keeper_failed", "no descriptors are free for those of the keeper"};
    if (packet_.type() != keeper::Type::kChildren || !found || !tail.empty() ||
        found->count != packet_.fds.size() || (found->more != 0 && found->more <= pid))
      return Nonsense();
    for (size_t i = 0; i < found->count; ++i)
      children_.push_back({found->pids[i], std::move(packet_.fds[i])});
    if (found->more == 0) return {};
    pid = found->more;
  }
}

Fd KeeperLink::Take(uint64_t key) {
  const auto held = untaken_.find(key);
  if (held == untaken_.end()) return {};
  Fd taken = std::move(held->second);
  untaken_.erase(held);
  return taken;
}

void KeeperLink::DropUntaken() {
  for (const auto& [key, fd] : untaken_) Drop(key);
  untaken_.clear();
}

std::vector<KeeperLink::HeldChild> KeeperLink::TakeChildren() { return std::exchange(children_, {}); }

std::vector<uint64_t> KeeperLink::Untaken(uint8_t purpose) const {
  std::vector<uint64_t> keys;
  for (const auto& [key, fd] : untaken_) {
    if (key >= keeper::kFirstFreeKey && key % kPurposes == purpose) keys.push_back(key);
  }
  return keys;
}

uint64_t KeeperLink::Keep(int fd, uint8_t purpose) {
  const uint64_t key = (next_key_ + kPurposes - 1) / kPurposes * kPurposes + purpose;
  next_key_ = key + 1;
  KeepAs(key, fd);
  return key;
}

void KeeperLink::KeepAs(uint64_t key, int fd) {
  keeper::Keep keep;
  keep.key = key;
  Tell(keep, {&fd, 1});
}

void KeeperLink::Drop(uint64_t key) {
  keeper::Drop drop;
  drop.key = key;
  Tell(drop);
}

Result<Started> KeeperLink::Spawn(const SpawnSpec& spec, const std::array<int, 3>& stdio) {
  if (!socket_.valid()) return KeeperFailed("it has died");
  const std::string bytes = keeper::EncodeSpec(spec);
  if (bytes.size() > keeper::kMaxSpecBytes) {
    return Error{"spawn_failed", (spec.argv.empty() ? "" : spec.argv[0]) +
                                     ": its arguments and environment are larger than the kernel takes"};
  }
  keeper::Spawn spawn;
  std::vector<int> fds(stdio.begin(), stdio.end());
  std::string_view inline_spec;
  Fd memfd;
  if (bytes.size() <= keeper::kMaxMessageBytes - sizeof spawn) {
    inline_spec = bytes;
  } else {
    auto made = InMemfd(bytes);
    if (!made) return made.error();
    memfd = std::move(*made);
    fds.insert(fds.begin(), memfd.get());
  }
  spawn.size = static_cast<uint32_t>(inline_spec.size());
  if (!Ask(spawn, fds, inline_spec))
    return socket_.valid() ? OsError("a request to the keeper", errno) : KeeperFailed("it does not answer");
  if (auto failure = Failure()) return *failure;
  std::string_view tail;
  const auto spawned = packet_.As<keeper::Spawned>(&tail);
  if (packet_.type() != keeper::Type::kSpawned || !spawned || !tail.empty() || spawned->pid <= 0)
    return Nonsense();
  if (packet_.fds.size() != 1) {  // the child lives, and nobody could follow it
    kill(spawned->pid, SIGKILL);
    Reap(spawned->pid);
    return Error{"no_descriptors", "no descriptor is free for the child"};
  }
  return Started{spawned->pid, std::move(packet_.fds[0])};
}

std::optional<KeeperLink::Exit> KeeperLink::ExitOf(pid_t pid) {
  keeper::ExitOf ask;
  ask.pid = pid;
  if (!Ask(ask) || Failure()) return {};
  std::string_view tail;
  const auto exit = packet_.As<keeper::Exit>(&tail);
  if (packet_.type() != keeper::Type::kExit || !exit || !tail.empty()) {
    (void)Nonsense();
    return {};
  }
  if (exit->exited == 0) return {};
  return Exit{exit->code, exit->signal};
}

void KeeperLink::Reap(pid_t pid) {
  keeper::Reap reap;
  reap.pid = pid;
  Tell(reap);
}

KeeperLink::Looked KeeperLink::Look() {
  if (!Ask(keeper::Look{})) return {};
  std::string_view tail;
  const auto looked = packet_.As<keeper::Looked>(&tail);
  if (packet_.type() == keeper::Type::kLooked && looked && tail.empty())
    return {looked->complete != 0, looked->reaped};
  (void)Nonsense();
  return {};
}

void KeeperLink::Ready() { Tell(keeper::Ready{}); }

void KeeperLink::Bye(int code) {
  keeper::Bye bye;
  bye.code = code;
  Tell(bye);
}

void KeeperLink::Upgrade(const std::string& program, const std::string& keeper) {
  keeper::Upgrade upgrade;
  upgrade.program_size = static_cast<uint32_t>(program.size());
  upgrade.keeper_size = static_cast<uint32_t>(keeper.size());
  Tell(upgrade, {}, program + keeper);
}

void KeeperLink::OnReadable() {
  while (socket_.valid()) {
    Receive(socket_.get(), packet_, MSG_DONTWAIT);
    if (packet_.result == keeper::Packet::Result::kNothing) return;
    if (packet_.result == keeper::Packet::Result::kClosed) return Close();
    if (packet_.type() != keeper::Type::kPing) {
      (void)Nonsense();
      return;
    }
    Tell(keeper::Pong{});
  }
}

template <typename Struct>
bool KeeperLink::Tell(const Struct& message, std::span<const int> fds, std::string_view tail) {
  if (!socket_.valid()) return false;
  if (Send(socket_.get(), message, fds, tail)) return true;
  const int error = errno;
  if (error == EPIPE || error == ECONNRESET || error == EAGAIN) Close();
  errno = error;
  return false;
}

template <typename Struct>
bool KeeperLink::Ask(const Struct& message, std::span<const int> fds, std::string_view tail) {
  if (!Tell(message, fds, tail)) return false;
  for (;;) {
    Receive(socket_.get(), packet_, 0);  // returns without a message after the timeout
    if (packet_.result != keeper::Packet::Result::kMessage) {
      Close();
      return false;
    }
    if (packet_.type() != keeper::Type::kPing) return true;
    Tell(keeper::Pong{});
  }
}

// The error in packet_, if it is one.
std::optional<Error> KeeperLink::Failure() const {
  std::string_view text;
  const auto failed = packet_.As<keeper::Failed>(&text);
  if (packet_.type() != keeper::Type::kFailed || !failed || failed->size != text.size()) return {};
  const std::string_view code(failed->code, strnlen(failed->code, sizeof failed->code));
  return Error{std::string(code), std::string(text)};
}

// The keeper's reply was none. Its next one would be taken for the reply to another request.
Error KeeperLink::Nonsense() {
  Close();
  return KeeperFailed("its reply makes no sense");
}

void KeeperLink::Close() {
  socket_.Close();
  if (lost_) lost_();
}

}  // namespace reeve
