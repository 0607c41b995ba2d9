#include "process/process_tree.h"

#include <algorithm>
#include <csignal>
#include <unordered_set>

namespace reeve {

namespace {

bool Contains(const std::vector<ProcessId>& list, const ProcessId& one) {
  return std::find(list.begin(), list.end(), one) != list.end();
}

constexpr int kPasses = 20;  // over a tree that changes as we look at it; the owner comes back

bool AllLive(const std::vector<ProcessStat>& processes) {
  return std::all_of(processes.begin(), processes.end(), [](const ProcessStat& process) {
    auto now = StatProcess(process.id.pid);
    return now && now->id == process.id && !now->ending;
  });
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
  for (const ProcessStat& orphan : parent_.Adopted()) {
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
  for (int pass = 0; pass < kPasses; ++pass) {
    if (cgroup_ && !cgroup_->Populated()) return true;
    if (cgroup_) {
      if (!Members().empty()) return false;
    } else {
      const auto& adopted = parent_.Adopted();
      if (std::any_of(adopted.begin(), adopted.end(),
                      [this](const ProcessStat& orphan) { return !orphan.zombie && Claims(orphan); }))
        return false;
      // A process that ended while we looked may have been of the tree, and may have left a child that we did
      // not see.
      if (parent_.complete() && AllLive(adopted)) return true;
    }
    parent_.Forget();
  }
  return cgroup_ != nullptr;  // the kernel may count zombies as members
}

void ProcessTree::Terminate() {
  EachMember([this](const ProcessId& member) {
    if (Contains(terminated_, member)) return false;
    SignalProcess(member, SIGTERM);
    SignalProcess(member, SIGCONT);
    terminated_.push_back(member);
    return true;
  });
}

void ProcessTree::Kill() {
  if (cgroup_) cgroup_->Kill();
  std::unordered_set<pid_t> killed;  // a pid is not used again so soon
  EachMember([&killed](const ProcessId& member) {
    SignalProcess(member, SIGKILL);
    return killed.insert(member.pid).second;
  });
}

// Calls `act` with each member, and again with all of them while it returns true for one, which was new: a
// process may fork while we look.
void ProcessTree::EachMember(const std::function<bool(const ProcessId&)>& act) const {
  bool found = true;
  for (int pass = 0; pass < kPasses && found; ++pass) {
    found = false;
    for (const ProcessId& member : Members()) found |= act(member);
    if (pass > 0) parent_.Forget();  // the first repetition shares a look with other trees
  }
}

}  // namespace reeve
