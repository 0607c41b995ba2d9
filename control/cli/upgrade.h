// `reeve upgrade [BINARY]`: has a running daemon go on as another binary, and waits until that answers.
#pragma once

#include <string>

#include "control/cli/client.h"

namespace reeve {

struct UpgradeOptions {
  std::string binary;  // empty: the file the daemon was started from
  Client::Options client;
};

// Returns the exit code; says on stdout what the daemon is now, on stderr why it is not.
int Upgrade(const UpgradeOptions& options);

}  // namespace reeve
