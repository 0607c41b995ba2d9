// Room adapters/: how each kind of agent is driven, one file or folder for each kind.
//
// Adapter: how one kind of agent is driven. One file a kind; it turns what the agent says into events of the
// vocabulary (control/api/API.md), and what reeve wants into what the agent understands.
//
// An adapter lives as long as one process of the agent: made before the spawn, destroyed after on_done, so
// nothing of an earlier process can reach a later one. It decides nothing: it tells its AgentHost what it
// saw, and the agent's Advance() decides.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "orchestrator/agent/approval_request.h"
#include "process/child.h"
#include "process/result.h"

namespace reeve {

class JsonValue;

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

}  // namespace reeve
