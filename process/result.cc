#include "process/result.h"

#include <cstring>

namespace reeve {

Error OsError(std::string what, int err) {
  char buffer[128];
  // This is the GNU strerror_r: it returns the text, which need not be in `buffer`.
  return Error{"os_error", std::move(what) + ": " + strerror_r(err, buffer, sizeof buffer)};
}

}  // namespace reeve
