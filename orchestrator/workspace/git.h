// Git: runs the real git for the daemon, one child process per command. It runs nothing that a repository or
// an agent wrote: no hooks, no fsmonitor. It reads no configuration except ours and that of the repository it
// works in, allows only the configured protocols, and asks nobody for a password.
//
// At most kMostLocal commands that work on this machine run at once, because they need processors and disk,
// and at most kMostRemote that talk to another machine, because they mostly wait. The others queue in order.
//
// Owned by the Town; on the loop's thread. Destroying it kills the running commands.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "process/child.h"
#include "process/result.h"
#include "process/timer.h"

namespace reeve {

class Git {
 public:
  struct Options {
    std::string protocols = "https:ssh";  // in the form of GIT_ALLOW_PROTOCOL, git(1)
    std::string credentials;              // a file in the format of git-credential-store(1); empty: none
    int64_t timeout_ms = 300'000;         // of one command
    enum class Wip { kOff, kCommit, kPush };
    Wip wip = Wip::kOff;  // what a drain does with an agent's uncommitted work
  };
  static constexpr size_t kMostLocal = 8;
  static constexpr size_t kMostRemote = 32;
  // Whether a command uses repositories on other machines, only those on this machine (our mirrors), or none.
  enum class Reach { kNone, kLocal, kRemote };
  struct Command {
    std::vector<std::string>
        arguments;       // the arguments after our own settings; the caller writes "--" where it is needed
    std::string folder;  // the folder to run in
    std::vector<std::string> env;  // "GIT_DIR=…" and such
    std::string input;             // for its stdin
    Reach reach = Reach::kNone;
    int64_t timeout_ms = 0;               // from the command's beginning; 0: Options::timeout_ms
    int64_t until_ms = 0;                 // on the clock of Loop::NowMs(), including the wait; 0: no limit
    size_t max_output = size_t{1} << 20;  // of stdout; more is an error
    bool cut =
        false;  // more is cut off after one byte, which tells that there was more, and ends the command
    // Called at most once a second while the phase stays the same.
    std::function<void(const std::string& phase, int percent)> on_progress;
    // Called once, never within Run(), with the command's stdout, or with Error "workspace_timeout",
    // "workspace_failed" (with the last lines of stderr), "cancelled".
    std::function<void(Result<std::string>)> done;

    [[nodiscard]] std::string Name() const;  // for people: "git fetch"
  };

  Git(ChildContext context, Options options);
  ~Git();
  Git(const Git&) = delete;
  Git& operator=(const Git&) = delete;

  // Marks its children, so that a later daemon of this town finds those that were left behind.
  void SetTown(const std::string& town_id) { town_id_ = town_id; }
  // The environment entry ("NAME=value") that all children of this town's Git have, and no other process.
  static std::string Marker(const std::string& town_id) { return "REEVE_GIT_OF=" + town_id; }
  // The path of git; empty: it is not installed.
  [[nodiscard]] static std::string Program();
  [[nodiscard]] const Options& options() const { return options_; }
  [[nodiscard]] bool Allows(std::string_view protocol) const;

  uint64_t Run(Command command);
  // Ends the command and everything it started. `done` is called once it is gone.
  void Cancel(uint64_t run);

  struct Stats {
    size_t running = 0;
    size_t waiting = 0;
  };
  [[nodiscard]] Stats stats() const;

 private:
  struct Running;
  struct Lane {
    size_t most;
    size_t running = 0;
    std::deque<uint64_t> waiting = {};
  };
  Lane& LaneOf(Reach reach) { return reach == Reach::kRemote ? remote_ : local_; }
  void StartNext(Lane& lane);
  Status Start(uint64_t run, Running& running);
  void OnDeadline(uint64_t run);
  void OnDone(uint64_t run, const ExitStatus& exit);
  void EndUnstarted(uint64_t run, Error error);
  [[nodiscard]] SpawnSpec Spawn(const Command& command) const;
  [[nodiscard]] std::string WithoutSecrets(std::string text) const;

  const ChildContext context_;
  const Options options_;
  std::string town_id_;
  uint64_t last_ = 0;
  Lane local_{kMostLocal};
  Lane remote_{kMostRemote};
  std::map<uint64_t, std::unique_ptr<Running>> running_;  // also the waiting ones: these have no child
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace reeve
