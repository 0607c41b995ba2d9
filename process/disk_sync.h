// DiskSync: has all that was written to some folders on their disks, for whoever asks: syncfs(2), one at a
// time. Those who ask while one is under way share the next. It takes as long as the disk likes and cannot be
// stopped, so it takes one thread of the pool, never more.
//
// On the loop's thread. Ending it calls nobody any more.
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

  // The filesystems that these folders are on, which are there when somebody asks.
  DiskSync(Loop& loop, std::vector<std::string> folders) : loop_(loop), folders_(std::move(folders)) {}
  DiskSync(const DiskSync&) = delete;
  DiskSync& operator=(const DiskSync&) = delete;

  // `done` never comes within the call. Error "os_error".
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
