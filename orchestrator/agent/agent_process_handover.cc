// The checkpoint of a living process (KEEPER.md): its child and its adapter.
#include <utility>

#include "orchestrator/adapters/adapter.h"
#include "orchestrator/agent/agent_context.h"
#include "orchestrator/agent/agent_process.h"
#include "orchestrator/handover/saved_state.h"
#include "orchestrator/json/json.h"

namespace reeve {

namespace {

Error NotUnderstood(const std::string& what, const Error& error) {
  return {"handover_state", what + ": " + error.message};
}

// The host of an adapter in a trial, in which nothing may happen.
class NoHost final : public AgentHost {
 public:
  NoHost(Loop& loop, HttpClient& http, const AgentSpec& spec) : loop_(loop), http_(http), spec_(spec) {}
  Loop& loop() override { return loop_; }
  HttpClient& http() override { return http_; }
  [[nodiscard]] const AgentSpec& spec() const override { return spec_; }
  [[nodiscard]] const std::string& model() const override { return spec_.model; }
  void Emit(std::string_view, std::string_view) override {}
  void OnReady() override {}
  void OnTurnStarted() override {}
  void OnTurnEnded(const TurnEnd&) override {}
  void OnApproval(ApprovalRequest) override {}
  void OnApprovalGone(const std::string&) override {}
  void OnSteered(const std::string&, const Status&) override {}
  void OnSession(std::string) override {}
  void OnBroken(Error) override {}
  void OnChanged() override {}
  void OnReceived(std::string_view) override {}
  void OnSent(std::string_view) override {}
  void OnStopPrepared() override {}
  Status CheckListener(uint16_t) override { return Error{"not_running", "a trial restore"}; }
  Result<std::unique_ptr<Child>> SpawnHelper(SpawnSpec, Child::Handlers) override { return Refusal(); }
  Result<std::unique_ptr<Child>> AdoptHelper(ChildState, Child::Handlers) override { return Refusal(); }
  Status WriteStdin(std::string_view) override { return Refusal(); }
  void CloseStdin() override {}
  void Signal(int) override {}

 private:
  static Error Refusal() { return {"not_running", "this is a trial"}; }
  Loop& loop_;
  HttpClient& http_;
  const AgentSpec& spec_;
};

// The adapter's state is stored as a string, because it may contain the agent's JSON, nested to any depth.
Status RestoreAdapter(Adapter& adapter, const JsonValue& saved) {
  auto json = JsonDocument::Parse(saved.StringOr(""));
  if (!json) return NotUnderstood("its adapter", json.error());
  if (Status restored = adapter.Restore(json->root()); !restored) {
    return NotUnderstood("its adapter", restored.error());
  }
  return {};
}

Result<ChildState> ReadChild(const JsonValue& saved) {
  ChildState child;
  if (Status read = RestoreState(saved, child); !read) return NotUnderstood("child", read.error());
  return child;
}

}  // namespace

void AgentProcess::SaveChild(StateWriter& state) const {
  if (!child_) return;
  state("child", child_->Save());
  state("adapter", adapter_->Save());
}

Status AgentProcess::AdoptChild(const JsonValue& saved) {
  auto state = ReadChild(saved["child"]);
  if (!state) return state.error();
  auto child = Child::Adopt(ForChild(), std::move(*state), ChildHandlers());
  if (!child) return child.error();
  child_ = std::move(*child);
  adapter_ = kind_.make(*this, session_);
  return RestoreAdapter(*adapter_, saved["adapter"]);
}

Status AgentProcess::TryAdopt(Loop& loop, HttpClient& http, const AgentSpec& spec, const Kind& kind,
                              const std::string& session, const JsonValue& saved) {
  if (auto child = ReadChild(saved["child"]); !child) return child.error();
  NoHost host(loop, http, spec);
  auto adapter = kind.make(host, session);
  return RestoreAdapter(*adapter, saved["adapter"]);
}

void AgentProcess::Activate() {
  if (adapter_) adapter_->Resume();
}

void AgentProcess::Abandon() {
  if (child_) child_->Abandon();
}

}  // namespace reeve
