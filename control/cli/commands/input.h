// Input that several commands read alike: durations, and stdin in place of a text.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "control/cli/show/event_printer.h"
#include "control/cli/terminal/console.h"
#include "process/result.h"

namespace reeve {

// The help of every AGENT argument that may name several agents.
constexpr const char* kAgentsHelp = "An id, a title, or key=value for all with that label";

// The value of `option`, in milliseconds. Error: "invalid_request", which names the option.
Result<int64_t> ReadDuration(const char* option, const std::string& value);
// `text`, or all of stdin if it is "-". Error: "invalid_request" for more than 1 MiB, the daemon's limit; it
// begins with `about`.
Result<std::string> ReadText(const char* about, const std::string& text);

// A printer of the events of these agents on stdout; with `live`, text is shown while it arrives.
EventPrinter::Options PrinterOptions(const Console& console, const std::vector<std::string>& ids, bool live);

}  // namespace reeve
