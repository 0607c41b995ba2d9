// Room handover/: the state that each daemon leaves for the next one (KEEPER.md): checkpoints, which are
// there at any moment, and the upgrade, after which the next daemon is another binary.
//
// Handover: an upgrade, which no agent notices. First a child of the new binary, the trial, reads the state
// and reports whether it could continue. Then requests in flight are answered, the store and the logs finish
// their writes, and this process ends; the keeper starts the new binary. Any failure before that is reported,
// and this daemon continues.
//
// Owned by the Daemon, which passes functions that reach the layers above; on the loop's thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "orchestrator/handover/handover_state.h"
#include "process/child.h"
#include "process/result.h"
#include "process/timer.h"

namespace reeve {

class Store;
class Town;

class Handover {
 public:
  static constexpr int64_t kTrialMs = 10'000;
  static constexpr int64_t kRequestsMs = 1'000;  // time for requests in flight to be answered
  static constexpr int64_t kSettleMs = 5'000;    // time for the store and the disk to finish

  struct Parts {
    Loop& loop;
    ProcessParent& helpers;  // the parent of the trial
    Town& town;
    Store& store;
    std::function<std::vector<std::string>()>
        arguments;  // of this daemon, without the program and the arguments that the trial or the keeper gets
    std::string binary;  // the path that it was started from; a replaced file there is the new binary
    std::function<HandoverState()> save;  // the town's state, without the agents
    std::function<void(std::function<void()> quiet)>
        hold;                       // accepts no connections; calls `quiet` when none is left
    std::function<void()> release;  // accepts connections again, after a failed upgrade
    // The last step: commits this turn, and ends the process so that `binary` follows. Returns only if it
    // fails.
    std::function<Status(const std::string& binary)> become;
  };
  explicit Handover(Parts parts);
  ~Handover();
  Handover(const Handover&) = delete;
  Handover& operator=(const Handover&) = delete;

  using Tried = std::function<void(Result<std::string> version)>;
  // Tries `binary` (empty: Parts::binary) and reports its version, or Error "conflict" (an upgrade is
  // running), "draining" or "upgrade_failed". After a version the rest follows; if that fails, failure()
  // gives the reason.
  void Begin(const std::string& binary, Tried tried);
  [[nodiscard]] const std::string& failure() const { return failure_; }
  // An earlier daemon ended for a binary that did not become ready, so this one continues.
  void SetFailure(std::string reason) { failure_ = std::move(reason); }

 private:
  struct Trial;
  Status StartTrial();
  void OnTrialDone(const ExitStatus& exit);
  void HoldAndGo();
  void Go();
  Status Settle();
  void GiveUp(const std::string& reason);

  Parts parts_;
  std::string binary_;  // of the running upgrade; empty: none is running
  Tried tried_;
  std::unique_ptr<Trial> trial_;
  std::string failure_;
  Timer deadline_;  // of the trial, then of the requests
  int64_t settle_until_ms_ = 0;
};

// Runs the trial: reads the state from `fd` and does all that the next daemon would do with it, without
// touching anything. Opens the data folder's store for reading. Error "handover_state", or the store's.
Status TryHandover(int fd, const std::string& data_dir);

// Between these two calls the daemon's signals are held back, so that they do not end a process that cannot
// handle them yet. Signals that came meanwhile arrive in LetSignalsIn.
void HoldSignals();
void LetSignalsIn();

// The path by which a program was started: argv[0], looked up as a shell does. A link is not resolved.
std::string ProgramPath(const char* argv0);

}  // namespace reeve
