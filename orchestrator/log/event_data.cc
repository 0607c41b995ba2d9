#include "orchestrator/log/event_data.h"

namespace reeve {

std::span<const MemberType> ContentMembers() {
  static constexpr MemberType kMembers[] = {
      {"text", JsonType::kString},         {"message_id", JsonType::kString},
      {"call_id", JsonType::kString},      {"name", JsonType::kString},
      {"input", JsonType::kObject},        {"output", JsonType::kString},
      {"exit_code", JsonType::kNumber},    {"duration_ms", JsonType::kNumber},
      {"path", JsonType::kString},         {"diff", JsonType::kString},
      {"entries", JsonType::kArray},       {"title", JsonType::kString},
      {"input_tokens", JsonType::kNumber}, {"output_tokens", JsonType::kNumber},
      {"cost_usd", JsonType::kNumber},
  };
  return kMembers;
}

bool IsPlan(const JsonValue& entries) {
  if (!entries.Is(JsonType::kArray)) return false;
  for (const JsonValue& entry : entries.Elements()) {
    if (!entry.Is(JsonType::kObject)) return false;
  }
  return true;
}

}  // namespace reeve
