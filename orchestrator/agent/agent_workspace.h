// AgentWorkspace: the folder one agent works in: a clone of its own that is made before its process is, where
// the spec wants one, otherwise the spec's `cwd`. Knows whether work in it is still to be saved.
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
  // Of work that a drain saves. kNothing: all of it is saved. kWaits: it has not begun, for the process or
  // for its turn. kPushes: it is committed, and only the network is waited for.
  enum class Saving { kNothing, kWaits, kSaves, kPushes };

  // `append` puts events into the agent's log.
  AgentWorkspace(AgentContext& context, const AgentSpec& spec, Append append);

  // Where the process works: absolute, or empty for the daemon's own.
  [[nodiscard]] std::string Folder() const;
  // The process can be started, as far as its folder is concerned.
  [[nodiscard]] bool there() const { return !clone_ || clone_->there(); }
  [[nodiscard]] bool preparing() const { return clone_ && clone_->preparing(); }
  // Makes the clone. `done` comes later, unless Cancel() does first.
  void Prepare(std::function<void(Status)> done);
  void Cancel();
  // The last look before a process is started. Error "workspace_failed".
  [[nodiscard]] Status Check() const;
  // A process begins to work in it.
  void OnProcessStarted();
  // For a drain, again and again until it says kNothing. `begin`: it may begin now.
  Saving SaveWork(bool begin, int64_t timeout_ms);

  static void Members(auto& self, auto& state) { state("unsaved", self.unsaved_); }

 private:
  AgentContext& context_;
  const AgentSpec& spec_;
  const Append append_;
  std::unique_ptr<Workspace> clone_;  // null: the spec wants none
  bool unsaved_ = false;              // a process of this daemon's has worked in the clone
  bool saving_ = false;
};

}  // namespace reeve
