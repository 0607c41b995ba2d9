// Mirrors: one bare repository for each repository that agents work on, DATA/mirrors/<hash of its address>.
// Workspaces borrow its objects, so a mirror never deletes any (gc is off).
//
// A mirror is updated on request, by one fetch at a time: requests that come during a fetch share the next
// one. Different repositories do not wait for each other. Owned by the Town; on the loop's thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "orchestrator/workspace/git.h"
#include "process/result.h"

namespace reeve {

class Loop;

class Mirrors {
 public:
  struct Mirror {
    std::string path;
    // The repository's HEAD: the branch that it names, or else its commit (a detached HEAD). Both empty: it
    // names nothing that exists, as in an empty repository.
    std::string head;
    std::string detached;
  };
  using Progress = std::function<void(const std::string& phase, int percent)>;
  using Done = std::function<void(Result<Mirror>)>;

  // `folder` must exist.
  Mirrors(Loop& loop, Git& git, std::string folder);
  Mirrors(const Mirrors&) = delete;
  Mirrors& operator=(const Mirrors&) = delete;

  // Reports a mirror that has at least what the repository had at the time of this call. Never calls `done`
  // within the call. Errors: Git's.
  uint64_t Update(const std::string& url, Progress progress, Done done);
  // Withdraws a request: its `done` is not called. A fetch that no request waits for is ended.
  void Leave(uint64_t waiter);

  // The name of the folder for an address.
  static std::string NameOf(const std::string& url);

 private:
  struct Waiter {
    uint64_t id = 0;
    Progress progress;
    Done done;
  };
  struct Repository {
    std::string path;
    std::vector<Waiter> served;   // requests that the running fetch will satisfy
    std::vector<Waiter> waiting;  // requests for the next fetch
    bool busy = false;
    uint64_t run = 0;  // id of the git command
    std::string head;
    std::string detached;
  };
  void Begin(const std::string& url);
  void AskForHead(const std::string& url);
  void Fetch(const std::string& url);
  void Step(const std::string& url, Git::Command command, std::function<void(const std::string& out)> next);
  void End(const std::string& url, const Result<Mirror>& result);

  Loop& loop_;
  Git& git_;
  const std::string folder_;
  uint64_t last_ = 0;
  std::map<std::string, Repository> repositories_;  // by address
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

// Makes a bare repository in the form of gitrepository-layout(5), with nothing else: no hooks, and our
// configuration, which is written again if somebody has changed it. Blocks.
Status MakeBareRepository(const std::string& path);

}  // namespace reeve
