#include "process/process_tree.h"

#include <algorithm>
#include <csignal>
#include <unordered_set>

namespace reeve {

namespace {

bool Contains(const std::vector<ProcessId>& list, const ProcessId& one) {
  return std::find(list.begin(), list.end(), one) != list.end();
}

}  // namespace

bool ProcessTree::Claims(const ProcessStat& orphan) const {
  return orphan.group == root_ || Contains(terminated_, orphan.id) || HasMarker(orphan.id.pid, marker_);
}

std::vector<ProcessId> ProcessTree::Members() const {
  std::vector<ProcessId> members;
  std::unordered_set<pid_t> known;
  auto add = [&members, &known](const ProcessId& member) {
    if (known.insert(member.pid).second) members.push_back(member);
  };
  for (const ProcessId& member : Descendants(root_)) add(member);
  for (const ProcessStat& orphan : reaper_.Adopted()) {
    if (!Claims(orphan)) continue;
    for (const ProcessId& member : Descendants(orphan.id.pid)) add(member);
  }
  if (!cgroup_) return members;
  for (pid_t pid : cgroup_->Pids()) {
    auto stat = StatProcess(pid);
    if (stat && !stat->zombie) add(stat->id);
  }
  return members;
}

// Our own list of children is proof enough if we read it after the root's exit and it holds no process of the
// tree. That list is exact, and every process that still has a living parent in the tree has an ancestor that
// we adopted. An empty tree stays empty.
bool ProcessTree::Empty() const {
  if (cgroup_ && !cgroup_->Populated()) return true;
  if (cgroup_) return Members().empty();
  const auto& adopted = reaper_.Adopted();
  return std::none_of(adopted.begin(), adopted.end(),
                      [this](const ProcessStat& orphan) { return !orphan.zombie && Claims(orphan); });
}

void ProcessTree::Terminate() {
  for (const ProcessId& member : Members()) {
    if (Contains(terminated_, member)) continue;
    SignalProcess(member, SIGTERM);
    SignalProcess(member, SIGCONT);
    terminated_.push_back(member);
  }
}

void ProcessTree::Kill() {
  if (cgroup_) cgroup_->Kill();
  for (const ProcessId& member : Members()) SignalProcess(member, SIGKILL);
}

}  // namespace reeve
