// LiveConfig: the settings this daemon goes by, and how others come in while it runs (HUP, POST /reload).
//
// Owned by the Daemon; on the loop's thread. What it sets outlives it.
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

// The settings of the daemon's parts, at their making.
Git::Options GitOptionsOf(const Config& config);
Tokens::Source TokenSourceOf(const Config& config);  // also from the variable REEVE_TOKEN
// Also again, by a reload.
log::Level LogLevelOf(const Config& config);
EventLog::Limits LogLimitsOf(const Config& config);
Viewers::Limits ViewerLimitsOf(const Config& config);
Gate::Names NamesOf(const Config& config);
// Error: it can be reached from other machines, and nobody chose a token.
Status CheckExposure(const Config& config, bool token_chosen);

class LiveConfig {
 public:
  struct Parts {
    Town& town;
    Viewers& viewers;
    Exports& exports;
    Gate& gate;
    Tokens& tokens;
    std::function<void(uint64_t token)> forget;  // what a token that is void had opened
  };
  LiveConfig(ConfigSources sources, Config running, Parts parts);
  LiveConfig(const LiveConfig&) = delete;
  LiveConfig& operator=(const LiveConfig&) = delete;

  [[nodiscard]] const Config& config() const { return running_; }
  // The file it goes by; empty: none.
  [[nodiscard]] const std::string& file() const { return sources_.file; }

  // Reads the file and the tokens again and takes what can change in a running daemon; the rest is named. On
  // an error ("invalid_config") nothing has changed: a file that was there once must be there. Says either in
  // the daemon's log.
  Result<ConfigChange> Reload();

 private:
  Result<ConfigChange> Take();

  ConfigSources sources_;
  Config running_;
  Parts parts_;
};

}  // namespace reeve
