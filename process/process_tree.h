// ProcessTree: the processes that descend from one child, wherever they went: each may have left its group,
// its session and its parent. Owned by a Child; `parent` must outlive it.
//
// These processes belong to the tree: those that the kernel shows below the child; those in its cgroup, where
// there is one; and among the orphans that the parent adopted, those that carry the child's marker in their
// environment, are in its process group, or were seen in the tree before. Without a cgroup, a process escapes
// only if it wiped its environment *and* left the group *and* lost its parent before anyone looked.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "process/cgroup.h"
#include "process/proc.h"
#include "process/process_parent.h"

namespace reeve {

class ProcessTree {
 public:
  // `root` is a child of `parent` that is not reaped while the tree lives, so that its pid still names its
  // group. `terminated`: the members that an earlier daemon has sent TERM to.
  ProcessTree(ProcessParent& parent, pid_t root, std::string marker, std::unique_ptr<Cgroup> cgroup,
              std::vector<ProcessId> terminated = {})
      : parent_(parent),
        root_(root),
        marker_(std::move(marker)),
        cgroup_(std::move(cgroup)),
        terminated_(std::move(terminated)) {}

  // The living members, the root first.
  [[nodiscard]] std::vector<ProcessId> Members() const;

  // Whether no other process lives, after the root has exited. Cheap: it looks at the cgroup if there is one,
  // else at our own children, and shares that look with other trees. False also if the processes change too
  // fast to know.
  [[nodiscard]] bool Empty() const;

  // Sends TERM to each member that has not got one yet, then CONT to wake the stopped ones.
  void Terminate();
  // Sends KILL to all members, until a look finds no new one. Repeat it until Empty(): a look may miss a
  // process that is being forked.
  void Kill();

  [[nodiscard]] const Cgroup* cgroup() const { return cgroup_.get(); }
  // To be called once the tree is empty, or once we gave up.
  void RemoveCgroup() { cgroup_.reset(); }
  // Leaves the cgroup's folder to its new owner.
  void ReleaseCgroup() {
    if (cgroup_) cgroup_->Release();
    cgroup_.reset();
  }

  // The parts that a checkpoint holds, besides the cgroup's path.
  [[nodiscard]] const std::string& marker() const { return marker_; }
  [[nodiscard]] const std::vector<ProcessId>& terminated() const { return terminated_; }

 private:
  [[nodiscard]] bool Claims(const ProcessStat& orphan) const;
  void EachMember(const std::function<bool(const ProcessId&)>& act) const;

  ProcessParent& parent_;
  pid_t root_;
  std::string marker_;
  std::unique_ptr<Cgroup> cgroup_;
  std::vector<ProcessId> terminated_;  // TERM was sent to them; also remembered as members
};

}  // namespace reeve
