// Cgroup: one cgroup v2 of an agent, where the machine lets us make one: it knows and kills exactly the
// processes of its tree. Elsewhere process_tree.h does what it can. Owned by a Child.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "process/result.h"

namespace reeve {

// The place below which this daemon makes its cgroups: one folder per daemon, below the cgroup it runs in.
// Made once at start; removed, with what is left in it, at the end.
class CgroupRoot {
 public:
  // `mounts` is the text of /proc/self/mountinfo, `self` that of /proc/self/cgroup; both are parameters so
  // that a test can give a fake root. Error "not_supported" says why no cgroup can be made here.
  static Result<std::unique_ptr<CgroupRoot>> Open(const std::string& mounts, const std::string& self,
                                                  const std::string& name);
  ~CgroupRoot();
  [[nodiscard]] const std::string& path() const { return path_; }

  // Removes what daemons that no longer live left beside us, killing what is still in it.
  void SweepDead();

 private:
  explicit CgroupRoot(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

class Cgroup {
 public:
  static Result<std::unique_ptr<Cgroup>> Make(const CgroupRoot& root, const std::string& name);
  // Kills what is left and removes the folder.
  ~Cgroup();
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::vector<pid_t> Pids() const;
  void Kill();                       // cgroup.kill, or KILL to each until none is left
  [[nodiscard]] bool OomKilled() const;  // memory.events, where that controller is on

 private:
  explicit Cgroup(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

}  // namespace reeve
