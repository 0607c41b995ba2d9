// Finds the folder where a daemon keeps its data, and the daemon that runs on it. Shared by `reeve serve` and
// the commands that talk to it.
#pragma once

#include <string>
#include <vector>

#include "process/fd.h"
#include "process/result.h"

namespace reeve {

// control/api/API.md: $XDG_STATE_HOME/reeve, else ~/.local/state/reeve; /var/lib/reeve for root.
std::string DefaultDataDir();

// Makes the data folder (0700) if necessary, and locks it for as long as the Fd lives. The lock is on the
// folder itself (flock), because a lock file can be removed. Waits for up to a second for another lock to go.
// Errors: "busy", another daemon has locked it; "unsafe_folder", it is a link or belongs to another user.
Result<Fd> LockDataDir(const std::string& path);
// Whether LockDataDir could use this folder, or make it, as far as can be told without a change. Errors name
// it.
Status CheckDataDir(const std::string& path);
// Whether a daemon holds that lock. A lock is proof: it ends with its process, and nobody else can have it.
bool DataDirLocked(const std::string& path);

// DIR/runtime.json: how to reach the daemon that runs on DIR.
struct RuntimeFile {
  int pid = 0;                      // of the daemon
  int keeper_pid = 0;               // of its keeper; 0: it has none
  std::vector<std::string> listen;  // "http://127.0.0.1:8080", "unix:///run/reeve.sock"
  std::string version;
  std::string data_dir = {};  // where Read found it

  Status Write(const std::string& dir) const;  // 0600, replaced atomically
  static Result<RuntimeFile> Read(const std::string& dir);
  static std::string PathIn(const std::string& dir) { return dir + "/runtime.json"; }
  // Whether a daemon runs on its folder. A daemon that was killed leaves the file behind, and another process
  // may have its pid and its port by now.
  [[nodiscard]] bool Alive() const { return DataDirLocked(data_dir); }
};

// DIR/bin, which has the one program `reeve`: a link to `binary`. Agents that may use the API have this
// folder on their PATH.
std::string ProgramFolderIn(const std::string& data_dir);
Status LinkProgram(const std::string& data_dir, const std::string& binary);

// Picks from the addresses that a daemon listens on the one for callers on this machine: its Unix socket,
// else loopback (also if the address covers all interfaces), else the first. Empty: the daemon listens
// nowhere.
std::string LocalAddress(const std::vector<std::string>& listening);
// The same for a browser, which cannot open a Unix socket.
std::string LocalWebAddress(const std::vector<std::string>& listening);

// The home of this process's user: HOME, else the one in the user database; "/" if there is none. Agents
// without a folder of their own work there.
std::string HomeFolder();

// The largest spec and environment file; the API takes no larger spec either (control/api/API.md).
inline constexpr size_t kMaxSpecBytes = size_t{1} << 20;

// Reads all of a file or pipe, without a byte order mark. Errors name the file, also if it is larger than
// `max_bytes`.
Result<std::string> ReadConfigFile(const std::string& path, size_t max_bytes = size_t{64} << 10);

}  // namespace reeve
