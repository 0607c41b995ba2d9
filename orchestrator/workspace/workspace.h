// Room workspace/: clones of repositories for agents to work in, and the git that makes them.
//
// Workspace: the folder an agent works in, a clone of its own that borrows its objects from a mirror
// (orchestrator/workspace/WORKSPACES.md). It is made under another name and renamed when it is whole, on the
// disk too: what has its name is used as it is, for as long as the agent is not purged.
//
// Owned by its Agent; on the loop's thread. What is under way ends with it, and calls nobody any more.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "orchestrator/workspace/git.h"
#include "orchestrator/workspace/mirrors.h"
#include "orchestrator/workspace/repository.h"
#include "process/result.h"

namespace reeve {

class DiskSync;
class Loop;

class Workspace {
 public:
  // What they share. Outlives them.
  struct Shop {
    Loop& loop;
    Git& git;
    Mirrors& mirrors;
    DiskSync& disk;                                        // of `folder` and the mirrors
    std::string folder;                                    // exists, absolute
    std::function<void(const std::string& path)> discard;  // a folder is to go
  };
  struct Made {
    std::string branch;
    std::string commit;  // empty: the repository has none yet
  };

  Workspace(Shop& shop, std::string agent, WorkspaceSpec spec);
  ~Workspace();
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] bool there() const;
  [[nodiscard]] bool preparing() const { return attempt_ != nullptr; }
  // Whether `cwd`, relative or empty, is a folder in it. Error "workspace_failed" where there is none, or a
  // link leads out of the workspace.
  [[nodiscard]] Status CheckFolder(const std::string& cwd) const;

  // Makes it; not while it is there or being made. `done` comes later, unless Cancel() does first. Errors:
  // "workspace_failed", "workspace_timeout".
  void Prepare(Mirrors::Progress progress, std::function<void(Result<Made>)> done);
  void Cancel();

  // Commits what is uncommitted to the branch reeve/<agent>/wip, and pushes that where it is configured;
  // neither the agent's index nor its HEAD is touched. `done` gives the commit, empty where there was nothing
  // to keep. All of it within `timeout_ms`, or Error "workspace_timeout"; the push has half of what is left
  // for it, so that one that hangs leaves a turn to others.
  void SaveWork(int64_t timeout_ms, std::function<void(Result<std::string>)> done);
  // It is committed, and is being pushed.
  [[nodiscard]] bool pushing() const;

 private:
  struct Attempt;
  struct Saving;
  void Choose(const Mirrors::Mirror& mirror);
  void Clone();
  void CheckOut();
  void Finish();
  void Fail(const Error& error);
  void Step(Git::Command command, std::function<void(const std::string& out)> next);
  void FindChanges();
  void CommitChanges(std::string changes);
  void KeepCommit(const std::string& commit);
  using Then = std::function<void(const std::string& out)>;
  void SaveStep(std::vector<std::string> arguments, Then next, std::string input = {}, bool theirs = false);
  void CancelSaving();
  void EndSaving(const Result<std::string>& result);

  Shop& shop_;
  const std::string agent_;
  const WorkspaceSpec spec_;
  const std::string path_;
  std::shared_ptr<Attempt> attempt_;  // null: none is under way
  std::shared_ptr<Saving> saving_;
};

}  // namespace reeve
