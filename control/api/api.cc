#include "control/api/api.h"
#include "orchestrator/agent/agent.h"

#include <algorithm>
#include <charconv>
#include <set>

namespace reeve {

void AddRoutes(Router& router, ApiContext& api) {
  AddAgentRoutes(router, api);
  AddBatchRoutes(router, api);
  AddMessageRoutes(router, api);
  AddEventRoutes(router, api);
  AddFileRoutes(router, api);
  AddStreamRoutes(router, api);
  AddTownRoutes(router, api);
}

Result<Agent*> FindAgent(const ApiContext& api, const Request& request) {
  const std::string& id = request.params.at(0);
  if (Agent* agent = api.town.Find(id)) return agent;
  if (!IsAgentId(id)) return Error{"agent_not_found", "there is no agent with that id"};
  return Error{"agent_not_found", "there is no agent " + id};
}

Result<Agent*> FindLiveAgent(const ApiContext& api, const Request& request) {
  auto agent = FindAgent(api, request);
  if (agent && (*agent)->deleted())
    return Error{"agent_deleted", "agent " + (*agent)->id() + " has been deleted"};
  return agent;
}

namespace {

// The name of a member that an object in `value` has twice. Readers disagree on which one counts (RFC 8259
// section 4). The depth is limited by the parser.
std::optional<std::string> FindRepeatedKey(const JsonValue& value) {
  if (value.Is(JsonType::kArray)) {
    for (const JsonValue& element : value.Elements()) {
      if (auto key = FindRepeatedKey(element)) return key;
    }
  }
  if (!value.Is(JsonType::kObject)) return std::nullopt;
  std::set<std::string_view> keys;
  for (const auto& [key, member] : value.Members()) {
    if (!keys.insert(key).second) return std::string(key.substr(0, 64));
    if (auto inner = FindRepeatedKey(member)) return inner;
  }
  return std::nullopt;
}

}  // namespace

Result<JsonDocument> ParseBody(const Request& request) {
  auto json =
      JsonDocument::Parse(request.body.empty() ? std::string_view("{}") : std::string_view(request.body));
  if (!json) return json;
  if (const auto key = FindRepeatedKey(json->root()))
    return Error{"invalid_request", "the member " + *key + " is there twice"};
  return json;
}

Result<JsonDocument> ReadBody(const Request& request, const std::vector<std::string_view>& allowed) {
  auto json = ParseBody(request);
  if (!json) return json.error();
  if (!json->root().Is(JsonType::kObject)) return Error{"invalid_request", "the body is not a JSON object"};
  for (const auto& [key, value] : json->root().Members()) {
    if (std::find(allowed.begin(), allowed.end(), key) != allowed.end()) continue;
    return Error{"invalid_request", "unknown field " + std::string(key.substr(0, 64))};
  }
  return json;
}

Result<int64_t> ReadNumber(const Request& request, std::string_view name, int64_t otherwise, int64_t least,
                           int64_t most) {
  auto text = request.Query(name);
  if (!text) return otherwise;
  int64_t number = 0;
  auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), number);
  if (error != std::errc() || end != text->data() + text->size() || number < least || number > most) {
    return Error{"invalid_request", std::string(name) + ": must be a whole number from " +
                                        std::to_string(least) + " to " + std::to_string(most)};
  }
  return number;
}

Result<std::optional<bool>> ReadFlag(const Request& request, std::string_view name) {
  const auto text = request.Query(name);
  if (!text) return std::optional<bool>();
  if (*text == "true" || *text == "false") return std::optional<bool>(*text == "true");
  return Error{"invalid_request", std::string(name) + ": must be true or false"};
}

Result<std::vector<std::pair<std::string, std::string>>> ReadLabels(const Request& request) {
  std::vector<std::pair<std::string, std::string>> labels;
  for (const auto& [parameter, value] : request.query) {
    if (parameter != "label") continue;
    const size_t colon = value.find(':');
    if (colon == std::string::npos) return Error{"invalid_request", "label: must be key:value"};
    labels.emplace_back(value.substr(0, colon), value.substr(colon + 1));
  }
  return labels;
}

Result<std::optional<Cursor>> ReadCursor(std::string_view name, std::optional<std::string_view> text) {
  if (!text || text->empty()) return std::optional<Cursor>();
  auto cursor = Cursor::Parse(*text);
  if (!cursor)
    return Error{
        "invalid_request",
        std::string(name) + ": must be a cursor, such as 3-1042 (`cursor` of an agent or event), or 0"};
  return cursor;
}

void Answer(Reply& reply, const Status& status, const std::function<Response()>& response) {
  reply.Send(status ? response() : Response::Problem(status.error()));
}

}  // namespace reeve
