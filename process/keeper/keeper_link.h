// KeeperLink: the daemon's end of the connection with its keeper (PROTOCOL.md). Owned by the Daemon, on the
// loop's thread. Each request waits for its reply, which takes the keeper some microseconds (a spawn: as long
// as a spawn takes).
//
// A keeper that has died, or whose replies make no sense, closes the link for good: OnLost's function is
// called, Spawn fails with "keeper_failed", and all other functions do nothing.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "process/fd.h"
#include "process/keeper/wire.h"
#include "process/result.h"
#include "process/spawn.h"

namespace reeve {

class KeeperLink {
 public:
  struct LastEnd {  // how the daemon before this one died
    int code = -1;
    int signal = 0;
  };
  struct HeldChild {
    pid_t pid = -1;
    Fd pidfd;
  };
  struct Exit {
    int code = -1;  // exit code, or -1 when a signal ended it
    int signal = 0;
  };

  // Greets the keeper, and fetches all descriptors and children that it holds. Error "keeper_failed".
  static Result<std::unique_ptr<KeeperLink>> Connect(Fd socket);
  KeeperLink(const KeeperLink&) = delete;
  KeeperLink& operator=(const KeeperLink&) = delete;
  // `lost` is called when the link closes, in the middle of the request that found it so, or of OnReadable.
  void OnLost(std::function<void()> lost) { lost_ = std::move(lost); }

  [[nodiscard]] pid_t keeper_pid() const { return keeper_pid_; }
  // Deaths of daemons that this keeper has seen. An end for an upgrade is none.
  [[nodiscard]] uint64_t restarts() const { return restarts_; }
  // Nothing for the first daemon and after an upgrade.
  [[nodiscard]] std::optional<LastEnd> last_end() const { return last_end_; }

  // The descriptor that an earlier daemon kept under this key, close-on-exec. Empty if there is none, or if
  // it was taken. The keeper goes on holding it.
  Fd Take(uint64_t key);
  // The keys of this purpose that earlier daemons kept and nobody has taken.
  [[nodiscard]] std::vector<uint64_t> Untaken(uint8_t purpose) const;
  // Lets the keeper drop all descriptors of earlier daemons that were not taken.
  void DropUntaken();
  // The children of earlier daemons; empty at the second call. The keeper goes on holding them.
  std::vector<HeldChild> TakeChildren();

  // From now on the keeper holds a duplicate of `fd`, which stays the caller's. Returns its key, which is
  // greater than all others in the life of the keeper, and tells its `purpose`: a number below kPurposes.
  uint64_t Keep(int fd, uint8_t purpose = 0);
  static constexpr uint64_t kPurposes = 8;
  // The same under a fixed key below 100, instead of the descriptor that was held under it.
  void KeepAs(uint64_t key, int fd);
  void Drop(uint64_t key);

  // Lets the keeper start a child, as SpawnWith does: its parent is the keeper, and it outlives this daemon.
  // The errors are SpawnWith's, and "keeper_failed".
  Result<Started> Spawn(const SpawnSpec& spec, const std::array<int, 3>& stdio);
  // Nothing if it still runs, or is no child that the keeper holds. The child stays a zombie.
  std::optional<Exit> ExitOf(pid_t pid);
  // Lets the keeper take the exit status and forget the child.
  void Reap(pid_t pid);
  struct Looked {
    bool complete = false;  // false: processes exit faster than it looks
    uint64_t reaped = 0;    // orphans in the life of the keeper
    explicit operator bool() const { return complete; }
  };
  // Lets the keeper reap the orphans that have exited.
  Looked Look();

  // Announces that this daemon works: only then is the keeper content, and forwards systemd's READY.
  void Ready();
  // Announces the end: when this daemon has exited, the keeper ends everything and exits with `code`
  // (0..255).
  void Bye(int code);
  // Announces that this daemon will exit with 0, and that the keeper shall then start `program`, with the
  // arguments of this daemon. Before that it becomes the program `keeper`; empty: it stays as it is.
  void Upgrade(const std::string& program, const std::string& keeper);

  // Readable: OnReadable is to be called. Without an open link it is -1.
  [[nodiscard]] int fd() const { return socket_.get(); }
  // Answers a Ping.
  void OnReadable();

 private:
  explicit KeeperLink(Fd socket) : socket_(std::move(socket)) {}
  Status Greet();
  Status FetchHeld();
  Status FetchChildren();
  template <typename Struct>
  bool Tell(const Struct& message, std::span<const int> fds = {}, std::string_view tail = {});
  // Sends a request and receives its reply into packet_. False: the link is closed now.
  template <typename Struct>
  bool Ask(const Struct& message, std::span<const int> fds = {}, std::string_view tail = {});
  [[nodiscard]] std::optional<Error> Failure() const;
  Error Nonsense();
  void Close();

  std::function<void()> lost_;
  Fd socket_;  // empty: the link is closed
  pid_t keeper_pid_ = -1;
  uint64_t restarts_ = 0;
  std::optional<LastEnd> last_end_;
  uint64_t next_key_ = keeper::kFirstFreeKey;
  std::map<uint64_t, Fd> untaken_;
  std::vector<HeldChild> children_;
  keeper::Packet packet_;  // the last reply
};

}  // namespace reeve
