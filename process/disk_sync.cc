#include "process/disk_sync.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "process/fd.h"
#include "process/loop.h"

namespace reeve {

void DiskSync::Sync(Done done) {
  waiting_.push_back(std::move(done));
  if (!busy_) Begin();
}

void DiskSync::Begin() {
  busy_ = true;
  auto synced = std::make_shared<Status>();
  // Its loss matters (the default): a thread that is in the middle of a sync would hold up the exec that ends
  // it.
  loop_.Offload(
      [synced, folders = folders_] {
        for (const std::string& folder : folders) {
          const Fd opened(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
          if (!opened.valid() || ::syncfs(opened.get()) != 0) *synced = OsError("sync " + folder, errno);
        }
      },
      [this, synced, served = std::exchange(waiting_, {}), alive = std::weak_ptr<bool>(alive_)] {
        if (alive.expired()) return;
        busy_ = false;
        if (!waiting_.empty()) Begin();
        for (const Done& done : served) {
          if (!alive.expired()) done(*synced);
        }
      });
}

}  // namespace reeve
