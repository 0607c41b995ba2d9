#include "process/keeper/keeper_state.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstddef>
#include <cstring>
#include <string>
#include <type_traits>

namespace reeve::keeper {

namespace {

constexpr char kStateMagic[8] = {'r', 'e', 'e', 'v', 'e', 'k', 'p', 'r'};
constexpr off_t kMaxStateBytes = off_t{64} << 20;

struct SavedHeader {
  char magic[8] = {};
  uint32_t version = 0;
  uint32_t accepted = 0;  // the version, once a trial has read the state
  uint64_t restarts = 0;
  int32_t last_code = 0;
  int32_t last_signal = 0;
  int32_t delay_level = 0;
  int32_t stop_signal = 0;
  uint32_t was_ready = 0;
  uint32_t children = 0;  // so many int32_t follow behind the descriptors
  int64_t orphan_at_ms = 0;
  uint64_t soft_limit = 0;
  uint64_t next_key = 0;
  uint64_t fds = 0;          // so many SavedFd follow
  uint64_t before_size = 0;  // so many bytes of a path follow at last
};
static_assert(std::has_unique_object_representations_v<SavedHeader>);

struct SavedFd {
  uint64_t key = 0;
  int32_t fd = 0;
  uint32_t zero = 0;
};
static_assert(std::has_unique_object_representations_v<SavedFd>);

template <typename Struct>
void AppendTo(std::string& bytes, const Struct& part) {
  bytes.append(reinterpret_cast<const char*>(&part), sizeof part);
}

template <typename Struct>
Struct CutFrom(const char*& at) {
  Struct part;
  std::memcpy(&part, at, sizeof part);
  at += sizeof part;
  return part;
}

Result<std::string> ReadState(int memfd) {
  struct stat file {};
  if (fstat(memfd, &file) != 0) return OsError("the state", errno);
  if (!S_ISREG(file.st_mode) || file.st_size > kMaxStateBytes)
    return Error{"keeper_state", "the state is no file, or too large"};
  std::string bytes(static_cast<size_t>(file.st_size), '\0');
  if (pread(memfd, bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()))
    return Error{"keeper_state", "the state cannot be read"};
  return bytes;
}

}  // namespace

Result<Fd> SaveState(const KeeperState& state) {
  SavedHeader header;
  std::memcpy(header.magic, kStateMagic, sizeof kStateMagic);
  header.version = kStateVersion;
  header.restarts = state.restarts;
  header.last_code = state.last_code;
  header.last_signal = state.last_signal;
  header.delay_level = state.delay_level;
  header.stop_signal = state.stop_signal;
  header.was_ready = state.was_ready ? 1 : 0;
  header.children = static_cast<uint32_t>(state.children.size());
  header.orphan_at_ms = state.orphan_at_ms;
  header.soft_limit = state.soft_limit;
  header.next_key = state.next_key;
  header.fds = state.fds.size();
  header.before_size = state.program_before.size();
  std::string bytes;
  AppendTo(bytes, header);
  for (const auto& [key, fd] : state.fds) AppendTo(bytes, SavedFd{key, fd, 0});
  for (const pid_t pid : state.children) AppendTo(bytes, int32_t{pid});
  bytes += state.program_before;

  Fd memfd(memfd_create("reeve-keeper", MFD_CLOEXEC));
  if (!memfd.valid()) return OsError("memfd", errno);
  if (write(memfd.get(), bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size()))
    return OsError("memfd", errno);
  return memfd;
}

Result<KeeperState> LoadState(int memfd) {
  const auto bytes = ReadState(memfd);
  if (!bytes) return bytes.error();
  const Error malformed{"keeper_state", "the state is malformed"};
  if (bytes->size() < sizeof(SavedHeader)) return malformed;
  const char* at = bytes->data();
  const auto header = CutFrom<SavedHeader>(at);
  if (std::memcmp(header.magic, kStateMagic, sizeof kStateMagic) != 0) return malformed;
  if (header.version != kStateVersion) {
    return Error{"keeper_state", "the state has version " + std::to_string(header.version) +
                                     ", and this keeper reads version " + std::to_string(kStateVersion)};
  }
  const size_t rest = bytes->size() - sizeof header;
  if (header.fds > rest / sizeof(SavedFd) || header.before_size > rest ||
      rest != header.fds * sizeof(SavedFd) + header.children * sizeof(int32_t) + header.before_size)
    return malformed;
  KeeperState state;
  state.restarts = header.restarts;
  state.last_code = header.last_code;
  state.last_signal = header.last_signal;
  state.delay_level = header.delay_level;
  state.stop_signal = header.stop_signal;
  state.was_ready = header.was_ready != 0;
  state.orphan_at_ms = header.orphan_at_ms;
  state.soft_limit = header.soft_limit;
  state.next_key = header.next_key;
  for (uint64_t i = 0; i < header.fds; ++i) {
    const auto saved = CutFrom<SavedFd>(at);
    if (saved.fd <= 2 || saved.key >= header.next_key || !state.fds.emplace(saved.key, saved.fd).second)
      return malformed;
  }
  for (uint32_t i = 0; i < header.children; ++i) {
    const auto pid = CutFrom<int32_t>(at);
    if (pid <= 0 || !state.children.insert(pid).second) return malformed;
  }
  state.program_before.assign(at, header.before_size);
  return state;
}

bool MarkAccepted(int memfd) {
  return pwrite(memfd, &kStateVersion, sizeof kStateVersion, offsetof(SavedHeader, accepted)) ==
         sizeof kStateVersion;
}

// Any version is right: the new binary may read more than this one.
bool IsAccepted(int memfd) {
  uint32_t accepted = 0;
  return pread(memfd, &accepted, sizeof accepted, offsetof(SavedHeader, accepted)) == sizeof accepted &&
         accepted != 0;
}

}  // namespace reeve::keeper
