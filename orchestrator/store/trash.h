// Trash: removes folders, including trees that an agent filled as it liked. It renames a folder first, so
// that its name is free at once. It then removes the contents on the pool, without following links, one tree
// at a time: a clone has a hundred thousand files, and others need the pool's few threads. The removal stops
// when the Trash is destroyed; the next daemon removes the rest.
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
  // `folder` must be on the same filesystem as the folders to remove. Open makes it.
  Trash(Loop& loop, std::string folder) : loop_(loop), folder_(std::move(folder)) {}
  ~Trash() { *ended_ = true; }
  Trash(const Trash&) = delete;
  Trash& operator=(const Trash&) = delete;

  Status Open();
  // The folder is gone when this returns; it need not exist. A failure is logged.
  void Take(const std::string& path);
  // Takes every entry of `folder` that is not in `known` (sorted names). Such an entry belongs to an agent
  // that does not exist.
  void TakeUnknown(const std::string& folder, const std::vector<std::string>& known);

 private:
  void RemoveNext();

  Loop& loop_;
  const std::string folder_;
  std::deque<std::string> waiting_;
  bool removing_ = false;
  const std::shared_ptr<std::atomic<bool>> ended_ = std::make_shared<std::atomic<bool>>(false);
};

// Removes a tree. It follows no links, and makes folders writable where necessary. Blocks for as long as the
// tree is large, or until `stop`. Error "os_error": the first entry that could not be removed.
Status RemoveTree(const std::string& path, const std::atomic<bool>& stop);

}  // namespace reeve
