// DiskSync: writes everything that is in some folders to their disks, by syncfs(2). One sync runs at a time;
// callers that ask during one share the next. A sync can take arbitrarily long and cannot be stopped, so
// DiskSync uses one thread of the pool and never more.
//
// On the loop's thread. Destroying it cancels pending callbacks.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "process/result.h"

namespace reeve {

class Loop;

class DiskSync {
 public:
  using Done = std::function<void(const Status&)>;

  // Syncs the filesystems that hold `folders`, which must exist when Sync() is called.
  DiskSync(Loop& loop, std::vector<std::string> folders) : loop_(loop), folders_(std::move(folders)) {}
  DiskSync(const DiskSync&) = delete;
  DiskSync& operator=(const DiskSync&) = delete;

  // `done` is never called from within Sync(). Error "os_error".
  void Sync(Done done);

 private:
  void Begin();

  Loop& loop_;
  const std::vector<std::string> folders_;
  std::vector<Done> waiting_;
  bool busy_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace reeve
