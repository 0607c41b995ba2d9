// ProcessTree: the processes that descend from one child, wherever they went: each may have left its group,
// its session and its parent. Owned by a Child; `reaper` must outlive it.
//
// Belongs to the tree: what the kernel shows below the child; what lives in its cgroup, where there is one;
// and of the orphans that we adopted those that carry the child's marker in their environment, are in its
// process group, or were seen in the tree before. Without a cgroup only a process that wiped its environment
// *and* left the group *and* lost its parent before anyone looked can escape.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "process/cgroup.h"
#include "process/proc.h"
#include "process/reaper.h"

namespace reeve {

class ProcessTree {
 public:
  // `root` is a child of ours that is not reaped while the tree lives, so that its pid still names its group.
  // `told`: those of it that got their TERM already, by an earlier image of this daemon.
  ProcessTree(Reaper& reaper, pid_t root, std::string marker, std::unique_ptr<Cgroup> cgroup,
              std::vector<ProcessId> told = {})
      : reaper_(reaper),
        root_(root),
        marker_(std::move(marker)),
        cgroup_(std::move(cgroup)),
        told_(std::move(told)) {}

  // Those that live, the root first.
  [[nodiscard]] std::vector<ProcessId> Members() const;

  // After the root has exited: whether nothing else lives. Cheap: looks at the cgroup if there is one, else
  // at our own children, and shares that look with others.
  [[nodiscard]] bool Empty() const;

  // TERM, then CONT for the stopped ones, to each member that has not been told yet.
  void Terminate();
  // KILL to all. To be repeated until Empty(): one that forks may be missed.
  void Kill();

  [[nodiscard]] const Cgroup* cgroup() const { return cgroup_.get(); }
  // Once the tree is empty, or given up.
  void RemoveCgroup() { cgroup_.reset(); }
  // Its folder is another's now.
  void ReleaseCgroup() {
    if (cgroup_) cgroup_->Release();
    cgroup_.reset();
  }

  // What a handover carries, besides the cgroup's path.
  [[nodiscard]] const std::string& marker() const { return marker_; }
  [[nodiscard]] const std::vector<ProcessId>& told() const { return told_; }

 private:
  [[nodiscard]] bool Claims(const ProcessStat& orphan) const;

  Reaper& reaper_;
  pid_t root_;
  std::string marker_;
  std::unique_ptr<Cgroup> cgroup_;
  std::vector<ProcessId> told_;  // got their TERM; also remembered as ours
};

}  // namespace reeve
