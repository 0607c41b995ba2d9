// Opening a file that must be a regular one, whoever may have put something else in its place.
#pragma once

#include <sys/types.h>

#include <string>

#include "process/fd.h"
#include "process/result.h"

namespace reeve {

// `flags` and `mode` are those of open(2); O_CLOEXEC is added. Neither waits for the other end of a FIFO nor
// acts on a device. Errors of OsError; "os_error" also for anything that is not a regular file.
Result<Fd> OpenRegularFile(const std::string& path, int flags, mode_t mode = 0600);

}  // namespace reeve
