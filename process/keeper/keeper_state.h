// KeeperState: all that a keeper leaves for a newer keeper, which its process executes (execve). It goes
// through a memfd: fixed structs, a version first. The held descriptors stay open over the exec; the state
// names them by number. Children stay children.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <set>
#include <string>

#include "process/fd.h"
#include "process/keeper/protocol.h"
#include "process/result.h"

namespace reeve::keeper {

inline constexpr uint32_t kStateVersion = 1;

// Times are of CLOCK_MONOTONIC, in milliseconds; -1 is never.
struct KeeperState {
  uint64_t restarts = 0;
  int last_code = 0;
  int last_signal = 0;
  int delay_level = 0;        // how often the delay before a restart was doubled
  int stop_signal = 0;        // the signal to stop that has arrived; 0: none
  bool was_ready = false;     // some daemon has said Ready
  int64_t orphan_at_ms = -1;  // when all descendants are stopped, unless a daemon is ready
  uint64_t soft_limit = 0;    // RLIMIT_NOFILE of the daemon
  uint64_t next_key = kFirstFreeKey;
  std::map<uint64_t, int> fds;  // by key
  std::set<pid_t> children;
  std::string program_before;  // the daemon's program before an upgrade that is not complete yet; empty: none
};

// A memfd with the state. Error: no memory, no descriptors.
Result<Fd> SaveState(const KeeperState& state);
// Error "keeper_state" says why this binary cannot continue with the state. Does not look at the descriptors
// and children that the state names.
Result<KeeperState> LoadState(int memfd);

// A trial: the old keeper lets the new binary read the state before it becomes that binary. The new one marks
// the state, because any other program might exit with 0.
bool MarkAccepted(int memfd);
bool IsAccepted(int memfd);

}  // namespace reeve::keeper
