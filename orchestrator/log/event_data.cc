#include "orchestrator/log/event_data.h"

#include <algorithm>
#include <iterator>

#include "orchestrator/log/event_types.h"

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

bool HasItsShape(std::string_view type, std::string_view data) {
  const bool known =
      std::find(std::begin(event_type::kAll), std::end(event_type::kAll), type) != std::end(event_type::kAll);
  if (!known) return ScanJsonObject(data).ok();
  auto scanned = ScanJsonObject(data, ContentMembers());
  if (!scanned || !scanned->as_declared) return false;
  if (type != event_type::kPlanUpdated) return true;
  auto json = JsonDocument::Parse(std::string(data));
  return json && (!(*json)["entries"] || IsPlan((*json)["entries"]));
}

void SetBy(JsonObject& data, std::string_view by) {
  if (by != kUnnamedCaller) data.Set("by", by);
}

int64_t CountIn(const JsonValue& value) {
  if (const std::optional<int64_t> whole = value.AsInt()) return std::clamp<int64_t>(*whole, 0, kMaxCount);
  return static_cast<int64_t>(std::clamp(value.AsDouble().value_or(0), 0.0, static_cast<double>(kMaxCount)));
}

double CostIn(const JsonValue& value) { return std::clamp(value.AsDouble().value_or(0), 0.0, kMaxCost); }

void AddCount(int64_t& sum, int64_t more) { sum = std::clamp<int64_t>(sum + more, 0, kMaxCount); }

void AddCost(double& sum, double more) { sum = std::clamp(sum + more, 0.0, kMaxCost); }

}  // namespace reeve
