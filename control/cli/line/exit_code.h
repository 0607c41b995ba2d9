// The exit codes of the command line: control/api/API.md, "Command line"; 64 and up from sysexits(3), 124 and
// 130 as timeout(1) and the shells have them. A run's own code is passed on as it is.
#pragma once

#include <utility>
#include <vector>

#include "process/result.h"

namespace reeve {

enum ExitCode {
  kOk = 0,
  kFailed = 1,
  kUsage = 64,
  kDataError = 65,
  kNoSuchAgent = 66,  // and no such approval, message or file
  kUnreachable = 69,
  kIoError = 74,  // what was said could not be written
  kTryLater = 75,
  kRefused = 77,
  kBadConfig = 78,
  kTimedOut = 124,
  kCancelled = 130
};

// What they say, for the manual.
const std::vector<std::pair<int, const char*>>& ExitCodes();

// By the error's code: the daemon's own, and those of Client.
int ExitCodeOf(const Error& error);
// What to do about it, as the end of the line that tells of it: "is the daemon running? …". Empty: nobody
// knows.
const char* HintFor(const Error& error);

}  // namespace reeve
