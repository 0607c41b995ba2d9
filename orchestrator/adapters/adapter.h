// Adapter: how one kind of agent is driven. One file a kind; it turns what the agent says into events of the
// vocabulary (control/api/API.md), and what reeve wants into what the agent understands.
//
// An adapter lives as long as one process of the agent: made before the spawn, destroyed after on_done, so
// nothing of an earlier process can reach a later one. It decides nothing: it tells its AgentHost what it
// saw, and the agent's Advance() decides.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "orchestrator/json/json.h"
#include "process/child.h"
#include "process/result.h"

namespace reeve {

class HttpClient;
class Loop;
struct AgentSpec;

// How a turn ended. An error is only in kFailed.
struct TurnEnd {
  enum class Outcome { kCompleted, kFailed, kCancelled };
  Outcome outcome = Outcome::kCompleted;
  Error error{};  // code and message as the agent gave them

  static constexpr const char* kOutcomes[] = {"completed", "failed", "cancelled"};
  static void Members(auto& self, auto& state) {
    state.Enum("outcome", self.outcome, kOutcomes);
    state("error", self.error);
  }
};

// What the agent waits for a person to say: whether it may use a tool (an approval), or something it wants to
// know (an elicitation).
struct ApprovalRequest {
  std::string id;       // the agent's own id, unique among its pending ones
  std::string tool;     // normalised name (tool_names.h); of an elicitation: which tool asks, where known
  std::string input;    // JSON object: what the tool would do
  std::string call_id;  // of the tool call, where known
  bool elicitation = false;
  std::string message;  // the question; of an approval: what the agent says of it, if anything
  std::string schema;   // of an elicitation: JSON Schema of `content`
};
// What an approval got. Only the outcome reaches an adapter: what "always" means is the agent's own business.
struct ApprovalAnswer {
  bool allow = false;
  std::string reason;  // of a refusal, for the agent to read
  std::string input;   // JSON object that takes the place of the tool's input, where the kind can; or empty
};
// What an elicitation got, in the terms of MCP (specification 2025-06-18, "Elicitation").
struct ElicitationAnswer {
  enum class Action { kAccept, kDecline, kCancel };
  Action action = Action::kCancel;
  std::string content;  // JSON object, of kAccept
};

// What an adapter may ask of the agent it serves. Implemented by Agent, and by a recorder in tests.
class AgentHost {
 public:
  virtual Loop& loop() = 0;
  virtual HttpClient& http() = 0;
  [[nodiscard]] virtual const AgentSpec& spec() const = 0;
  // What the next turn shall use: the spec's, or what a later message asked for. Empty: the program's own.
  [[nodiscard]] virtual const std::string& model() const = 0;

  // A content event (assistant.*, reasoning.*, tool.*, file.*, plan.*, usage.*, title.*, subagent.*,
  // agent.output, agent.error). `data` is a JSON object on one line. The agent adds the run.
  virtual void Emit(std::string_view type, std::string_view data) = 0;

  // The process can take prompts now. Once.
  virtual void OnReady() = 0;
  // The agent began, ended a turn. A turn that no Prompt of ours began gets a run of its own; an end without
  // a turn is ignored, so telling twice is harmless.
  virtual void OnTurnStarted() = 0;
  virtual void OnTurnEnded(const TurnEnd& end) = 0;

  // May call Decide or Answer before it returns.
  virtual void OnApproval(ApprovalRequest request) = 0;
  // The agent answered it itself, or took it back. Of an unknown or an answered one: nothing.
  virtual void OnApprovalGone(const std::string& id) = 0;
  // What became of the words that Steer gave by this id. Once; an Error: the agent would not have them (its
  // turn was over).
  virtual void OnSteered(const std::string& id, const Status& taken) = 0;

  // The upstream session's id, kept so that a later process can resume it. Empty: it is gone; where the
  // process ends of that before it is ready, another is started without it.
  virtual void OnSession(std::string id) = 0;
  // The process is of no more use (it never became ready, its stream is gone for good): it is to be stopped,
  // and the run fails with this error.
  virtual void OnBroken(Error error) = 0;

  // What passed between daemon and agent other than by the child's pipes (one line's worth each): for the
  // transcript, and what was heard also as a sign of life. Not for heartbeats.
  virtual void OnHeard(std::string_view text) = 0;
  virtual void OnTold(std::string_view text) = 0;

  // What PrepareStop waited for is done.
  virtual void OnStopPrepared() = 0;

  // Starts another process of this agent's tree, in its environment with `spawn.env` over it; the caller owns
  // it.
  virtual Result<std::unique_ptr<Child>> SpawnBeside(SpawnSpec spawn, Child::Handlers handlers) = 0;
  // After a handover, in Resume: takes up one of them again.
  virtual Result<std::unique_ptr<Child>> AdoptBeside(ChildState state, Child::Handlers handlers) = 0;

  // To the child's stdin. Error "not_running", "queue_full": nothing of it was taken.
  virtual Status WriteStdin(std::string_view bytes) = 0;
  virtual void CloseStdin() = 0;
  virtual void Signal(int signum) = 0;

 protected:
  ~AgentHost() = default;
};

class Adapter {
 public:
  virtual ~Adapter() = default;

  // Fills in the command line, the environment and whether stdin is a pipe. `spawn` comes with the spec's
  // command, environment and folder. Error: why this spec cannot be started.
  virtual Status Prepare(SpawnSpec& spawn) = 0;
  // The process runs. An adapter without a handshake calls OnReady here.
  virtual void OnSpawned() = 0;
  virtual void OnOutput(Child::Output from, std::string_view bytes) = 0;
  // The process has exited and is drained: the last call. What is left of a line is delivered now; an open
  // turn is the agent's business.
  virtual void OnExited() = 0;

  // A prompt, when no turn runs (kinds with turns) or a line of input (kinds without). An Error means that it
  // was not taken; a prompt that fails later is an OnTurnEnded.
  virtual Status Prompt(const std::string& text) = 0;
  // End the present turn, keep the process.
  virtual void Interrupt() = 0;
  // Ends what the process does in the kind's own polite way (abort the turn, say shutdown), before the tree
  // gets its TERM. True: there is nothing to wait for. Otherwise until OnStopPrepared, or until the process
  // has exited; the agent does not wait longer than its grace.
  virtual bool PrepareStop() { return true; }

  // --- handover to a new binary
  //
  // All that this adapter knows of its process, a JSON object; descriptors that must stay open, by number, go
  // into `keep`. The adapter goes on as before if the handover is given up.
  [[nodiscard]] virtual std::string Save(std::vector<int>& keep) const {
    (void)keep;
    return "{}";
  }
  // In place of Prepare and OnSpawned: the process runs already, and an adapter of this kind, of this reeve
  // or an older one, said `state`. Only reads: it touches no descriptor and no connection and tells the host
  // nothing, as a trial does it too. Error: not understood.
  virtual Status Restore(const JsonValue& state) {
    (void)state;
    return {};
  }
  // After Restore, once everything is in its place: take up descriptors and connections, catch up.
  virtual void Resume() {}

  // What only some kinds can, as their Kind says; the agent asks no other.
  //
  // Words for the turn that runs, by an id of the caller's: OnSteered tells what became of them, maybe from
  // within. Where nothing has been told when the process has exited, it did not take them.
  virtual void Steer(const std::string& id, const std::string& text) { (void)id, (void)text; }
  virtual void Decide(const std::string& approval_id, const ApprovalAnswer& answer) {
    (void)approval_id, (void)answer;
  }
  virtual void Answer(const std::string& elicitation_id, const ElicitationAnswer& answer) {
    (void)elicitation_id, (void)answer;
  }
  // The models to choose from, a JSON array of {id, name?}. `done` once, also when the process ends; but not
  // after a handover, which ends the request that asked.
  virtual void ListModels(std::function<void(Result<std::string>)> done) {
    std::exchange(done, nullptr)(Error{"not_supported", "this kind has no choice of models"});
  }
};

// A kind: its name and what it can do (GET /kinds).
struct Kind {
  const char* name;
  struct Can {
    bool turns = false;          // false: the process's life is the run
    bool interrupt = false;      // a run can be ended without ending the process
    bool steer = false;          // Steer
    bool approve = false;        // it asks before it acts: Decide
    bool change_input = false;   // an approval may change the tool's input
    bool elicit = false;         // it asks what it wants to know: Answer
    bool resume = false;         // a later process goes on with an earlier one's session
    bool model = false;          // the model can be chosen, and another from turn to turn
    bool system_prompt = false;  // takes the spec's
    bool terminal = false;       // a screen to look at and to type into
  } can;
  const char* program =
      nullptr;  // looked up on PATH when the spec has no command; null: a command is demanded
  const char* install = nullptr;  // what to install when it is not there
  std::unique_ptr<Adapter> (*make)(AgentHost& host, const std::string& session) = nullptr;
  std::vector<std::string_view> options = {};  // kind_options that it knows: true or false, each
};
// All kinds; nullptr for an unknown name.
const std::vector<Kind>& Kinds();
const Kind* FindKind(std::string_view name);

}  // namespace reeve
