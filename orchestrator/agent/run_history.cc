#include "orchestrator/agent/run_history.h"

#include <optional>
#include <utility>

#include "orchestrator/agent/runs.h"
#include "orchestrator/json/json.h"
#include "orchestrator/store/store.h"

namespace reeve {

RunHistory::RunHistory(Store& store, std::string agent, const Runs& runs)
    : store_(store), agent_(std::move(agent)), runs_(runs) {}

void RunHistory::Find(const std::string& run_id, Found found) const {
  if (const Run* run = runs_.Find(run_id)) return found(run->ToJson());
  const uint64_t number = Run::NumberOf(run_id);
  if (number == 0 || run_id != Run::IdOf(number)) return found(std::string());
  store_.ListRuns(
      agent_, number + 1, 1, [number, found = std::move(found)](Result<std::vector<RunRecord>> runs) {
        if (!runs) return found(runs.error());
        found(!runs->empty() && runs->front().number == number ? runs->front().body : std::string());
      });
}

void RunHistory::OfMessage(const std::string& message_id, Found found) const {
  if (const Run* run = runs_.OfMessage(message_id)) return found(run->ToJson());
  auto look = [this, alive = std::weak_ptr<bool>(alive_),
               found = std::move(found)](Result<std::optional<MessageRecord>> message) {
    if (alive.expired()) return;
    if (!message) return found(message.error());
    if (!*message || (*message)->agent != agent_) return found(std::string());
    if ((*message)->run.empty()) {
      JsonObject answer;
      answer.Set("message_id", (*message)->id).Set("status", (*message)->state);
      auto body = JsonDocument::Parse((*message)->body);
      if (const auto reason = body ? (*body)["reason"].AsString() : std::nullopt) {
        answer.SetRaw("error", JsonObject().Set("code", "not_delivered").Set("message", *reason).Take());
      }
      return found(answer.Take());
    }
    Find((*message)->run, found);
  };
  store_.FindMessage(message_id, std::move(look));
}

void RunHistory::OfApproval(const std::string& id,
                            std::function<void(Result<std::optional<ResolvedApproval>>)> found) const {
  const std::string member = JsonObject().Set("id", id).Take();
  auto look = [id, found = std::move(found)](const Result<std::optional<RunRecord>>& record) {
    if (!record) return found(record.error());
    std::optional<ResolvedApproval> resolved;
    auto json = *record ? JsonDocument::Parse((*record)->body) : Result<JsonDocument>(Error{});
    auto run = json ? Run::FromJson(json->root()) : std::nullopt;
    for (const ResolvedApproval& one : run ? run->approvals : std::vector<ResolvedApproval>()) {
      if (one.id == id) resolved = one;
    }
    found(resolved);
  };
  // Without its last brace it is the beginning of the member in the run's JSON.
  store_.FindRun(agent_, member.substr(0, member.size() - 1), std::move(look));
}

void RunHistory::List(uint64_t before, size_t limit,
                      std::function<void(Result<std::vector<std::string>>)> done) const {
  std::vector<std::string> found;
  if (runs_.open() && runs_.open()->number() < before) found.push_back(runs_.open()->ToJson());
  if (found.size() == limit) return done(std::move(found));
  const size_t ended_ones = limit - found.size();
  store_.ListRuns(
      agent_, before, ended_ones,
      [found = std::move(found), done = std::move(done)](Result<std::vector<RunRecord>> ended) mutable {
        if (!ended) return done(ended.error());
        for (RunRecord& run : *ended) found.push_back(std::move(run.body));
        done(std::move(found));
      });
}

}  // namespace reeve
