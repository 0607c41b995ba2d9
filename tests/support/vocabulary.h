// What must hold of the events of any adapter, whatever its agent says (control/api/API.md, "Events").
#pragma once

#include <string>
#include <vector>

namespace reeve {

// Of what a RecordingHost wrote down, up to the end of the process: the first rule that is broken, or
// nothing.
std::string BrokenRule(const std::vector<std::string>& lines);

}  // namespace reeve
