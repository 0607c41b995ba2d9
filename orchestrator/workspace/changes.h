// Changes: what differs between an agent's files and the last commit of the repository that they are in:
// its own clone, or whatever repository its folder belongs to. Nothing in the repository is changed, and no
// program that it names is run: git reads the files with a repository of ours, which borrows its objects.
// Files outside of the agent's folder are not looked at, nor are the daemon's own.
//
// Requests for an agent that is being read share its answer. Owned by the Town; on the loop's thread.
// Destroying it cancels pending callbacks; the context outlives it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "orchestrator/workspace/workspace.h"
#include "process/lifetime.h"
#include "process/result.h"

namespace reeve {

class Changes {
 public:
  static constexpr size_t kMaxFiles = 1'000;
  static constexpr size_t kMaxDiffBytes = size_t{1} << 20;
  static constexpr int64_t kTimeoutMs = 20'000;

  struct File {
    std::string path;                        // in the repository
    char status = 'M';                       // A added, M modified, D deleted, T of another type; git-diff(1)
    std::optional<uint64_t> added, removed;  // lines; nothing: it is binary
  };
  struct Found {
    std::string branch;  // empty: none is checked out
    std::string commit;  // empty: there is none yet
    std::vector<File> files;
    std::string diff;
    bool truncated = false;  // there are more files, or the diff is longer
  };
  using Done = std::function<void(const Result<Found>&)>;

  explicit Changes(Workspace::WorkspaceContext& context) : context_(context) {}
  ~Changes();
  Changes(const Changes&) = delete;
  Changes& operator=(const Changes&) = delete;

  // `folder` is the agent's clone, or the folder in which it works. Never calls `done` within the call.
  // Errors: "repository_not_found", "changes_unavailable".
  void Read(const std::string& agent, const std::string& folder, Done done);

 private:
  struct Reading;
  using Shared = std::shared_ptr<Reading>;
  using Next = std::function<void(const std::string& out)>;
  void FindRepository(const Shared& reading);
  void ReadHead(const Shared& reading);
  void ReadIndex(const Shared& reading);
  void AddUntracked(const Shared& reading, const std::string& names);
  void Compare(const Shared& reading);
  void Run(const Shared& reading, Git::Command command, Next next);
  void End(const Shared& reading, const Result<Found>& result);

  Workspace::WorkspaceContext& context_;
  std::map<std::string, Shared> readings_;  // by agent
  Lifetime alive_;
};

}  // namespace reeve
