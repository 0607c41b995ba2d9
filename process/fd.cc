#include "process/fd.h"

#include <fcntl.h>
#include <sys/resource.h>

#include <vector>

namespace reeve {

size_t FreeDescriptors(size_t enough) {
  std::vector<Fd> opened;
  while (opened.size() < enough) {
    Fd fd(open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (!fd.valid()) break;
    opened.push_back(std::move(fd));
  }
  return opened.size();
}

void RaiseDescriptorLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  (void)setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace reeve
