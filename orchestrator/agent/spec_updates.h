// SpecUpdates: changes of one agent's spec, one after the other. A change is applied in memory only once it
// is on disk. So a caller that gets an error never finds the change applied, and each of several overlapping
// changes is kept or refused by itself.
//
// Owned by its Agent; on the loop's thread.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "orchestrator/agent/agent_spec.h"
#include "orchestrator/log/event_data.h"
#include "process/result.h"

namespace reeve {

class SpecUpdates {
 public:
  // Makes the next spec from the current one, or returns the reason for a refusal.
  using Change = std::function<Result<AgentSpec>(const AgentSpec& present)>;
  using Fields = std::vector<std::string>;  // the names of the changed fields
  using Done =
      std::function<void(Result<bool>)>;  // whether some of the change takes effect only at the next start
  struct Handlers {
    std::function<Result<AgentSpec>(const Change&)> make;  // from the current spec; an Error refuses
    std::function<void(std::function<void(Status)>)>
        save;  // saves the agent's record, with writing() as its spec
    // The change is on disk. `by`: the caller who asked for it.
    std::function<Result<bool>(const AgentSpec&, const Fields&, const std::string& by)> apply;
  };

  explicit SpecUpdates(Handlers handlers) : handlers_(std::move(handlers)) {}
  // Ends all open updates with Error "agent_deleted".
  ~SpecUpdates();
  SpecUpdates(const SpecUpdates&) = delete;
  SpecUpdates& operator=(const SpecUpdates&) = delete;

  void Add(Change change, Fields fields, Done done, std::string by = std::string(kUnnamedCaller));
  // The spec that is being written, or null.
  [[nodiscard]] const AgentSpec* writing() const;
  [[nodiscard]] bool empty() const { return queue_.empty(); }

 private:
  struct Update {
    Change change;
    Fields fields;
    Done done;
    std::string by;
    std::optional<AgentSpec> spec = {};  // being written
  };
  void Next();
  void OnWritten(const Status& status);

  const Handlers handlers_;
  std::deque<Update> queue_;  // the first is being written
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace reeve
