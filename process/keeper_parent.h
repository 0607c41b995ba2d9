// KeeperParent: the keeper as the parent of the agents' processes (keeper/PROTOCOL.md). They and their
// descriptors outlive this daemon.
//
// Owned by the Daemon; on the loop's thread.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "process/keeper/keeper_link.h"
#include "process/process_parent.h"
#include "process/watch.h"

namespace reeve {

class Loop;

// The keeper's program for the daemon `program`: reeve-keeper in the same folder, links followed. Empty: it
// is not there.
std::string KeeperProgramBeside(const std::string& program);

class KeeperParent final : public ProcessParent {
 public:
  // `socket` leads to the keeper. Error "keeper_failed".
  static Result<std::unique_ptr<KeeperParent>> Connect(Loop& loop, Fd socket);
  ~KeeperParent() override;

  Result<Started> Start(const SpawnSpec& spec, const std::array<int, 3>& stdio) override;
  Result<std::optional<Exit>> ExitOf(pid_t pid) override;
  void Bury(pid_t pid) override;

  [[nodiscard]] bool keeps() const override { return true; }
  uint64_t Keep(int fd, Purpose purpose) override;
  [[nodiscard]] std::vector<uint64_t> Kept(Purpose purpose) const override;
  Fd Take(uint64_t key) override;
  void Drop(uint64_t key) override;

  // Once everything of the earlier daemon was taken: drops the rest, and kills its children that nobody owns
  // now. The earlier daemon had started them and died before it could commit that turn.
  void ForgetTheRest();

  [[nodiscard]] KeeperLink& link() { return *link_; }

 private:
  explicit KeeperParent(std::unique_ptr<KeeperLink> link);
  bool LookForOrphans(std::vector<ProcessStat>& adopted) override;

  std::unique_ptr<KeeperLink> link_;
  std::vector<KeeperLink::HeldChild> earlier_;  // children of earlier daemons
  std::unordered_set<pid_t> children_;          // all that the keeper holds
  std::unique_ptr<Watch> pings_;
};

}  // namespace reeve
