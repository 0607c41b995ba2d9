// Where a daemon keeps its data, and how its command line finds it. Shared by `reeve serve` and the commands
// that talk to it.
#pragma once

#include <string>
#include <vector>

#include "process/fd.h"
#include "process/result.h"

namespace reeve {

// control/api/API.md: $XDG_STATE_HOME/reeve, else ~/.local/state/reeve; /var/lib/reeve for root.
std::string DefaultDataDir();

// The data folder, ours alone: made (0700) if need be, and locked for as long as the Fd lives. Error "busy"
// when another daemon has it.
Result<Fd> LockDataDir(const std::string& path);

// DIR/runtime.json: how to reach the daemon that runs on DIR.
struct RuntimeFile {
  int pid = 0;
  std::vector<std::string> listen;  // "http://127.0.0.1:8080", "unix:///run/reeve.sock"
  std::string version;

  Status Write(const std::string& data_dir) const;  // 0600, replaced atomically
  static Result<RuntimeFile> Read(const std::string& data_dir);
  static std::string PathIn(const std::string& data_dir) { return data_dir + "/runtime.json"; }
  // Whether its process is there; a daemon that was killed leaves the file behind.
  [[nodiscard]] bool Alive() const;
};

// Of the addresses that a daemon listens on, the one for callers on this machine: its Unix socket, else
// loopback, also where that is part of all addresses, else the first. Empty: it listens nowhere.
std::string LocalAddress(const std::vector<std::string>& listening);
// Likewise, but for a browser, which opens no Unix socket.
std::string LocalWebAddress(const std::vector<std::string>& listening);

// A small file, whole: 64 KiB at most. Errors name it.
Result<std::string> ReadConfigFile(const std::string& path);

}  // namespace reeve
