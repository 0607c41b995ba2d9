// DiskReserve: room on a disk that is kept for what must be written although the disk is full, as the end of
// an agent: a file that is given up for the length of such a write. It has kBytes, or an eighth of what a
// small disk had left. Owned by the Store; on one thread at a time.
#pragma once

#include <cstdint>
#include <string>

namespace reeve {

class DiskReserve {
 public:
  static constexpr int64_t kBytes = int64_t{4} << 20;

  // Keeps the size of a reserve that an earlier daemon took.
  explicit DiskReserve(std::string path);

  // Takes the room, or as much of it as the disk has. It may wait for the disk.
  void Take() const;
  // Gives the room back to the disk.
  void Release() const;

 private:
  std::string path_;
  int64_t bytes_ = 0;
};

}  // namespace reeve
