#include "orchestrator/agent/approval_excerpt.h"

#include <string>
#include <string_view>

#include "orchestrator/json/json.h"

namespace reeve {

namespace {

constexpr size_t kMaxWhole = size_t{4} << 10;  // a question of this size is shown whole
constexpr size_t kMaxString = size_t{1} << 10;

// The beginning of `text`, which ends between two characters.
std::string BeginningOf(std::string_view text) {
  if (text.size() <= kMaxString) return std::string(text);
  size_t end = kMaxString;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return std::string(text.substr(0, end)) + "…";
}

std::string ExcerptOfInput(const std::string& input) {
  auto json = JsonDocument::Parse(input);
  JsonObject excerpt;
  size_t bytes = 0;
  for (const auto& [name, value] : json ? json->root().Members() : std::vector<JsonValue::Member>()) {
    const auto text = value.AsString();
    std::string shown;
    if (text) {
      AppendJsonString(shown, BeginningOf(*text));
    } else {
      shown = value.Raw();
    }
    bytes += name.size() + shown.size();
    if (bytes > kMaxWhole) break;
    excerpt.SetRaw(name, shown);
  }
  return excerpt.Take();
}

}  // namespace

size_t BytesOf(const ApprovalRequest& request) {
  return sizeof request + request.id.size() + request.tool.size() + request.input.size() +
         request.call_id.size() + request.message.size() + request.schema.size();
}

ApprovalExcerpt ExcerptOf(const PendingApproval& pending) {
  if (BytesOf(pending.request) <= kMaxWhole) return {pending, false};
  const ApprovalRequest& all = pending.request;
  ApprovalRequest request;
  request.id = all.id;
  request.elicitation = all.elicitation;
  request.suggestions = all.suggestions;
  request.tool = BeginningOf(all.tool);
  request.call_id = BeginningOf(all.call_id);
  request.message = BeginningOf(all.message);
  if (!all.elicitation) request.input = ExcerptOfInput(all.input);
  if (all.schema.size() <= kMaxWhole) request.schema = all.schema;
  return {{std::move(request), pending.run, pending.cwd, pending.session, pending.requested_at_ms,
           pending.deadline_ms},
          true};
}

}  // namespace reeve
