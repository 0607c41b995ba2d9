// KindCatalog: the answer of GET /kinds: every kind, what it can do, whether its program is installed, and in
// which version. It runs a program once with --version, and again when the program's file has changed.
//
// Owned by the Daemon; on the loop's thread. The constructor's arguments outlive it.
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
  KindCatalog(Loop& loop, ProcessParent& parent, CgroupRoot* cgroups);
  ~KindCatalog();
  KindCatalog(const KindCatalog&) = delete;
  KindCatalog& operator=(const KindCatalog&) = delete;

  // Reports {kinds: [{name, can, options, program, install, found, path, version}]}. Calls `done` once every
  // version is known, or could not be learned within kAskMs.
  void Describe(std::function<void(std::string)> done);

 private:
  static constexpr int64_t kAskMs = 10'000;  // a cold kilo takes 3 s to print its version

  // A program's file, as it was when the program was asked.
  struct Program {
    std::string stamp;  // inode, size, time of change
    std::string version;
    std::string output;  // while the program runs
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

// The version in a program's output for --version ("codex-cli 0.169.0", "2.1.328 (Claude Code)"), or empty.
std::string VersionIn(std::string_view output);

}  // namespace reeve
