#include "tests/support/small_disk.h"

#include <sched.h>
#include <sys/mount.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

namespace reeve {

SmallDisk::SmallDisk(const std::string& options) {
  if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", "none", MS_REC | MS_PRIVATE, nullptr) != 0 ||
      mount("tmpfs", dir_.path().c_str(), "tmpfs", 0, options.c_str()) != 0) {
    why_not_ = std::strerror(errno);
  }
}

SmallDisk::~SmallDisk() {
  if (why_not_.empty()) umount2(dir_.path().c_str(), MNT_DETACH);
}

void SmallDisk::Fill() const {
  std::ofstream filler(path() + "/filler", std::ios::binary | std::ios::app);
  const std::string block(4096, '#');
  while (filler.write(block.data(), 4096).flush()) continue;
}

void SmallDisk::MakeRoom() const { std::filesystem::remove(path() + "/filler"); }

}  // namespace reeve
