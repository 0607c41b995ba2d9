#include "orchestrator/store/disk_reserve.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "process/regular_file.h"

namespace reeve {

namespace {

constexpr int64_t kLeastBytes = 4096;  // a block of most file systems
constexpr uint64_t kShare = 8;         // of the room that is left

}  // namespace

DiskReserve::DiskReserve(std::string path) : path_(std::move(path)) {
  struct stat there {};
  struct statvfs disk {};
  if (lstat(path_.c_str(), &there) == 0 && there.st_size > 0) {
    bytes_ = std::min<int64_t>(there.st_size, kBytes);
  } else if (statvfs(path_.substr(0, path_.rfind('/') + 1).c_str(), &disk) == 0) {
    bytes_ = static_cast<int64_t>(std::min<uint64_t>(disk.f_bavail * disk.f_frsize / kShare, kBytes));
  }
}

void DiskReserve::Take() const {
  auto file = OpenRegularFile(path_, O_WRONLY | O_CREAT);
  if (!file) return;
  int64_t taken = 0;
  for (int64_t more = bytes_; more >= kLeastBytes;) {
    if (posix_fallocate(file->get(), taken, more) == 0) {
      taken += more;
      more = std::min(more, bytes_ - taken);
    } else {
      more /= 2;
    }
  }
}

void DiskReserve::Release() const { (void)unlink(path_.c_str()); }

}  // namespace reeve
