#include "control/gateway/owners.h"

#include <utility>

#include "orchestrator/agent/agent.h"
#include "orchestrator/town.h"
#include "process/log.h"

namespace reeve {

Owners::Owners(Loop& loop, Town& town, int64_t tick_ms)
    : town_(town), tick_ms_(tick_ms), timer_(loop, [this] { Tick(); }) {}

void Owners::Came(const std::string& connection) {
  Owner& owner = owners_[connection];
  owner = Owner{owner.present + 1};
}

Owners::Left Owners::Went(const std::string& connection) {
  Owner& owner = owners_[connection];
  if (owner.present > 0) --owner.present;
  if (owner.present == 0 && !timer_.active()) timer_.Start(tick_ms_, tick_ms_);
  Left left;
  if (owner.present > 0) return left;  // another continues it
  for (const auto& [id, agent] : town_.agents()) {
    if (agent->connection() != connection || agent->deleted() || agent->ended()) continue;
    ++(agent->spec().close_on_disconnect ? left.ending : left.detached);
  }
  return left;
}

void Owners::AfterStart() {
  for (const auto& [id, agent] : town_.agents()) {
    if (agent->spec().close_on_disconnect && !agent->ended()) owners_.try_emplace(agent->connection());
  }
  if (!owners_.empty()) timer_.Start(tick_ms_, tick_ms_);
}

void Owners::Tick() {
  std::set<std::string> over;  // connections whose grace ends now
  for (auto& [connection, owner] : owners_) {
    if (owner.present > 0 || owner.absent_ms > kGraceMs) continue;
    owner.absent_ms += kTickMs;
    if (owner.absent_ms > kGraceMs) over.insert(connection);  // the first tick may be shorter than the others
  }
  if (!over.empty()) CollectAgents(over);
  bool absent = false;
  for (auto one = owners_.begin(); one != owners_.end();) {
    Owner& owner = one->second;
    if (owner.absent_ms > kGraceMs) std::erase_if(owner.ending, [this](const auto& id) { return End(id); });
    const bool done = owner.absent_ms > kGraceMs && owner.ending.empty();
    absent = absent || (owner.present == 0 && !done);
    one = done ? owners_.erase(one) : std::next(one);
  }
  if (!absent) timer_.Stop();
}

void Owners::CollectAgents(const std::set<std::string>& connections) {
  for (const auto& [id, agent] : town_.agents()) {
    if (agent->spec().close_on_disconnect && connections.count(agent->connection()) != 0)
      owners_[agent->connection()].ending.insert(id);
  }
}

bool Owners::End(const std::string& id) {
  Agent* agent = town_.Find(id);
  if (!agent || agent->deleted() || agent->damaged() || agent->ended()) return true;
  // Without turns its run would last as long as its process. One that restarts is stopping.
  if ((agent->has_turns() && !agent->idle()) || agent->state() == AgentState::kStopping) return false;
  log::Info("agent {} is stopped: its connection has gone", id);
  agent->Stop(
      Agent::kDefaultGraceMs,
      [id](const Status& stopped) {
        if (!stopped) log::Warning("agent {}: {}", id, stopped.error().message);
      },
      "daemon");
  return true;
}

}  // namespace reeve
