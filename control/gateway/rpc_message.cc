#include "control/gateway/rpc_message.h"

#include <algorithm>

#include "orchestrator/json/json.h"

namespace reeve {

namespace {

bool IsId(const JsonValue& id) {
  return (id.Is(JsonType::kString) || id.Is(JsonType::kNumber) || id.Is(JsonType::kNull)) &&
         id.Raw().size() <= kRpcMaxIdBytes;
}

}  // namespace

size_t CountMembers(const JsonValue& object, std::string_view name) {
  const auto members = object.Members();
  return static_cast<size_t>(
      std::count_if(members.begin(), members.end(), [name](const auto& one) { return one.key == name; }));
}

Status CheckCall(const JsonValue& message) {
  if (message.Is(JsonType::kArray))
    return Error{"invalid_request", "batches are not supported: send one object in each message"};
  if (!message.Is(JsonType::kObject)) return Error{"invalid_request", "a message must be a JSON object"};
  for (const std::string_view name : {"jsonrpc", "method", "params", "id"}) {
    if (CountMembers(message, name) > 1)
      return Error{"invalid_request", "the member " + std::string(name) + " is there twice"};
  }
  if (message["jsonrpc"].AsString() != "2.0") return Error{"invalid_request", R"(jsonrpc: must be "2.0")"};
  if (!message["method"].AsString()) return Error{"invalid_request", "method: must be a string"};
  const JsonValue id = message["id"];
  if (id && !IsId(id)) {
    return Error{"invalid_request", "id: must be a string, a number or null, of at most " +
                                        std::to_string(kRpcMaxIdBytes) + " bytes"};
  }
  return {};
}

std::optional<std::string> IdOfAnswer(const JsonValue& message) {
  const JsonValue id = message["id"];
  if (!id && CheckCall(message)) return std::nullopt;
  return IsId(id) ? id.Raw() : std::string(kRpcNoId);
}

}  // namespace reeve
