// Room workspace/: clones of repositories for agents to work in, and the git that makes them.
//
// Workspace: the folder an agent works in: a clone of its own that borrows its objects from a mirror
// (orchestrator/workspace/WORKSPACES.md). A clone is made under another name, and renamed once it is complete
// and on the disk. A clone under the final name is used as it is, until the agent is purged.
//
// Owned by its Agent; on the loop's thread. Destroying it cancels pending work and callbacks.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "orchestrator/workspace/git.h"
#include "orchestrator/workspace/mirrors.h"
#include "orchestrator/workspace/repository.h"
#include "orchestrator/workspace/saved_work.h"
#include "process/result.h"

namespace reeve {

class DiskSync;
class Loop;

class Workspace {
 public:
  // The objects that all workspaces share. They outlive the workspaces.
  struct WorkspaceContext {
    Loop& loop;
    Git& git;
    Mirrors& mirrors;
    DiskSync& disk;                                        // syncs `folder` and the mirrors
    std::string folder;                                    // an existing folder, absolute
    std::function<void(const std::string& path)> discard;  // removes a folder
  };
  struct Made {
    std::string branch;  // empty: none is checked out, because the repository's HEAD is detached
    std::string commit;  // empty: the repository has no commit yet
    std::optional<SavedWork> continued;  // the saved work that it continues
  };
  // Work that was saved. Empty `commit`: there was nothing to save.
  struct Saved {
    std::string branch;  // reeve/<agent>/wip
    std::string commit;
    bool pushed = false;
    std::string kept;  // the branch to which somebody else's commit on `branch` has been moved; empty: none
  };

  Workspace(WorkspaceContext& context, std::string agent, WorkspaceSpec spec);
  ~Workspace();
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] bool there() const;
  [[nodiscard]] bool preparing() const { return attempt_ != nullptr; }
  // Checks that `cwd`, relative or empty, is a folder in the workspace. Error "workspace_failed" if there is
  // no such folder, or if a link leads out of the workspace.
  [[nodiscard]] Status CheckFolder(const std::string& cwd) const;

  // Makes the workspace. Must not be called while it exists or is being made. `done` is called later, unless
  // Cancel() is called first. Errors: "workspace_failed", "workspace_timeout".
  void Prepare(Mirrors::Progress progress, std::function<void(Result<Made>)> done);
  void Cancel();

  // Commits work that upstream does not have (uncommitted changes, and commits of HEAD) to the branch
  // reeve/<agent>/wip, and pushes that branch if configured; never by overwriting. The agent's index and its
  // HEAD stay untouched. All of it takes at most `timeout_ms`; otherwise Error "workspace_timeout". A command
  // of a push gets half of the time that is left, so that a push that hangs leaves time for others.
  void SaveWork(int64_t timeout_ms, std::function<void(Result<Saved>)> done);
  // The work is committed, and is being pushed.
  [[nodiscard]] bool pushing() const;

 private:
  struct Attempt;
  struct Saving;
  void FindSaved(const Mirrors::Mirror& mirror);
  void Choose(const Mirrors::Mirror& mirror);
  void ExpectEmpty();
  void Clone();
  void CheckOut();
  void ContinueSaved();
  void ReadHead();
  void Finish();
  void Fail(const Error& error);
  void Step(Git::Command command, std::function<void(const std::string& out)> next);
  // Runs the commands in the draft, one after the other, then `next`.
  void Steps(std::vector<std::vector<std::string>> steps, std::function<void()> next);
  void ReadRefs();
  void FindChanges();
  void FindCommits();
  void AddChanges(std::string changes);
  void CommitWork();
  void PushWork();
  void KeepForeign(const std::string& commit);
  void Push(std::vector<std::string> options);
  using Then = std::function<void(const std::string& out)>;
  void SaveStep(std::vector<std::string> arguments, Then next, std::string input = {}, bool theirs = false);
  void CancelSaving();
  void EndSaving(const Result<Saved>& result);

  WorkspaceContext& context_;
  const std::string agent_;
  const WorkspaceSpec spec_;
  const std::string path_;
  std::shared_ptr<Attempt> attempt_;  // null: none is running
  std::shared_ptr<Saving> saving_;
};

}  // namespace reeve
