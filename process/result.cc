#include "process/result.h"

#include <cerrno>
#include <cstring>

namespace reeve {

Error OsError(std::string what, int err) {
  char buffer[128];
  // This is the GNU strerror_r: it returns the text, which need not be in `buffer`.
  const bool no_descriptors = err == EMFILE || err == ENFILE;
  const bool full = err == ENOSPC || err == EDQUOT || err == EFBIG;
  return Error{no_descriptors ? "no_descriptors"
               : full         ? "disk_full"
                              : "os_error",
               std::move(what) + ": " + strerror_r(err, buffer, sizeof buffer)};
}

}  // namespace reeve
