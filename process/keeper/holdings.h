// Holdings: all that outlives a daemon: descriptors under keys, and children that were spawned on request.
// Owned by the Keeper. It also reaps the children that nobody owns, the orphans of agents.
//
// A held child that has exited stays a zombie until Reap: so its pid goes on naming its process group, and
// the kernel remembers its exit status.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>

#include "process/fd.h"
#include "process/keeper/protocol.h"

namespace reeve::keeper {

struct Holdings {
  // The state of a held child.
  struct End {
    bool exited = false;
    int code = -1;
    int signal = 0;
    uint64_t user_us = 0;
    uint64_t system_us = 0;
  };

  std::map<uint64_t, Fd> fds;
  std::set<pid_t> children;
  uint64_t next_key = kFirstFreeKey;  // greater than all keys that were ever used

  uint64_t reaped = 0;  // orphans so far

  size_t most_fds = SIZE_MAX;  // more are not held, so that the keeper can always start a daemon

  // Holds `fd` under `key`, instead of an earlier one. False: there are too many.
  bool Keep(uint64_t key, Fd fd);
  // Nothing if `pid` is no held child.
  [[nodiscard]] std::optional<End> EndOf(pid_t pid) const;
  // Takes the exit status and forgets the child. A child that still runs becomes an orphan, which ReapOrphans
  // reaps. False: `pid` is no held child.
  bool Reap(pid_t pid);
  // Reaps all children that have exited, except held ones and `daemon`. Repeats that while it reaps one,
  // because a process that exits leaves its own children to us. False: processes exit faster than it looks.
  bool ReapOrphans(pid_t daemon);
};

}  // namespace reeve::keeper
