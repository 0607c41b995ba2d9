// The manual pages, from the declarations of the commands.
#pragma once

#include <string>

#include "control/cli/line/command_line.h"

namespace reeve {

// "reeve-agents-wake", a page of section 1.
std::string PageName(const CommandDoc& command);
// Roff, with the macros of man(7).
std::string ManualPage(const CommandDoc& command, const std::string& version);

// `reeve man`, for the build and for tests. People use man(1).
void AddManual(CommandLine& line, const std::string& version);

}  // namespace reeve
