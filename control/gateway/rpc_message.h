// The messages of a JSON-RPC client (JSON-RPC 2.0 section 4). Functions without state.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "process/result.h"

namespace reeve {

class JsonValue;

inline constexpr size_t kRpcMaxIdBytes = 256;         // of a call's id, which is kept until the answer
inline constexpr std::string_view kRpcNoId = "null";  // of the answer to a message whose id is not known

// Whether a message is a call, or a notification.
Status CheckCall(const JsonValue& message);
// The id of the answer, as JSON. Nothing: the message is a valid notification, which has no answer.
std::optional<std::string> IdOfAnswer(const JsonValue& message);

size_t CountMembers(const JsonValue& object, std::string_view name);

}  // namespace reeve
