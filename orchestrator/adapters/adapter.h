// Room adapters/: drives each kind of agent; one file or folder for each kind.
//
// Adapter: drives one kind of agent. It translates the agent's output into events of the vocabulary
// (control/api/API.md), and reeve's commands into the agent's protocol.
//
// An adapter lives as long as one process of the agent: it is made before the spawn and destroyed after
// on_done, so nothing of an earlier process can reach a later one. It decides nothing: it reports what it saw
// to its AgentHost, and the agent's Advance() decides.
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

  // Completes `spawn`, which holds the spec's command, environment and folder: fills in the command line, the
  // environment and whether stdin is a pipe. Error: the reason why this spec cannot be started.
  virtual Status Prepare(SpawnSpec& spawn) = 0;
  // The process runs. An adapter without a handshake calls OnReady here.
  virtual void OnSpawned() = 0;
  virtual void OnOutput(Child::Output from, std::string_view bytes) = 0;
  // The process has exited and its output is read: the last call. The adapter delivers the rest of a line
  // now; the agent ends an open turn.
  virtual void OnExited() = 0;

  // Back-pressure: the agent takes no more content now, or takes it again. The child's pipes are paused by
  // the agent itself; an adapter that hears its agent in another way pauses that, too.
  virtual void PauseReading(bool paused) { (void)paused; }

  // Gives a prompt, when no turn runs (kinds with turns), or a line of input (kinds without). An Error means
  // that the agent did not take it. A prompt that fails later is reported by OnTurnEnded.
  virtual Status Prompt(const std::string& text) = 0;
  // Ends the present turn and keeps the process.
  virtual void Interrupt() = 0;
  // Ends the process's work in the kind's own polite way (abort the turn, ask for shutdown) before its tree
  // gets TERM. True: there is nothing to wait for. False: the agent waits until OnStopPrepared or until the
  // process has exited, but no longer than its grace.
  virtual bool PrepareStop() { return true; }

  // --- checkpoints
  //
  // Returns all that this adapter knows of its process, as a JSON object, from which an adapter of the next
  // daemon continues.
  [[nodiscard]] virtual std::string Save() const { return "{}"; }
  // Replaces Prepare and OnSpawned when the process runs already. `state` was saved by an adapter of this
  // kind, in this reeve or an older one. Restore only reads: it touches no descriptor and no connection and
  // calls no function of the host, because a trial restore calls it too. Error: the state was not understood.
  virtual Status Restore(const JsonValue& state) {
    (void)state;
    return {};
  }
  // Called after Restore, once every object is in place: takes over descriptors and connections, and catches
  // up.
  virtual void Resume() {}

  // A turn in which the adapter called AgentHost::OnChanged is on disk: things happen now that the next
  // daemon must know of, such as a request that must not be sent twice.
  virtual void OnCommitted() {}

  // The functions below are for some kinds only, as their Kind says. The agent calls them for no other. A
  // kind that claims an ability without its function ends the daemon at the first use, and fails a test
  // before that.
  //
  // Steers the turn that runs by some text. `id` is the caller's; OnSteered reports the result under it,
  // perhaps from within this call. If OnSteered was not called before the process exited, the agent did not
  // take the text.
  virtual void Steer(const std::string& id, const std::string& text) {
    (void)id, (void)text;
    Missing("Steer");
  }
  virtual void Decide(const std::string& approval_id, const ApprovalAnswer& answer) {
    (void)approval_id, (void)answer;
    Missing("Decide");
  }
  virtual void Answer(const std::string& elicitation_id, const ElicitationAnswer& answer) {
    (void)elicitation_id, (void)answer;
    Missing("Answer");
  }
  // Lists the models to choose from, as a JSON array of {id, name?}. Calls `done` once, also when the process
  // ends; but not by the next daemon, because the request that asked has ended.
  // NOLINTNEXTLINE(performance-unnecessary-value-param)  the kinds keep it
  virtual void ListModels(std::function<void(Result<std::string>)> done) {
    (void)done;
    Missing("ListModels");
  }
  // The model that the program uses while nobody has chosen one; empty: unknown.
  [[nodiscard]] virtual std::string OwnModel() const { return {}; }

 private:
  // A bug of the kind: its Kind::Can promises this function.
  [[noreturn]] static void Missing(const char* function);
};

}  // namespace reeve
