// The manual pages, from the declarations of the commands.
#pragma once

#include <string>

#include "control/cli/line/command_line.h"

namespace reeve {

// "reeve-agents-wake"; in section 1.
std::string PageName(const CommandDoc& command);
// Roff, with the macros of man(7).
std::string ManualPage(const CommandDoc& command, const std::string& version);

// `reeve man`, which is for who builds and tests: people have man(1).
void AddManual(CommandLine& line, const std::string& version);

}  // namespace reeve
