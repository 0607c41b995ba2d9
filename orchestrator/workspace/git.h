// Git: runs the real git for the daemon, as a child process, a command at a time for whoever asks. What a
// repository or an agent wrote does not run in it: no hooks, no fsmonitor, no configuration but ours and that
// of the repository it is told to work in, only the protocols that were configured, nobody asked for a
// password.
//
// So many run at once, whoever asked: of those that work on this machine kMostLocal, as they want processors
// and disk; of those that talk to another kMostRemote, as they mostly wait. The others wait in their order.
//
// Owned by the Town; on the loop's thread. Ending it kills what runs.
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
    std::string protocols = "https:ssh";  // as GIT_ALLOW_PROTOCOL, git(1)
    std::string credentials;              // a file as git-credential-store(1) has it; empty: none
    int64_t timeout_ms = 300'000;         // of one command
    enum class Wip { kOff, kCommit, kPush };
    Wip wip = Wip::kOff;  // what becomes of work that an agent has not committed, at a drain
  };
  static constexpr size_t kMostLocal = 8;
  static constexpr size_t kMostRemote = 32;
  // A command may name repositories elsewhere, on this machine only (our mirrors), or not at all.
  enum class Reach { kNone, kLocal, kRemote };
  struct Command {
    std::vector<std::string> arguments;  // what comes after our own settings; "--" is the caller's to put
    std::string folder;                  // where it runs
    std::vector<std::string> env;        // "GIT_DIR=…" and such
    std::string input;                   // for its stdin
    Reach reach = Reach::kNone;
    int64_t timeout_ms = 0;               // from its beginning; 0: Options::timeout_ms
    int64_t until_ms = 0;                 // Loop::NowMs(), its waiting included; 0: however long that takes
    size_t max_output = size_t{1} << 20;  // of stdout; more is an error
    // At most once a second while the phase stays the same.
    std::function<void(const std::string& phase, int percent)> on_progress;
    // Once, never within Run(): what it said on stdout, or Error "workspace_timeout",
    // "workspace_failed" with its last words, "cancelled".
    std::function<void(Result<std::string>)> done;
  };

  Git(ChildContext context, Options options);
  ~Git();
  Git(const Git&) = delete;
  Git& operator=(const Git&) = delete;

  // Marks its children: a later daemon of this town finds those that were left.
  void SetTown(const std::string& town_id) { town_id_ = town_id; }
  // What all of them have in their environment, and no other process: an entry, "NAME=value".
  static std::string Marker(const std::string& town_id) { return "REEVE_GIT_OF=" + town_id; }
  // Where git is; empty: it is not installed.
  [[nodiscard]] static std::string Program();
  [[nodiscard]] const Options& options() const { return options_; }
  [[nodiscard]] bool Allows(std::string_view protocol) const;

  uint64_t Run(Command command);
  // Ends it, with all it started. `done` comes once it has gone.
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
  std::map<uint64_t, std::unique_ptr<Running>> running_;  // or waiting: without a child
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace reeve
