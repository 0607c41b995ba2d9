// `reeve replay`: plays a transcript (orchestrator/transcript.h) back as the agent that it was taken of, on
// stdin and stdout: what the agent said is said again, what it was told is waited for.
#pragma once

#include <string>
#include <vector>

namespace reeve {

struct ReplayOptions {
  std::string file;
  double speed = 1;   // times the recording's pace
  bool fast = false;  // as fast as it goes
};

// The exit code for the shell. Ends with the recording, once stdin ends too; earlier when stdin ends while
// more was told in the recording, or when nobody reads.
int Replay(const ReplayOptions& options);

}  // namespace reeve
