// KindCatalog: what GET /kinds tells: every kind, what it can do, and whether its program is here, in which
// version. A program is asked once, by --version, and again when its file has changed.
//
// Owned by the Daemon; on the loop's thread. What it is given outlives it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "process/child.h"
#include "process/timer.h"

namespace reeve {

class CgroupRoot;
class Loop;
class Reaper;

class KindCatalog {
 public:
  KindCatalog(Loop& loop, Reaper& reaper, CgroupRoot* cgroups);
  ~KindCatalog();
  KindCatalog(const KindCatalog&) = delete;
  KindCatalog& operator=(const KindCatalog&) = delete;

  // {kinds: [{name, can, options, program, install, found, path, version}]}. `done` once every version is
  // known, or could not be learned within kAskMs.
  void Describe(std::function<void(std::string)> done);

 private:
  static constexpr int64_t kAskMs = 10'000;  // a cold kilo takes 3 s to say its version

  // A program's file, as it was when it was asked.
  struct Program {
    std::string stamp;  // inode, size, time of change
    std::string version;
    std::string output;  // while it is asked
    std::unique_ptr<Child> child;
    std::unique_ptr<Timer> deadline;
  };
  void Ask(const std::string& path);
  void Answered(Program& program);
  [[nodiscard]] std::string ToJson() const;

  ChildContext context_;
  std::map<std::string, Program> programs_;  // by path
  size_t asking_ = 0;
  std::vector<std::function<void(std::string)>> waiting_;
};

// The version in what a program says to --version ("codex-cli 0.169.0", "2.1.328 (Claude Code)"), or empty.
std::string VersionIn(std::string_view output);

}  // namespace reeve
