// Room handover/: the state that one image of the daemon leaves to the next, and how it is carried.
//
// Handover: this process becomes another binary, and no agent notices (HANDOVER.md). First a child of the
// new binary, the trial, reads the state and says that it could go on; then requests in flight are answered,
// store and logs come to rest, and exec follows. Whatever fails before exec is said, and this image goes on.
//
// Owned by the Daemon, which gives the functions that reach what lies above; on the loop's thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
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
  static constexpr int64_t kRequestsMs = 1'000;  // what requests in flight get to be answered
  static constexpr int64_t kSettleMs = 5'000;    // what the store and the disk get to come to rest

  struct Parts {
    Loop& loop;
    Reaper& reaper;
    Town& town;
    Store& store;
    std::function<std::vector<std::string>()>
        arguments;       // of this daemon, without the program and what a handover added
    std::string binary;  // what it was started from: a replaced file is the new one
    // All that the next image gets but the agents; descriptors are added to `keep`.
    std::function<HandoverState(std::vector<int>& keep)> save;
    std::function<void(std::function<void()> quiet)> hold;  // take no connection; none is left: quiet
    std::function<void()> release;                          // the handover was given up
    std::function<void()> flush;  // the last before exec: viewers get what they take
  };
  explicit Handover(Parts parts);
  ~Handover();
  Handover(const Handover&) = delete;
  Handover& operator=(const Handover&) = delete;

  using Tried = std::function<void(Result<std::string> version)>;
  // Tries `binary` (empty: Parts::binary) and tells its version or why not: "conflict" (one is under way),
  // "draining", "upgrade_failed". After the version comes the handover; where it fails after all failure()
  // says why.
  void Begin(const std::string& binary, Tried tried);
  [[nodiscard]] const std::string& failure() const { return failure_; }

 private:
  struct Trial;
  Status StartTrial();
  void OnTrialDone(const ExitStatus& exit);
  void HoldAndGo();
  void Go();
  Status Settle();
  Status Become();
  void GiveUp(const std::string& reason);

  Parts parts_;
  std::string binary_;  // of the one under way; empty: none is
  Tried tried_;
  std::unique_ptr<Trial> trial_;
  std::string failure_;
  Timer deadline_;  // of the trial, then of the requests
  int64_t settle_until_ms_ = 0;
};

// What a trial does with the state that it reads from `fd`: all that the next image would, touching nothing.
// The data folder's store is opened for reading. Error "handover_state", or the store's.
Status TryHandover(int fd, const std::string& data_dir);

// Between these two the daemon's signals wait, rather than end a process that cannot handle them yet; those
// that came meanwhile, between two images too, arrive in LetSignalsIn.
void HoldSignals();
void LetSignalsIn();

// The path by which a program was started: argv[0], looked up as a shell does; a link stays one.
std::string ProgramPath(const char* argv0);

}  // namespace reeve
