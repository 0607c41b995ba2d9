#include "process/result.h"

#include <cstring>

namespace reeve {

Error OsError(std::string what, int err) {
  char buffer[128];
  // The GNU strerror_r: returns the text, which need not be in `buffer`.
  return Error{"os_error", std::move(what) + ": " + strerror_r(err, buffer, sizeof buffer)};
}

}  // namespace reeve
