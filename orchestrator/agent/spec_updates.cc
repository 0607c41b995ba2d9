#include "orchestrator/agent/spec_updates.h"

#include <utility>

namespace reeve {

SpecUpdates::~SpecUpdates() {
  for (const Update& update : queue_) update.done(Error{"agent_deleted", "the agent was deleted meanwhile"});
}

void SpecUpdates::Add(Change change, Fields fields, Done done, std::string by) {
  queue_.push_back({std::move(change), std::move(fields), std::move(done), std::move(by)});
  Next();
}

const AgentSpec* SpecUpdates::writing() const {
  return !queue_.empty() && queue_.front().spec ? &*queue_.front().spec : nullptr;
}

// Begins the first update, unless it has begun: a `done` may add another one, which begins it.
void SpecUpdates::Next() {
  while (!queue_.empty() && !queue_.front().spec) {
    auto spec = handlers_.make(queue_.front().change);
    if (spec) {
      queue_.front().spec = std::move(*spec);
      return handlers_.save([this, alive = std::weak_ptr<bool>(alive_)](const Status& status) {
        if (!alive.expired()) OnWritten(status);
      });
    }
    const Update refused = std::move(queue_.front());
    queue_.pop_front();
    refused.done(spec.error());
  }
}

void SpecUpdates::OnWritten(const Status& status) {
  const Update update = std::move(queue_.front());
  queue_.pop_front();
  update.done(status ? handlers_.apply(*update.spec, update.fields, update.by) : status.error());
  Next();
}

}  // namespace reeve
