// Finds out which process listens on a TCP port of this machine, for those who are about to send it a secret.
#pragma once

#include <cstdint>
#include <vector>

#include "process/proc.h"

namespace reeve {

// Whether a connection to this port of 127.0.0.1 reaches one of these processes: every socket that may accept
// it is held by one of them. False if nobody listens there, and for processes whose descriptors we may not
// see. A socket that is shared with a process outside of the list counts as theirs.
bool OnlyTheseListen(uint16_t port, const std::vector<ProcessId>& processes);

}  // namespace reeve
