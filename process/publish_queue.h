// PublishQueue: the effects of one agent's turn that must not happen before the turn is on disk: input for
// its children, and things that the next daemon would miss if this one were killed now. Members of a turn
// call the functions at any time; the owner calls Publish() when it has committed the turn.
//
// Owned by an AgentProcess; outlives the children that use it. On the loop's thread.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

namespace reeve {

class ProcessParent;

class PublishQueue {
 public:
  class Member {
   public:
    virtual void Publish() = 0;

   protected:
    ~Member() = default;
  };

  // `changed` is called when something waits for the next Publish.
  PublishQueue(ProcessParent& parent, std::function<void()> changed)
      : parent_(parent), changed_(std::move(changed)) {}
  ~PublishQueue() {
    Publish();
    Publish();  // what the members dropped in the first one
  }
  PublishQueue(const PublishQueue&) = delete;
  PublishQueue& operator=(const PublishQueue&) = delete;

  // Calls member.Publish() once. A member that ends earlier must leave.
  void Add(Member& member);
  void Leave(Member& member);
  // Lets the parent drop this descriptor, or bury this child.
  void Drop(uint64_t key);
  void Bury(pid_t pid);

  void Publish();

 private:
  ProcessParent& parent_;
  const std::function<void()> changed_;
  std::vector<Member*> members_;
  std::vector<uint64_t> dropped_;
  std::vector<pid_t> dead_;
};

}  // namespace reeve
