// Cgroup: one cgroup v2 of an agent, on machines that let the daemon make one. Through it the daemon sees and
// kills exactly the processes of the agent's tree, wherever they went. Owned by a ProcessTree. It enables no
// controllers, so it sets no limits.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "process/result.h"

namespace reeve {

class Cgroup {
 public:
  explicit Cgroup(std::string path) : path_(std::move(path)) {}
  // Kills the processes that are left and removes the folder.
  ~Cgroup();
  Cgroup(const Cgroup&) = delete;
  Cgroup& operator=(const Cgroup&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }
  // Leaves the folder alone, because another owner has it now.
  void Release() { path_.clear(); }
  // The processes in it, including those in cgroups that they made below it.
  [[nodiscard]] std::vector<pid_t> Pids() const;
  [[nodiscard]] bool Populated() const;  // cheaper than Pids()
  void Kill();                           // by cgroup.kill, or by KILL to each process
  [[nodiscard]] bool OomKilled() const;  // from memory.events, where the memory controller is on

 private:
  std::string path_;
};

// The folder below which this daemon makes its cgroups. It is below the cgroup that the daemon runs in, and
// named after the pid and start time of the process that keeps the agents: the keeper, or else the daemon.
// The next daemon of a keeper has the same one. The daemon makes it at start, and removes it at the end with
// all that is left in it.
class CgroupRoot {
 public:
  // Error "not_supported" says why the daemon can make no cgroup here: there is no cgroup v2, or it is
  // read-only, or it belongs to someone else.
  // `owner`: the process that keeps the agents; 0: this process.
  static Result<std::unique_ptr<CgroupRoot>> Open(pid_t owner = 0);
  // The same, from the text of /proc/self/mountinfo and of /proc/self/cgroup, so that a test can supply its
  // own.
  static Result<std::unique_ptr<CgroupRoot>> OpenAt(const std::string& mounts, const std::string& self,
                                                    pid_t owner = 0);
  ~CgroupRoot();
  CgroupRoot(const CgroupRoot&) = delete;
  CgroupRoot& operator=(const CgroupRoot&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }

  // A new cgroup, named "<label>-<number>". In `label`, each character other than a letter, digit, '-' or '_'
  // becomes '_'.
  Result<std::unique_ptr<Cgroup>> Make(std::string_view label);

  // Removes the folders that dead daemons left beside ours, and kills the processes in them. It leaves
  // daemons in other PID namespaces alone, because we cannot tell from here whether they live.
  void SweepDead();

 private:
  explicit CgroupRoot(std::string path) : path_(std::move(path)) {}
  std::string path_;
  uint64_t made_ = 0;
};

}  // namespace reeve
