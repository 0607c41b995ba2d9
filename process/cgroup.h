// Cgroup: one cgroup v2 of an agent, where the machine lets us make one: it knows and kills exactly the
// processes of its tree, wherever they went. Owned by a ProcessTree; outlived by nothing it needs. No
// controllers are enabled: limits are not its business yet.
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
  // Kills what is left and removes the folder.
  ~Cgroup();
  Cgroup(const Cgroup&) = delete;
  Cgroup& operator=(const Cgroup&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }
  // Leaves the folder alone: it is another's now.
  void Release() { path_.clear(); }
  // Its processes, those in cgroups that they made below it included.
  [[nodiscard]] std::vector<pid_t> Pids() const;
  [[nodiscard]] bool Populated() const;  // the cheap question
  void Kill();                           // cgroup.kill, or KILL to each
  [[nodiscard]] bool OomKilled() const;  // by memory.events, where that controller is on

 private:
  std::string path_;
};

// The place below which this daemon makes its cgroups: one folder per daemon, below the cgroup it runs in,
// named for pid and start time. Made once at start; removed, with what is left in it, at the end.
class CgroupRoot {
 public:
  // Error "not_supported" says why no cgroup can be made here: no cgroup v2, read-only, not ours.
  static Result<std::unique_ptr<CgroupRoot>> Open();
  // The same from the text of /proc/self/mountinfo and of /proc/self/cgroup, so that a test can give its own.
  static Result<std::unique_ptr<CgroupRoot>> OpenAt(const std::string& mounts, const std::string& self);
  ~CgroupRoot();
  CgroupRoot(const CgroupRoot&) = delete;
  CgroupRoot& operator=(const CgroupRoot&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }

  // A new cgroup, named "<label>-<number>"; what is not a letter, digit, '-' or '_' in `label` becomes '_'.
  Result<std::unique_ptr<Cgroup>> Make(std::string_view label);

  // Removes what daemons that no longer live left beside us, killing what is still in it. Daemons in other
  // PID namespaces are left alone: from here nobody can tell whether they live.
  void SweepDead();

 private:
  explicit CgroupRoot(std::string path) : path_(std::move(path)) {}
  std::string path_;
  uint64_t made_ = 0;
};

}  // namespace reeve
