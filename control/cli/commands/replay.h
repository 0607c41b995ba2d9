// `reeve replay`: plays a transcript (orchestrator/log/transcript.h) back as the agent that it was taken of:
// what the agent said is said again, what it was told is waited for. On stdin and stdout, or, where the agent
// was a server (opencode, kilo), by HTTP. Of a transcript of several processes, one after the other, it plays
// all as one.
#pragma once

#include <cstdint>
#include <string>

namespace reeve {

struct ReplayOptions {
  std::string file;
  double speed = 1;   // times the recording's pace
  bool fast = false;  // as fast as it goes
};

// The exit code for the shell. Ends with the recording, once stdin ends too; earlier when stdin ends while
// more was told in the recording, or when nobody reads. As a server it ends by a signal.
int Replay(const ReplayOptions& options);

// How long to wait before the next line.
int64_t PauseMs(const ReplayOptions& options, int64_t last_ms, int64_t next_ms);

}  // namespace reeve
