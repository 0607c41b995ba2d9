// SmallDisk: a tmpfs in a mount namespace of this process, to be filled up. It is gone with the process. Only
// root can mount it.
#pragma once

#include <string>

#include "tests/support/loop_fixture.h"

namespace reeve {

class SmallDisk {
 public:
  // `options` as mount(8) has them for a tmpfs: "size=2m".
  explicit SmallDisk(const std::string& options);
  ~SmallDisk();
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;

  // Empty: it is mounted.
  [[nodiscard]] const std::string& why_not() const { return why_not_; }
  [[nodiscard]] const std::string& path() const { return dir_.path(); }

  void Fill() const;
  void MakeRoom() const;  // removes what Fill wrote

 private:
  TempDir dir_;
  std::string why_not_;
};

}  // namespace reeve
