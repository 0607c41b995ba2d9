// The keeper survives whatever a daemon sends, leaks no descriptor, answers in order, and holds no more than
// it was given. Also the bytes of a spec and of a saved state: what is accepted comes back as it was.
//
// The input is a list of messages: a byte with the number of descriptors, two bytes with the size, and the
// bytes of the message. The descriptors are memfds with the rest of the input, so that the message can be a
// Spawn and the rest its spec. The highest bit of the first byte puts a Hello before all.
#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

#include "process/keeper/keeper_state.h"
#include "process/keeper/session.h"
#include "process/keeper/spec.h"
#include "process/keeper/wire.h"

namespace {

using reeve::Fd;

constexpr uint8_t kDescriptors = 7;  // so many at most
constexpr uint8_t kHello = 0x80;

void Check(bool holds) {
  if (!holds) std::abort();
}

// A child that lives as long as this process, in place of all that would be spawned.
pid_t TheChild() {
  static const pid_t child = [] {
    const pid_t pid = fork();
    if (pid == 0) {
      for (;;) pause();
    }
    static const struct Killer {
      explicit Killer(pid_t the_pid) : pid(the_pid) {}
      ~Killer() { kill(pid, SIGKILL); }
      pid_t pid;
    } killer(pid);
    return pid;
  }();
  return child;
}

reeve::Result<reeve::Started> PretendToSpawn(const reeve::SpawnSpec& spec, const std::array<int, 3>& stdio) {
  for (const int fd : stdio) Check(fcntl(fd, F_GETFD) == FD_CLOEXEC);
  if (spec.argv.empty()) return reeve::Error{"spawn_failed", "no program given"};
  return reeve::Started{TheChild(), Fd(static_cast<int>(syscall(SYS_pidfd_open, TheChild(), 0)))};
}

size_t OpenNow() {
  size_t count = 0;
  DIR* folder = opendir("/proc/self/fd");
  Check(folder != nullptr);
  while (readdir(folder) != nullptr) ++count;
  closedir(folder);
  return count;
}

Fd Memfd(std::string_view bytes) {
  Fd memfd(memfd_create("fuzz", MFD_CLOEXEC));
  Check(write(memfd.get(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
  return memfd;
}

// Takes the replies, which must be messages of the keeper.
void TakeReplies(int socket) {
  static reeve::keeper::Packet packet;
  for (;;) {
    Receive(socket, packet, MSG_DONTWAIT);
    if (packet.result != reeve::keeper::Packet::Result::kMessage) break;
    switch (*packet.type()) {
      case reeve::keeper::Type::kWelcome:
      case reeve::keeper::Type::kHeld:
      case reeve::keeper::Type::kChildren:
      case reeve::keeper::Type::kSpawned:
      case reeve::keeper::Type::kFailed:
      case reeve::keeper::Type::kExit:
      case reeve::keeper::Type::kLooked:
        continue;
      default:
        std::abort();
    }
  }
  packet.fds.clear();
}

void FuzzSession(std::string_view input) {
  int ends[2];
  Check(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
  (void)fcntl(ends[0], F_SETFL, O_NONBLOCK);
  const Fd daemon(ends[1]);
  reeve::keeper::Holdings holdings;
  reeve::keeper::Session session(Fd(ends[0]), TheChild(), {}, holdings, PretendToSpawn);
  size_t given = 0;
  if (!input.empty() && (static_cast<uint8_t>(input[0]) & kHello) != 0)
    Check(Send(daemon.get(), reeve::keeper::Hello{}));
  while (input.size() >= 3 && session.active()) {
    const auto count = static_cast<size_t>(static_cast<uint8_t>(input[0]) & kDescriptors);
    const size_t size = static_cast<uint8_t>(input[1]) + (size_t{static_cast<uint8_t>(input[2])} << 8);
    input.remove_prefix(3);
    const std::string_view message = input.substr(0, size);
    input.remove_prefix(message.size());
    if (message.empty()) continue;
    const Fd memfd = count > 0 ? Memfd(input) : Fd();
    const std::vector<int> fds(count, memfd.get());
    Check(reeve::keeper::SendBytes(daemon.get(), message, {}, fds));
    given += count;
    session.Read();
    TakeReplies(daemon.get());
  }
  Check(holdings.fds.size() <= given);
  Check(holdings.fds.empty() || holdings.next_key > holdings.fds.rbegin()->first);
  Check(holdings.children.size() <= 1);
  session.ReadRest();
}

void FuzzBytes(std::string_view input) {
  if (const auto spec = reeve::keeper::DecodeSpec(input)) Check(reeve::keeper::EncodeSpec(*spec) == input);
  const Fd memfd = Memfd(input);
  const auto state = reeve::keeper::LoadState(memfd.get());
  if (!state) return;
  const auto saved = reeve::keeper::SaveState(*state);
  Check(saved.ok());
  const auto again = reeve::keeper::LoadState(saved->get());
  Check(again.ok() && again->fds == state->fds && again->children == state->children);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  (void)TheChild();
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t before = OpenNow();
  FuzzSession(input);
  FuzzBytes(input);
  Check(OpenNow() == before);
  return 0;
}
