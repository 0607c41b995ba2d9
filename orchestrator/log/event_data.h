// The shape of the data of content events (control/api/API.md, "Events"). Agents choose these data, so they
// are checked where they enter the vocabulary: a viewer may rely on the types below.
#pragma once

#include <span>
#include <string_view>

#include "orchestrator/json/json.h"

namespace reeve {

// The members of the data of any content event. A member may be absent.
std::span<const MemberType> ContentMembers();

// Whether `entries` are those of plan.updated: a list of objects.
bool IsPlan(const JsonValue& entries);

}  // namespace reeve
