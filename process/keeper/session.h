// Session: the keeper's end of the connection with one daemon. It reads the daemon's messages, acts on the
// Holdings, and replies. Owned by the Keeper; the Holdings outlive it. It does no waiting: the socket does
// not block.
//
// A message that the protocol does not allow ends the session: it sends "protocol" and the reason, where a
// reply is still possible, and reads no more.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "process/fd.h"
#include "process/keeper/holdings.h"
#include "process/keeper/wire.h"
#include "process/spawn.h"

namespace reeve::keeper {

class Session {
 public:
  // SpawnWith, or the stand-in of a fuzz target.
  using Spawner = std::function<Result<Started>(const SpawnSpec&, const std::array<int, 3>&)>;
  // The part of Welcome that the session does not know.
  struct Greeting {
    uint64_t restarts = 0;
    int last_code = 0;
    int last_signal = 0;
  };
  struct Paths {
    std::string program;
    std::string keeper;
  };
  enum class State {
    kNew,    // nothing has arrived yet
    kOpen,   // the versions fit
    kGone,   // the daemon has closed its end
    kBroken  // the daemon has sent what the protocol does not allow: failure() says it
  };

  // `daemon` is the pid that ReapOrphans leaves alone.
  Session(Fd socket, pid_t daemon, const Greeting& greeting, Holdings& holdings, Spawner spawn);

  [[nodiscard]] int fd() const { return socket_.get(); }
  [[nodiscard]] State state() const { return state_; }
  [[nodiscard]] bool active() const { return state_ == State::kNew || state_ == State::kOpen; }
  [[nodiscard]] const std::string& failure() const { return failure_; }

  // Handles the messages that have arrived, and returns after some, so that nothing else waits for long.
  void Read();
  // Handles the rest after the daemon has died: nobody waits for replies, so nothing is spawned any more.
  void ReadRest();
  // False: the daemon's queue is full, or its end is closed.
  bool SendPing();

  // The daemon's announcements so far.
  [[nodiscard]] bool ready() const { return ready_; }
  [[nodiscard]] std::optional<int> bye() const { return bye_; }
  [[nodiscard]] const std::optional<Paths>& upgrade() const { return upgrade_; }
  [[nodiscard]] uint64_t pongs() const { return pongs_; }
  // Descriptors that should be held, but for which this process has no room.
  [[nodiscard]] uint64_t lost() const { return lost_; }

 private:
  bool Step();
  bool Handle();
  void Break(std::string_view reason);
  template <typename Struct>
  void Reply(const Struct& message, std::span<const int> fds = {}, std::string_view tail = {});
  void Refuse(std::string_view code, std::string_view message);

  bool OnHello(const Hello& message);
  void OnNextHeld(uint64_t key);
  void OnNextChild(pid_t pid);
  void OnKeep(uint64_t key);
  bool OnSpawn(std::string_view inline_spec);
  void OnExitOf(pid_t pid);
  bool OnUpgrade(const Upgrade& message, std::string_view texts);

  Fd socket_;
  const pid_t daemon_;
  const Greeting greeting_;
  Holdings& holdings_;
  const Spawner spawn_;
  Packet packet_;  // the message that is being handled
  State state_ = State::kNew;
  std::string failure_;
  bool dead_ = false;  // the daemon has died
  bool ready_ = false;
  std::optional<int> bye_;
  std::optional<Paths> upgrade_;
  uint64_t pongs_ = 0;
  uint64_t lost_ = 0;
};

}  // namespace reeve::keeper
