// The exit codes of the command line: control/api/API.md, "Command line". Codes from 64 on are those of
// sysexits(3); 124 is that of timeout(1), 130 and 141 (128 and the signal) are those of the shells. A run's
// own exit code is passed on unchanged.
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
  kNoSuchAgent = 66,  // or no such approval, message or file
  kUnreachable = 69,
  kIoError = 74,
  kTryLater = 75,
  kRefused = 77,
  kBadConfig = 78,
  kTimedOut = 124,
  kCancelled = 130,
  kHungUp = 141
};

// Each code with its meaning, for the manual.
const std::vector<std::pair<int, const char*>>& ExitCodes();

// For the code of an error of the daemon, or of Client.
int ExitCodeOf(const Error& error);
// A hint for the end of the error's line: "is the daemon running? …". Empty: there is none.
const char* HintFor(const Error& error);

}  // namespace reeve
