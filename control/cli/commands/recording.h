// Recording: a transcript (orchestrator/log/transcript.h), read to be played back. A value.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "process/result.h"

namespace reeve {

struct RecordedLine {
  enum class Dir { kIn, kErr, kOut } dir = Dir::kIn;
  int64_t time_ms = 0;   // wall clock
  std::string text;      // bytes
  bool partial = false;  // goes on in the next of its kind
};

// Error: what cannot be read, or which line is none of a transcript.
Result<std::vector<RecordedLine>> ReadRecording(const std::string& path);

}  // namespace reeve
