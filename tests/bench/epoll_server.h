// Two minimal servers to compare with: one thread, one epoll, no tickets, no disk, no history. They read the
// source's lines from a pipe, frame them once, as reeve does, and write the frames to all viewers.
#pragma once

#include "process/fd.h"

namespace reeve::bench {

enum class Writes {
  kEach,   // one write per viewer per event, from the shared frame
  kBatch,  // one write per viewer per loop turn, of all that is ready
};

// Serves the connections of `listener` (non-blocking) with the lines of `source`, until that ends. Every GET,
// of whatever target, gets the stream.
void RunEpollServer(Fd listener, Fd source, Writes writes);

}  // namespace reeve::bench
