// Rules for the events of any adapter, whatever its agent says (control/api/API.md, "Events").
#pragma once

#include <string>
#include <vector>

namespace reeve {

// The first rule that the record of a RecordingHost breaks, up to the end of the process; or nothing.
std::string BrokenRule(const std::vector<std::string>& lines);

}  // namespace reeve
