// ServiceManager: messages to systemd (sd_notify(3)), if it started us: NOTIFY_SOCKET, WATCHDOG_USEC and
// WATCHDOG_PID say so. Owned by the Keeper. Sending never waits, and a message that cannot be sent is lost.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace reeve::keeper {

class ServiceManager {
 public:
  // Reads the environment of this process.
  ServiceManager();

  void Ready() const;
  // Announces that a signal to reload was passed on. The reload counts as done at once, because the daemon
  // goes on with the old settings if the new ones are wrong.
  void Reloaded() const;
  void Stopping() const { Say("STOPPING=1"); }
  void Alive() const { Say("WATCHDOG=1"); }

  // In how many milliseconds at most Alive() must be called again; 0: never.
  [[nodiscard]] int64_t watchdog_ms() const { return watchdog_ms_; }

  // Whether an entry of the environment is meant for this process, so that no other may get it.
  static bool IsPrivate(std::string_view entry);

 private:
  void Say(const std::string& message) const;

  std::string socket_;  // empty: nobody wants to know
  int64_t watchdog_ms_ = 0;
};

}  // namespace reeve::keeper
