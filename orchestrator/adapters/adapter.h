// Adapter: how one kind of agent is driven. One file a kind; it turns what the agent says into events of the
// vocabulary (control/API.md), and what reeve wants into what the agent understands.
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

#include "orchestrator/json.h"
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
};

// Something the agent waits for a person to allow.
struct ApprovalRequest {
  std::string id;       // the agent's own id, unique among its pending ones
  std::string tool;     // normalised tool name
  std::string input;    // JSON: what the tool would do
  std::string call_id;  // of the tool call, where known
};
enum class Decision { kAllowOnce, kAllowAlways, kDeny };

// What an adapter may ask of the agent it serves. Implemented by Agent, and by a recorder in tests.
class AgentHost {
 public:
  virtual Loop& loop() = 0;
  virtual HttpClient& http() = 0;
  [[nodiscard]] virtual const AgentSpec& spec() const = 0;

  // A content event (assistant.*, reasoning.*, tool.*, file.*, plan.*, usage.*, title.*, subagent.*,
  // agent.output, agent.error). `data` is a JSON object on one line. The agent adds the run.
  virtual void Emit(std::string_view type, std::string_view data) = 0;

  // The process can take prompts now. Once.
  virtual void OnReady() = 0;
  // The agent began, ended a turn. A turn that no Prompt of ours began gets a run of its own; an end without
  // a turn is ignored, so telling twice is harmless.
  virtual void OnTurnStarted() = 0;
  virtual void OnTurnEnded(const TurnEnd& end) = 0;

  virtual void OnApproval(ApprovalRequest request) = 0;
  // The agent answered it itself, or took it back.
  virtual void OnApprovalGone(const std::string& id) = 0;

  // The upstream session's id, kept so that a later process can resume it.
  virtual void OnSession(std::string id) = 0;
  // The process is of no more use (it never became ready, its stream is gone for good): it is to be stopped,
  // and the run fails with this error.
  virtual void OnBroken(Error error) = 0;

  // To the child's stdin.
  virtual Status WriteStdin(std::string_view bytes) = 0;
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
  // gets its TERM. Calls `done` once, at once if there is nothing to do; the agent does not wait longer than
  // its grace.
  virtual void PrepareStop(std::function<void()> done) { std::exchange(done, nullptr)(); }
  virtual void Decide(const std::string& approval_id, Decision decision, const std::string& reason) {
    (void)approval_id, (void)decision, (void)reason;
  }
};

// A kind: its name and what it can do.
struct Kind {
  const char* name;
  bool turns;      // false: the process's life is the run
  bool interrupt;  // a turn can be ended without ending the process
  bool approvals;
  const char* program;  // looked up on PATH when the spec has no command; null: a command is demanded
  const char* install;  // what to install when it is not there
  std::unique_ptr<Adapter> (*make)(AgentHost& host, const std::string& session);
  std::vector<std::string_view> options = {};  // kind_options that it knows: true or false, each
};
// All kinds; nullptr for an unknown name.
const std::vector<Kind>& Kinds();
const Kind* FindKind(std::string_view name);

}  // namespace reeve
