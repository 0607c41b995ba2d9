// Mirrors: one bare repository for each that agents work on, DATA/mirrors/<hash of its address>. Workspaces
// borrow its objects, so that it never throws any away (gc is off).
//
// It is brought up to date for whoever asks, one fetch at a time: those who come while one is under way share
// the next. Other repositories wait for nobody. Owned by the Town; on the loop's thread.
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
    std::string head;  // the branch that the repository's HEAD names; empty: none
  };
  using Progress = std::function<void(const std::string& phase, int percent)>;
  using Done = std::function<void(Result<Mirror>)>;

  // `folder` exists.
  Mirrors(Loop& loop, Git& git, std::string folder);
  Mirrors(const Mirrors&) = delete;
  Mirrors& operator=(const Mirrors&) = delete;

  // A mirror that has what the repository had when this was asked, or later. Never within the call. Errors:
  // Git's.
  uint64_t Update(const std::string& url, Progress progress, Done done);
  // Nobody waits any more: `done` does not come. A fetch that nobody waits for is ended.
  void Leave(uint64_t waiter);

  // The folder's name for an address.
  static std::string NameOf(const std::string& url);

 private:
  struct Waiter {
    uint64_t id = 0;
    Progress progress;
    Done done;
  };
  struct Repository {
    std::string path;
    std::vector<Waiter> served;   // by the fetch that is under way
    std::vector<Waiter> waiting;  // for the next
    bool busy = false;
    uint64_t run = 0;  // of git
    std::string head;
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

// A bare repository as gitrepository-layout(5) has it, and nothing else: no hooks, our configuration, which
// is written anew where somebody has changed it. Blocks.
Status MakeBareRepository(const std::string& path);

}  // namespace reeve
