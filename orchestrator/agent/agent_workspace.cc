// An agent that works in a clone of its own: made before its process is.
#include <utility>

#include "orchestrator/agent/agent.h"
#include "process/clock.h"
#include "process/log.h"

namespace reeve {

std::string Agent::WorkingFolder() const {
  if (!workspace_) return spec_.cwd;
  return spec_.cwd.empty() ? workspace_->path() : workspace_->path() + "/" + spec_.cwd;
}

// Whether the process can be started; if not, its workspace is being made, and Advance() is called when that
// has ended. A failure is that of a start.
bool Agent::WorkspaceReady() {
  if (!workspace_ || workspace_->there()) return true;
  auto progress = [this](const std::string& phase, int percent) {
    Append("workspace.progress", JsonObject().Set("phase", phase).Set("percent", percent).Take());
  };
  workspace_->Prepare(std::move(progress), [this](const Result<Workspace::Made>& made) {
    if (made) {
      JsonObject ready;
      ready.Set("path", workspace_->path()).Set("branch", made->branch);
      if (!made->commit.empty()) ready.Set("commit", made->commit);
      Append("workspace.ready", ready.Take());
    } else {
      broken_ = made.error();
      started_ms_ = context_.clock.WallMs();
      PlanRestart(true);
    }
    Advance();
  });
  return false;
}

Agent::Keeping Agent::KeepWork(bool begin, int64_t timeout_ms) {
  if (deleted_ || work_ == Work::kNone || context_.shop->git.options().wip == Git::Options::Wip::kOff)
    return Keeping::kNothing;
  if (work_ == Work::kSaving) return workspace_->pushing() ? Keeping::kPushes : Keeping::kSaves;
  if (child_ || !begin) return Keeping::kWaits;
  work_ = Work::kSaving;
  workspace_->SaveWork(timeout_ms, [this](const Result<std::string>& commit) {
    work_ = Work::kNone;
    if (!commit) {
      const Error& error = commit.error();
      log::Warning("agent {}: its uncommitted work: {}", id(), error.message);
      Append("agent.error",
             JsonObject().Set("code", error.code).Set("message", error.message).Set("fatal", false).Take());
    } else if (!commit->empty()) {
      const bool pushed = context_.shop->git.options().wip == Git::Options::Wip::kPush;
      Append("workspace.saved", JsonObject()
                                    .Set("branch", "reeve/" + id() + "/wip")
                                    .Set("commit", *commit)
                                    .Set("pushed", pushed)
                                    .Take());
    }
  });
  return Keeping::kSaves;
}

}  // namespace reeve
