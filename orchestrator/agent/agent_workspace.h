// AgentWorkspace: the folder in which one agent works. It is a clone that is made before the process starts,
// if the spec wants one; otherwise it is the spec's `cwd`. It knows whether uncommitted work is still to be
// saved.
//
// Owned by its Agent; on the loop's thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "orchestrator/workspace/workspace.h"
#include "process/result.h"

namespace reeve {

struct AgentContext;
struct AgentSpec;

class AgentWorkspace {
 public:
  using Append = std::function<void(std::string_view type, const std::string& data)>;
  // The state of uncommitted work during a drain. kNothing: all of it is saved, or that failed. kWaits:
  // saving has not begun, because the process still runs or it is not this agent's turn. kPushes: it is
  // committed, and only the push is not finished.
  enum class WipState { kNothing, kWaits, kSaves, kPushes };

  // `append` appends events to the agent's log.
  AgentWorkspace(AgentContext& context, const AgentSpec& spec, Append append);

  // The folder of the process, absolute. Without a clone and `cwd`: the home of the daemon's user.
  [[nodiscard]] std::string Folder() const;
  // Its clone, or its folder: where its changes are.
  [[nodiscard]] std::string Root() const { return clone_ ? clone_->path() : Folder(); }
  // The folder is ready, so the process can be started.
  [[nodiscard]] bool there() const { return !clone_ || clone_->there(); }
  [[nodiscard]] bool preparing() const { return clone_ && clone_->preparing(); }
  // Makes the clone. `done` is called later, unless Cancel() is called first.
  void Prepare(std::function<void(Status)> done);
  void Cancel();
  // A last check before a process is started. Error "workspace_failed".
  [[nodiscard]] Status Check() const;
  // A process begins to work in the folder.
  void OnProcessStarted();
  // A drain calls this repeatedly until it returns kNothing. `begin` permits saving to begin now.
  WipState SaveWip(bool begin, int64_t timeout_ms);

  // Also in the record of the store: work that a crash or a failed push left unsaved is saved by the next
  // drain.
  static void Record(auto& self, auto& state) { state("unsaved_work", self.unsaved_); }
  static void Members(auto& self, auto& state) { state("unsaved", self.unsaved_); }

 private:
  AgentContext& context_;
  const AgentSpec& spec_;
  const Append append_;
  std::unique_ptr<Workspace> clone_;  // null: the spec wants no clone
  bool unsaved_ = false;              // a process has worked in the clone since its work was saved
  bool saving_ = false;
  bool tried_ = false;  // this drain has saved its work, or could not
};

}  // namespace reeve
