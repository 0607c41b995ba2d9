// Reaper: this process as the parent of its children. It is a subreaper (prctl(2)): a process whose parent
// ends becomes our child. Where it runs below a keeper, only the daemon's own helpers, such as git, are its
// children.
//
// It buries orphans at SIGCHLD, so nothing else may wait for a child that it does not own.
#pragma once

#include <sys/types.h>

#include <array>
#include <optional>
#include <vector>

#include "process/handle.h"
#include "process/process_parent.h"
#include "process/timer.h"

namespace reeve {

class Loop;

class Reaper : public ProcessParent {
 public:
  explicit Reaper(Loop& loop);
  ~Reaper() override;

  Result<Started> Start(const SpawnSpec& spec, const std::array<int, 3>& stdio) override;
  Result<std::optional<Exit>> ExitOf(pid_t pid) override;
  void Bury(pid_t pid) override;

 private:
  bool LookForOrphans(std::vector<ProcessStat>& adopted) override;

  Timer soon_;
  UvHandle<uv_signal_t> signal_;
};

}  // namespace reeve
