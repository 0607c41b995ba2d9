#include "orchestrator/agent/agent_workspace.h"

#include <utility>

#include "orchestrator/agent/agent_context.h"
#include "orchestrator/json/json.h"
#include "orchestrator/log/event_types.h"
#include "orchestrator/store/data_folder.h"
#include "process/log.h"

namespace reeve {

AgentWorkspace::AgentWorkspace(AgentContext& context, const AgentSpec& spec, Append append)
    : context_(context), spec_(spec), append_(std::move(append)) {
  if (spec.workspace)
    clone_ = std::make_unique<Workspace>(*context.workspace_context, spec.id, spec.workspace);
}

std::string AgentWorkspace::Folder() const {
  if (!clone_) return spec_.cwd.empty() ? HomeFolder() : spec_.cwd;
  return spec_.cwd.empty() ? clone_->path() : clone_->path() + "/" + spec_.cwd;
}

void AgentWorkspace::Prepare(std::function<void(Status)> done) {
  auto progress = [this](const std::string& phase, int percent) {
    append_(event_type::kWorkspaceProgress, JsonObject().Set("phase", phase).Set("percent", percent).Take());
  };
  clone_->Prepare(std::move(progress), [this, done = std::move(done)](const Result<Workspace::Made>& made) {
    if (!made) return done(made.error());
    JsonObject ready;
    ready.Set("path", clone_->path());
    if (!made->branch.empty()) ready.Set("branch", made->branch);
    if (!made->commit.empty()) ready.Set("commit", made->commit);
    append_(event_type::kWorkspaceReady, ready.Take());
    if (const auto& continued = made->continued) {
      append_(
          event_type::kWorkspaceContinued,
          JsonObject().Set("branch", "reeve/" + spec_.id + "/wip").Set("commit", continued->commit).Take());
    }
    done({});
  });
}

void AgentWorkspace::Cancel() {
  if (preparing()) clone_->Cancel();
}

Status AgentWorkspace::Check() const { return clone_ ? clone_->CheckFolder(spec_.cwd) : Status(); }

void AgentWorkspace::OnProcessStarted() { unsaved_ = clone_ != nullptr; }

AgentWorkspace::WipState AgentWorkspace::SaveWip(bool begin, int64_t timeout_ms) {
  if (saving_) return clone_->pushing() ? WipState::kPushes : WipState::kSaves;
  if (!unsaved_ || tried_ || context_.workspace_context->git.options().wip == Git::Options::Wip::kOff)
    return WipState::kNothing;
  if (!clone_->there()) return WipState::kNothing;
  if (!begin) return WipState::kWaits;
  saving_ = tried_ = true;
  clone_->SaveWork(timeout_ms, [this](const Result<Workspace::Saved>& saved) {
    saving_ = false;
    if (!saved) {
      const Error& error = saved.error();
      log::Warning("agent {}: saving its uncommitted work failed: {}", spec_.id, error.message);
      append_(event_type::kAgentError,
              JsonObject().Set("code", error.code).Set("message", error.message).Set("fatal", false).Take());
      return;
    }
    unsaved_ = false;
    if (saved->commit.empty()) return;
    JsonObject data;
    data.Set("branch", saved->branch).Set("commit", saved->commit).Set("pushed", saved->pushed);
    if (!saved->kept.empty()) data.Set("kept", saved->kept);
    append_(event_type::kWorkspaceSaved, data.Take());
  });
  return WipState::kSaves;
}

}  // namespace reeve
