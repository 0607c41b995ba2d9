// The protocol between the daemon and its keeper: the messages, as they lie in memory. PROTOCOL.md says what
// they mean. Each message is one packet of an AF_UNIX SOCK_SEQPACKET socket: one of these structs, in the
// byte order of the machine, for some types followed by text, and descriptors beside it (SCM_RIGHTS).
//
// A room of its own, because the keeper is a program of its own: this folder uses no libuv, JSON or log.h.
#pragma once

#include <cstddef>
#include <cstdint>

namespace reeve::keeper {

inline constexpr uint32_t kProtocolVersion = 1;  // the latest that this program speaks
inline constexpr uint32_t kOldestVersion = 1;    // the earliest that it still speaks
inline constexpr size_t kBatch = 64;             // descriptors in one message at most; the kernel takes 253
inline constexpr size_t kMaxMessageBytes = size_t{16} << 10;
inline constexpr size_t kMaxSpecBytes = size_t{8} << 20;  // the kernel takes 6 MiB of arguments
inline constexpr uint64_t kFirstFreeKey = 100;            // keys below it have fixed meanings

enum class Type : uint32_t {
  kHello = 1,
  kWelcome = 2,
  kNextHeld = 3,
  kHeld = 4,
  kNextChild = 5,
  kChildren = 6,
  kKeep = 7,
  kDrop = 8,
  kSpawn = 9,
  kSpawned = 10,
  kFailed = 11,
  kExitOf = 12,
  kExit = 13,
  kReap = 14,
  kLook = 15,
  kLooked = 16,
  kReady = 17,
  kBye = 18,
  kPing = 19,
  kPong = 20,
  kUpgrade = 21,
};

struct Hello {  // the same in all versions
  Type type = Type::kHello;
  uint32_t version = kProtocolVersion;  // the latest that the daemon speaks
};

struct Welcome {
  Type type = Type::kWelcome;
  uint32_t version = kProtocolVersion;  // the one that both ends use from now on
  uint64_t restarts = 0;                // deaths of daemons that this keeper has seen
  int32_t last_code = 0;                // how the last daemon died: its exit code, or -1 for a signal
  int32_t last_signal = 0;  // that signal; both 0: no daemon has died, or the last one ended for an upgrade
  int32_t keeper_pid = 0;
  uint32_t children = 0;  // held ones
  uint64_t held = 0;      // held descriptors
  uint64_t next_key = 0;  // greater than all keys that were ever used, and at least kFirstFreeKey
};

struct NextHeld {
  Type type = Type::kNextHeld;
  uint32_t zero = 0;
  uint64_t key = 0;  // asks for the held descriptors with this key and greater ones
};

struct Held {  // with `count` descriptors
  Type type = Type::kHeld;
  uint32_t count = 0;
  uint64_t more = 0;  // 0: these were the last; otherwise the key to ask for next
  uint64_t keys[kBatch] = {};
};

struct NextChild {
  Type type = Type::kNextChild;
  int32_t pid = 0;  // asks for the held children with this pid and greater ones
};

struct Children {  // with `count` pidfds
  Type type = Type::kChildren;
  uint32_t count = 0;
  int32_t more = 0;  // 0: these were the last; otherwise the pid to ask for next
  int32_t pids[kBatch] = {};
};

struct Keep {  // with one descriptor; no reply
  Type type = Type::kKeep;
  uint32_t zero = 0;
  uint64_t key = 0;
};

struct Drop {  // no reply
  Type type = Type::kDrop;
  uint32_t zero = 0;
  uint64_t key = 0;
};

// With three descriptors, the child's stdin, stdout and stderr, and followed by `size` bytes, the spec
// (spec.h). A spec that is too long for a message is in a memfd, a descriptor before the three; `size` is 0.
struct Spawn {
  Type type = Type::kSpawn;
  uint32_t size = 0;
};

struct Spawned {  // with the pidfd
  Type type = Type::kSpawned;
  int32_t pid = 0;
};

struct Failed {  // followed by `size` bytes: the message
  Type type = Type::kFailed;
  uint32_t size = 0;
  char code[24] = {};  // ends in NUL
};

struct ExitOf {
  Type type = Type::kExitOf;
  int32_t pid = 0;
};

struct Exit {
  Type type = Type::kExit;
  uint32_t exited = 0;
  int32_t code = -1;   // exit code, or -1 when a signal ended it
  int32_t signal = 0;  // that signal, or 0
  uint64_t user_us = 0;
  uint64_t system_us = 0;
};

struct Reap {  // no reply
  Type type = Type::kReap;
  int32_t pid = 0;
};

struct Look {
  Type type = Type::kLook;
  uint32_t zero = 0;
};

struct Looked {
  Type type = Type::kLooked;
  uint32_t complete = 0;
  uint64_t reaped = 0;  // orphans in the life of the keeper
};

struct Ready {  // no reply
  Type type = Type::kReady;
  uint32_t zero = 0;
};

struct Bye {  // no reply
  Type type = Type::kBye;
  int32_t code = 0;  // 0 to 255
};

struct Ping {  // from the keeper
  Type type = Type::kPing;
  uint32_t zero = 0;
};

struct Pong {  // no reply
  Type type = Type::kPong;
  uint32_t zero = 0;
};

struct Upgrade {  // followed by two paths; no reply
  Type type = Type::kUpgrade;
  uint32_t program_size = 0;
  uint32_t keeper_size = 0;
  uint32_t zero = 0;
};

}  // namespace reeve::keeper
