// RunHistory: finds the runs of one agent, including those that ended long ago. The last runs are in memory
// (Runs), the others in the Store. Answers are JSON, as the API shows runs.
//
// Owned by its Agent; on the loop's thread. An answer of the store that arrives after this object was
// destroyed is dropped, unless it needs nothing of the agent.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "orchestrator/agent/resolved_approval.h"
#include "process/result.h"

namespace reeve {

class Runs;
class Store;

class RunHistory {
 public:
  // Empty: there is no such run or message, or it is no longer kept.
  using Found = std::function<void(Result<std::string>)>;

  RunHistory(Store& store, std::string agent, const Runs& runs);

  void Find(const std::string& run_id, Found found) const;
  // The run that a message began or joined, also while it is open. For a message that never had a run its
  // {message_id, status}.
  void OfMessage(const std::string& message_id, Found found) const;
  // How a question ended that the open run or one of the kept runs had; nothing if none had it.
  void OfApproval(const std::string& id,
                  std::function<void(Result<std::optional<ResolvedApproval>>)> found) const;
  // The runs with numbers below `before`, the newest first, the open one included.
  void List(uint64_t before, size_t limit, std::function<void(Result<std::vector<std::string>>)> done) const;

 private:
  Store& store_;
  const std::string agent_;
  const Runs& runs_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace reeve
