// AgentProcess: the current process of one agent: its child, the adapter that drives it, their deadlines, and
// how it ended. It is the adapter's host and forwards reports to its owner, the agent.
//
// Each process has its own Child and Adapter, which own everything that could call back. So callbacks of an
// earlier process are never delivered. Owned by its Agent; on the loop's thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "orchestrator/adapters/agent_host.h"
#include "process/child_state.h"
#include "process/publish_queue.h"
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
    kReady,     // it can take prompts
    kStopping,  // it is being stopped
  };
  // Why there is no process: it could not start, never became ready, or is not started again.
  struct Failure {
    Error error{};
    std::string output;  // the last lines that the process printed
    static void Members(auto& self, auto& state) {
      state("code", self.error.code);
      state("message", self.error.message);
      state("output", self.output);
    }
  };
  struct End {
    ExitStatus exit;
    bool in_start = false;  // it ended by itself before it was ready
    bool asked = false;     // it was being stopped
    std::string how;        // "code 3", "signal 9"
  };
  // Implemented by Agent, and by tests.
  class Owner : public AgentEvents {
   public:
    // The program, folder and environment of the agent's processes.
    [[nodiscard]] virtual SpawnSpec BaseSpawn() const = 0;
    // The model of the next turn; empty: the program's own.
    [[nodiscard]] virtual const std::string& model() const = 0;
    // The process produced output: a sign of life.
    virtual void OnReceived() = 0;
    // The turn still continues kInterruptMs after AwaitTurnEnd.
    virtual void OnInterruptIgnored() = 0;
    // It has exited and its output is read. The phase is already kNone.
    virtual void OnExited(const End& end) = 0;
    // Something waits for the end of the owner's turn (Publish).
    virtual void OnChanged() = 0;

   protected:
    ~Owner() = default;
  };

  // The default time of a stop before KILL; kilo takes 3 s to end by itself.
  static constexpr int64_t kDefaultGraceMs = 5'000;
  // The polite part of a stop (abort the turn, say goodbye) takes at most this long. Then the tree gets TERM.
  static constexpr int64_t kPoliteMs = 3'000;
  // A turn must end within this time after an interrupt.
  static constexpr int64_t kInterruptMs = 10'000;
  // The longest time from Stop(grace_ms) to OnExited.
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
  // It is starting or ready, and no stop was requested.
  [[nodiscard]] bool running() const { return alive() && !stopping(); }
  [[nodiscard]] int pid() const;  // 0: there is none
  // The live processes of the agent, its own first, with those beside it. Reads /proc.
  [[nodiscard]] std::vector<ProcessId> Tree() const;
  [[nodiscard]] const std::string& session() const { return session_; }  // id of the upstream session
  [[nodiscard]] const std::optional<Failure>& failure() const { return failure_; }
  [[nodiscard]] const std::optional<ExitStatus>& exit() const { return exit_; }  // of the last process
  // Wall clock; 0: never.
  [[nodiscard]] int64_t started_ms() const { return started_ms_; }
  [[nodiscard]] int64_t ready_ms() const { return ready_ms_; }
  [[nodiscard]] int64_t exited_ms() const { return exited_ms_; }

  // --- start. Makes the child. On an error it could not be made; Fail() keeps that error.
  Status Spawn();
  // Called after Spawn, once the start is recorded: lets the adapter begin.
  void Begin();
  // The process is of no more use, or could not be started.
  void Fail(Error error, std::string output = {});
  // The failure is final: the last lines that the process printed belong to it.
  void AddOutputToFailure();
  // Clears the failure, because a new start is wanted.
  void ForgetFailure() { failure_.reset(); }
  // Another start begins: the end and the last words of the last process are no longer its own.
  void ForgetLast();
  // An earlier daemon saw it end.
  void SetEnd(const ExitStatus& exit, int64_t exited_ms);
  // It ended together with an earlier daemon; its exit status is unknown.
  void SetExitedMs(int64_t exited_ms) { exited_ms_ = exited_ms; }

  // --- stop. First the kind's own polite way, then TERM to the tree, then after the grace time KILL. A
  // second call skips the polite part.
  void Stop(int64_t grace_ms);
  void Signal(int signum) override;

  // --- work. Prompt, Steer and ListModels only while it is ready, the others while it is alive.
  Status Prompt(const std::string& text);
  void Steer(const std::string& id, const std::string& text);
  void InterruptTurn();
  // The turn must end within kInterruptMs; the second function says that it has ended.
  void AwaitTurnEnd();
  void OnTurnOver() { interrupt_deadline_.Stop(); }
  void Decide(const std::string& id, const ApprovalAnswer& answer);
  void Answer(const std::string& id, const ElicitationAnswer& answer);
  void ListModels(std::function<void(Result<std::string>)> done);
  // The model that the program uses by itself; empty: unknown.
  [[nodiscard]] std::string OwnModel() const;

  // Writes bytes to the stdin of a process that is its own run, or closes it. `offset`: the place
  // of the first byte among all that this process is given; bytes that it has already are skipped. Returns
  // how many it has been given now. Errors "not_running", "queue_full" (nothing was written), "conflict"
  // (bytes before the offset are missing).
  Result<uint64_t> WriteInput(std::optional<uint64_t> offset, std::string_view bytes, bool close);

  // Leaves its output in the pipes, or reads it again.
  void PauseReading(bool paused);
  // The end of the output of the current or last process, which a checkpoint saves beside Members.
  [[nodiscard]] std::string_view last_words() const { return last_words_; }
  void SetLastWords(std::string last_words) { last_words_ = std::move(last_words); }
  // Makes or ends the transcript, as the spec wants it.
  void SetTranscript();
  // Keeps a secret out of its transcript.
  void Hide(const std::string& secret);

  // --- checkpoints (KEEPER.md)
  // The turn is on disk: its effects on the processes happen now.
  void Publish();
  // Whether output was handled since the last call.
  [[nodiscard]] bool TakeHandledOutput() { return std::exchange(handled_output_, false); }
  // The living process, in addition to Members.
  void SaveChild(StateWriter& state) const;
  Status AdoptChild(const JsonValue& saved);
  // Whether AdoptChild would accept the state; has no effect.
  static Status TryAdopt(Loop& loop, HttpClient& http, const AgentSpec& spec, const Kind& kind,
                         const std::string& session, const JsonValue& saved);
  // Called after AdoptChild, once the whole daemon is assembled.
  void Activate();
  // The process outlives this object; for tests.
  void Abandon();

  // The members that the record in the store contains.
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
    state("grace_ms", self.grace_ms_);
    state("helpers", self.helpers_);
    state("input_bytes", self.input_bytes_);
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
  void Emit(std::string_view type, std::string_view data) override;
  void OnReady() override;
  void OnTurnStarted() override { owner_.OnTurnStarted(); }
  void OnTurnEnded(const TurnEnd& end) override { owner_.OnTurnEnded(end); }
  void OnApproval(ApprovalRequest request) override { owner_.OnApproval(std::move(request)); }
  void OnApprovalGone(const std::string& id) override { owner_.OnApprovalGone(id); }
  void OnSteered(const std::string& id, const Status& taken) override { owner_.OnSteered(id, taken); }
  void OnSession(std::string id) override;
  void OnBroken(Error error) override;
  void OnChanged() override;
  void OnReceived(std::string_view text) override;
  void OnSent(std::string_view text) override;
  Status WriteStdin(std::string_view bytes) override;
  void CloseStdin() override;
  void OnStopPrepared() override;
  Status CheckListener(uint16_t port) override;
  Result<std::unique_ptr<Child>> SpawnHelper(SpawnSpec spawn, Child::Handlers handlers) override;
  Result<std::unique_ptr<Child>> AdoptHelper(ChildState state, Child::Handlers handlers) override;

  [[nodiscard]] ChildContext ForChild();
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
  std::string last_words_;  // the end of the output of the current or last process
  std::string session_;
  int64_t started_ms_ = 0, ready_ms_ = 0, exited_ms_ = 0;
  int64_t grace_ms_ = 0;                    // grace time of the current stop
  uint64_t helpers_ = 0;                    // number of helper processes started so far
  uint64_t input_bytes_ = 0;                // bytes that WriteInput has written to this process's stdin
  std::unique_ptr<Transcript> transcript_;  // null: the spec wants none
  bool handled_output_ = false;             // in this turn
  bool adapter_changed_ = false;            // since the last Publish
  PublishQueue queue_;
  Timer ready_deadline_;
  Timer stop_deadline_;  // ends the polite part
  Timer interrupt_deadline_;
  std::unique_ptr<Adapter> adapter_;  // drives the current process
  // The last member: output that is read while it is destroyed still needs its adapter.
  std::unique_ptr<Child> child_;
};

}  // namespace reeve
