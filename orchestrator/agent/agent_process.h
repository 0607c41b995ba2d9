// AgentProcess: the process of one agent, which comes and goes: its child, the adapter that drives it, their
// deadlines, and how it ended. It is the adapter's host, and passes on to its owner, the agent, what matters.
//
// Each process has its own Child and Adapter, which own everything that could call back: callbacks of an
// earlier process are never delivered. Owned by its Agent; on the loop's thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "orchestrator/adapters/agent_host.h"
#include "process/child_state.h"
#include "process/result.h"
#include "process/timer.h"

namespace reeve {

class Adapter;
class JsonValue;
class StateWriter;
class Transcript;
struct AgentContext;
struct AgentSpec;
struct Kind;

class AgentProcess final : private AgentHost {
 public:
  enum class Phase {
    kNone,      // there is no process
    kStarting,  // it cannot take prompts yet
    kReady,     // it can
    kStopping,  // it is being ended
  };
  // Why there is no process: it could not be started, never became ready, or is not started again.
  struct Failure {
    Error error{};
    std::string output;  // the last lines that it printed
    static void Members(auto& self, auto& state) {
      state("code", self.error.code);
      state("message", self.error.message);
      state("output", self.output);
    }
  };
  struct End {
    ExitStatus exit;
    bool in_start = false;  // it ended by itself before it was ready
    std::string how;        // "code 3", "signal 9"
  };
  // Implemented by Agent, and by tests.
  class Owner : public AgentEvents {
   public:
    // The program, folder and environment of the agent's processes.
    [[nodiscard]] virtual SpawnSpec BaseSpawn() const = 0;
    // The process said something: a sign of life.
    virtual void OnReceived() = 0;
    // The turn goes on kInterruptMs after AwaitTurnEnd.
    virtual void OnInterruptIgnored() = 0;
    // It has exited and is drained. Phase kNone already.
    virtual void OnExited(const End& end) = 0;

   protected:
    ~Owner() = default;
  };

  // What a stop gets before KILL unless a caller says; kilo takes 3 s to end by itself.
  static constexpr int64_t kDefaultGraceMs = 5'000;
  // The polite part of a stop (abort the turn, say goodbye) takes at most this long; then the tree gets TERM.
  static constexpr int64_t kPoliteMs = 3'000;
  // The end of a turn gets this long after an interrupt.
  static constexpr int64_t kInterruptMs = 10'000;
  // From Stop(grace_ms) to OnExited at the latest.
  static constexpr int64_t LongestStopMs(int64_t grace_ms) {
    return std::min(grace_ms, kPoliteMs) + grace_ms + Child::kKillForMs;
  }

  // `spec` may change, `kind` does not.
  AgentProcess(AgentContext& context, const AgentSpec& spec, const Kind& kind, Owner& owner);
  ~AgentProcess();

  [[nodiscard]] Phase phase() const { return phase_; }
  [[nodiscard]] bool alive() const { return phase_ != Phase::kNone; }
  [[nodiscard]] bool ready() const { return phase_ == Phase::kReady; }
  [[nodiscard]] bool stopping() const { return phase_ == Phase::kStopping; }
  // Starting or ready: nobody has asked it to end.
  [[nodiscard]] bool running() const { return alive() && !stopping(); }
  [[nodiscard]] int pid() const;                                         // 0: there is none
  [[nodiscard]] const std::string& session() const { return session_; }  // upstream
  [[nodiscard]] const std::optional<Failure>& failure() const { return failure_; }
  [[nodiscard]] const std::optional<ExitStatus>& exit() const { return exit_; }  // of the last one
  // Wall clock; 0: never.
  [[nodiscard]] int64_t started_ms() const { return started_ms_; }
  [[nodiscard]] int64_t ready_ms() const { return ready_ms_; }
  [[nodiscard]] int64_t exited_ms() const { return exited_ms_; }

  // --- start. Makes the child. Error: it could not be; Fail() keeps it.
  Status Spawn();
  // After Spawn, once its start is recorded: lets the adapter begin.
  void Begin();
  // It is of no more use, or could not be started.
  void Fail(Error error, std::string output = {});
  // The failure is final: the last lines that the process printed belong to it.
  void AddOutputToFailure();
  // A new try is wanted.
  void ForgetFailure() { failure_.reset(); }
  // An earlier daemon saw it end.
  void SetEnd(const ExitStatus& exit, int64_t exited_ms);
  // It ended with an earlier daemon, nobody knows how.
  void SetExitedMs(int64_t exited_ms) { exited_ms_ = exited_ms; }

  // --- stop. Politely first, by the kind's own way; then TERM to the tree, grace, KILL. Once more: no more
  // politeness.
  void Stop(int64_t grace_ms);
  void Signal(int signum) override;

  // --- work. Only while it is ready.
  Status Prompt(const std::string& text);
  void Steer(const std::string& id, const std::string& text);
  void InterruptTurn();
  // The turn must end within kInterruptMs; and it has.
  void AwaitTurnEnd();
  void OnTurnOver() { interrupt_deadline_.Stop(); }
  void Decide(const std::string& id, const ApprovalAnswer& answer);
  void Answer(const std::string& id, const ElicitationAnswer& answer);
  void ListModels(std::function<void(Result<std::string>)> done);

  // Leaves its output in the pipes, or reads on.
  void PauseReading(bool paused);
  // Keeps a secret out of its transcript.
  void Hide(const std::string& secret);

  // --- handover (HANDOVER.md): the living process, beside Members. Descriptors that must stay open are added
  // to `keep`.
  void SaveChild(StateWriter& state, std::vector<int>& keep) const;
  Status AdoptChild(const JsonValue& saved);
  // Whether AdoptChild would understand it. Touches nothing.
  static Status TryAdopt(Loop& loop, HttpClient& http, const AgentSpec& spec, const Kind& kind,
                         const std::string& session, const JsonValue& saved);
  // After AdoptChild, once everything is in its place.
  void Activate();
  // The process outlives this object: what exec does, for tests.
  void Abandon();

  // What the record in the store keeps.
  static void Record(auto& self, auto& state) {
    state("session", self.session_);
    state("started_ms", self.started_ms_);
    state("exited_ms", self.exited_ms_);
    state("exit", self.exit_);
    state("failure", self.failure_);
  }
  static void Members(auto& self, auto& state) {
    Record(self, state);
    state.Enum("phase", self.phase_, kPhases);
    state("ready_ms", self.ready_ms_);
    state.Bytes("last_words", self.last_words_);
    state("grace_ms", self.grace_ms_);
    state("helpers", self.helpers_);
    state("ready_deadline", self.ready_deadline_);
    state("stop_deadline", self.stop_deadline_);
    state("interrupt_deadline", self.interrupt_deadline_);
    if (self.transcript_) state("transcript", *self.transcript_);
  }

 private:
  static constexpr const char* kPhases[] = {"none", "starting", "ready", "stopping"};

  // AgentHost
  Loop& loop() override;
  HttpClient& http() override;
  [[nodiscard]] const AgentSpec& spec() const override { return spec_; }
  [[nodiscard]] const std::string& model() const override;
  void Emit(std::string_view type, std::string_view data) override { owner_.Emit(type, data); }
  void OnReady() override;
  void OnTurnStarted() override { owner_.OnTurnStarted(); }
  void OnTurnEnded(const TurnEnd& end) override { owner_.OnTurnEnded(end); }
  void OnApproval(ApprovalRequest request) override { owner_.OnApproval(std::move(request)); }
  void OnApprovalGone(const std::string& id) override { owner_.OnApprovalGone(id); }
  void OnSteered(const std::string& id, const Status& taken) override { owner_.OnSteered(id, taken); }
  void OnSession(std::string id) override;
  void OnBroken(Error error) override;
  void OnReceived(std::string_view text) override;
  void OnSent(std::string_view text) override;
  Status WriteStdin(std::string_view bytes) override;
  void CloseStdin() override;
  void OnStopPrepared() override;
  Result<std::unique_ptr<Child>> SpawnHelper(SpawnSpec spawn, Child::Handlers handlers) override;
  Result<std::unique_ptr<Child>> AdoptHelper(ChildState state, Child::Handlers handlers) override;

  [[nodiscard]] Child::Handlers ChildHandlers();
  [[nodiscard]] std::string Marker() const;
  void OnOutput(Child::Output from, std::string_view bytes);
  void OnChildDone(const ExitStatus& exit);

  AgentContext& context_;
  const AgentSpec& spec_;
  const Kind& kind_;
  Owner& owner_;
  Phase phase_ = Phase::kNone;
  std::optional<Failure> failure_;
  std::optional<ExitStatus> exit_;
  std::string last_words_;  // the end of what the present process printed, or the last one
  std::string session_;
  int64_t started_ms_ = 0, ready_ms_ = 0, exited_ms_ = 0;
  int64_t grace_ms_ = 0;                    // of the present stop
  uint64_t helpers_ = 0;                    // processes that were started beside it
  std::unique_ptr<Transcript> transcript_;  // null: the spec wants none
  Timer ready_deadline_;
  Timer stop_deadline_;  // of the polite part
  Timer interrupt_deadline_;
  std::unique_ptr<Adapter> adapter_;  // of the present process
  // The last member: what is read of one that is being destroyed still finds its adapter.
  std::unique_ptr<Child> child_;
};

}  // namespace reeve
