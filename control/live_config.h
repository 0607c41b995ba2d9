// LiveConfig: the settings in effect, and how they change while the daemon runs (HUP, POST /reload).
//
// Owned by the Daemon; on the loop's thread. The parts that it changes outlive it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "control/access/auth.h"
#include "control/access/tokens.h"
#include "control/streams/viewers.h"
#include "orchestrator/config/config.h"
#include "orchestrator/log/event_log.h"
#include "orchestrator/workspace/git.h"
#include "process/log.h"
#include "process/result.h"

namespace reeve {

class Exports;
class Town;

// The settings of the daemon's parts, used when they are made.
Git::Options GitOptionsOf(const Config& config);
Tokens::Source TokenSourceOf(const Config& config);  // the variable REEVE_TOKEN included
// These are used again by a reload.
log::Level LogLevelOf(const Config& config);
EventLog::Limits LogLimitsOf(const Config& config);
Viewers::Limits ViewerLimitsOf(const Config& config);
Gate::Names NamesOf(const Config& config);
// Whether the files and folders that the settings name can be used, tokens included. Error "invalid_config"
// names the setting, the file and the reason.
Status CheckFiles(const Config& config);
// Error "invalid_config" if other machines can reach the daemon and nobody chose a token.
Status CheckExposure(const Config& config, bool token_chosen);

class LiveConfig {
 public:
  struct Parts {
    Town& town;
    Viewers& viewers;
    Exports& exports;
    Gate& gate;
    Tokens& tokens;
    std::function<void(uint64_t token)> forget;  // closes everything that a void token opened
  };
  LiveConfig(ConfigSources sources, Config running, Parts parts);
  LiveConfig(const LiveConfig&) = delete;
  LiveConfig& operator=(const LiveConfig&) = delete;

  [[nodiscard]] const Config& config() const { return running_; }
  // The configuration file; empty: none.
  [[nodiscard]] const std::string& file() const { return sources_.file; }

  // Reads the file and the tokens again and applies the settings that can change in a running daemon; the
  // others are named in the result. On an error ("invalid_config") nothing has changed; a file that existed
  // once must still exist. Either result is logged.
  Result<ConfigChange> Reload();

 private:
  Result<ConfigChange> Take();

  ConfigSources sources_;
  Config running_;
  Parts parts_;
};

}  // namespace reeve
