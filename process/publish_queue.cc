#include "process/publish_queue.h"

#include <algorithm>
#include <utility>

#include "process/process_parent.h"

namespace reeve {

void PublishQueue::Add(Member& member) {
  if (std::find(members_.begin(), members_.end(), &member) != members_.end()) return;
  members_.push_back(&member);
  changed_();
}

void PublishQueue::Leave(Member& member) { std::erase(members_, &member); }

void PublishQueue::Drop(uint64_t key) {
  dropped_.push_back(key);
  changed_();
}

void PublishQueue::Bury(pid_t pid) {
  dead_.push_back(pid);
  changed_();
}

void PublishQueue::Publish() {
  // The members may add more, which belongs to the next turn: the checkpoint of this one still names it.
  const std::vector<uint64_t> dropped = std::exchange(dropped_, {});
  const std::vector<pid_t> dead = std::exchange(dead_, {});
  for (Member* member : std::exchange(members_, {})) member->Publish();
  for (uint64_t key : dropped) parent_.Drop(key);
  for (pid_t pid : dead) parent_.Bury(pid);
}

}  // namespace reeve
