#include "control/mcp/mcp_task.h"

#include "orchestrator/json/json.h"
#include "process/random.h"

namespace reeve {

namespace {

constexpr size_t kNonceBytes = 16;
constexpr int64_t kLastMs = 253'402'300'799'999;  // of the year 9999

}  // namespace

std::string McpTask::Id() const {
  return Base64(JsonObject()
                    .Set("nonce", RandomHex(kNonceBytes))
                    .Set("tool", tool)
                    .SetRaw("arguments", arguments)
                    .Set("made_ms", made_ms)
                    .Set("until_ms", until_ms)
                    .Take());
}

std::optional<McpTask> McpTask::FromId(std::string_view id) {
  const auto text = FromBase64(id);
  const auto json = JsonDocument::Parse(text.value_or(""));
  if (!json) return std::nullopt;
  const auto tool = (*json)["tool"].AsString();
  const auto made = (*json)["made_ms"].AsInt();
  const auto until = (*json)["until_ms"].AsInt();
  const JsonValue arguments = (*json)["arguments"];
  if (!tool || !made || !until || !arguments.Is(JsonType::kObject)) return std::nullopt;
  if (*made < 0 || *made > *until || *until > kLastMs) return std::nullopt;
  return McpTask{std::string(*tool), arguments.Raw(), *made, *until};
}

}  // namespace reeve
