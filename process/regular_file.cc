#include "process/regular_file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

namespace reeve {

Result<Fd> OpenRegularFile(const std::string& path, int flags, mode_t mode) {
  Fd file(open(path.c_str(), flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, mode));
  const int failure = errno;
  struct stat about {};
  const bool seen = file.valid() ? fstat(file.get(), &about) == 0 : stat(path.c_str(), &about) == 0;
  if (seen && !S_ISREG(about.st_mode)) return Error{"os_error", path + " is not a regular file"};
  if (!file.valid()) return OsError("open " + path, failure);
  return file;
}

}  // namespace reeve
