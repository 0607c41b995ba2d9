// RecordingHost: an AgentHost that writes down what an adapter tells it, a line each:
//   assistant.delta {"message_id":…}            an event
//   > turn started                              anything else
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "orchestrator/adapters/adapter.h"
#include "orchestrator/adapters/agent_host.h"
#include "orchestrator/agent/agent_spec.h"
#include "process/http_client.h"
#include "process/loop.h"
#include "process/timer.h"

namespace reeve {

class RecordingHost : public AgentHost {
 public:
  explicit RecordingHost(Loop& on)
      : loop_(on), http_(on), commit_(on, [this] {
          if (on_committed) on_committed();
        }) {}
  virtual ~RecordingHost() = default;

  Loop& loop() override { return loop_; }
  HttpClient& http() override { return http_; }
  [[nodiscard]] const AgentSpec& spec() const override { return spec_; }
  [[nodiscard]] const std::string& model() const override { return spec_.model; }
  AgentSpec& spec() { return spec_; }

  void Emit(std::string_view type, std::string_view data) override;
  void OnReady() override;
  void OnTurnStarted() override;
  void OnTurnEnded(const TurnEnd& end) override;
  void OnApproval(ApprovalRequest request) override;
  void OnApprovalGone(const std::string& id) override;
  void OnSteered(const std::string& id, const Status& taken) override;
  void OnSession(std::string id) override;
  void OnBroken(Error error) override;
  void OnChanged() override {
    if (commits && !commit_.active()) commit_.Start(0);
  }
  void OnReceived(std::string_view text) override { heard.emplace_back(text); }
  void OnSent(std::string_view text) override { told.emplace_back(text); }
  Status WriteStdin(std::string_view bytes) override;
  void CloseStdin() override;
  void OnStopPrepared() override;
  Status CheckListener(uint16_t) override { return listener; }
  // Refused unless a test gives what does it.
  Result<std::unique_ptr<Child>> SpawnHelper(SpawnSpec spawn, Child::Handlers handlers) override;
  std::function<Result<std::unique_ptr<Child>>(SpawnSpec, Child::Handlers)> spawn_beside;
  Result<std::unique_ptr<Child>> AdoptHelper(ChildState state, Child::Handlers handlers) override;
  std::function<Result<std::unique_ptr<Child>>(ChildState, Child::Handlers)> adopt_beside;
  void Signal(int signum) override;

  [[nodiscard]] const std::vector<std::string>& lines() const { return lines_; }
  [[nodiscard]] std::string Text() const;
  // Whether a line begins with this; how many do.
  [[nodiscard]] bool Has(std::string_view beginning) const { return Count(beginning) > 0; }
  [[nodiscard]] size_t Count(std::string_view beginning) const;
  void Clear() { lines_.clear(); }

  Status listener;                       // who listens on the agent's port
  bool commits = true;                   // false: no turn reaches the disk
  std::vector<std::string> heard, told;  // what passed other than by pipes

  // Called, where set, after a line of that kind: what an Agent would do from within.
  std::function<void()> on_ready;
  std::function<void()> on_emit;
  std::function<void()> on_turn_ended;
  std::function<void()> on_committed;  // soon after OnChanged
  std::function<void(const ApprovalRequest&)> on_approval;

 private:
  Loop& loop_;
  HttpClient http_;
  Timer commit_;
  AgentSpec spec_;
  std::vector<std::string> lines_;
};

}  // namespace reeve
