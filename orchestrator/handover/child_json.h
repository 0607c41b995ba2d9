// A ChildState as JSON, for the state of a handover, and back.
#pragma once

#include <string>

#include "orchestrator/json/json.h"
#include "process/child_state.h"
#include "process/result.h"

namespace reeve {

std::string ToJson(const ChildState& state);
// What an older reeve did not write has its default. Error "handover_state" names what cannot be.
Result<ChildState> ChildStateFromJson(const JsonValue& json);

}  // namespace reeve
