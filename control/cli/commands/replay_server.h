// The part of `reeve replay` that plays an opencode or kilo server
// (orchestrator/adapters/opencode/OPENCODE.md): its event stream is what the transcript heard, a POST that
// changes something is what the transcript told, everything else is answered so that the adapter goes on.
#pragma once

#include <vector>

#include "control/cli/commands/recording.h"
#include "control/cli/commands/replay.h"

namespace reeve {

// Whether this was taken of such a server: it said where it listens.
bool IsOfServer(const std::vector<RecordedLine>& lines);
int ReplayAsServer(const std::vector<RecordedLine>& lines, const ReplayOptions& options);

}  // namespace reeve
