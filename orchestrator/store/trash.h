// Trash: folders that are to go, trees that an agent filled as it liked among them. Their name is free at
// once, by a rename; what they hold is removed on the pool, without following a link, one tree at a time: a
// clone has a hundred thousand files, and others need the pool's few threads. The removal stops when the
// Trash ends: what a daemon did not get to, the next one does.
//
// Owned by the Town; on the loop's thread.
#pragma once

#include <atomic>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "process/result.h"

namespace reeve {

class Loop;

class Trash {
 public:
  // `folder` is to be on the same filesystem as what is thrown away; it is made by Open.
  Trash(Loop& loop, std::string folder) : loop_(loop), folder_(std::move(folder)) {}
  ~Trash() { *ended_ = true; }
  Trash(const Trash&) = delete;
  Trash& operator=(const Trash&) = delete;

  Status Open();
  // The folder is gone when this returns; one that is not there is no matter. A failure is in the log.
  void Take(const std::string& path);
  // Every entry of `folder` that is not in `known` (sorted names): what was made for an agent that never was.
  void TakeUnknown(const std::string& folder, const std::vector<std::string>& known);

 private:
  void RemoveNext();

  Loop& loop_;
  const std::string folder_;
  std::deque<std::string> waiting_;
  bool removing_ = false;
  const std::shared_ptr<std::atomic<bool>> ended_ = std::make_shared<std::atomic<bool>>(false);
};

// Removes a tree: links are not followed, folders that may not be written are made so. Blocks as long as the
// tree is large, or until `stop`. Error "os_error": the first of what could not be removed.
Status RemoveTree(const std::string& path, const std::atomic<bool>& stop);

}  // namespace reeve
