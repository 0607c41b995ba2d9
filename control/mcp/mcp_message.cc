#include "control/mcp/mcp_message.h"

#include <algorithm>
#include <utility>

namespace reeve {

namespace {

constexpr std::string_view kRevisionKey = "io.modelcontextprotocol/protocolVersion";
constexpr std::string_view kCapabilitiesKey = "io.modelcontextprotocol/clientCapabilities";
constexpr std::string_view kEncodedBegin = "=?base64?";
constexpr std::string_view kEncodedEnd = "?=";
constexpr size_t kMaxHeaderBytes = 6'000;
constexpr std::string_view kClientKey = "io.modelcontextprotocol/clientInfo";

bool IsId(const JsonValue& id) {
  return (id.Is(JsonType::kString) || id.AsInt()) && id.Raw().size() <= McpMessage::kMaxIdBytes;
}

bool IsHandshake(std::string_view revision) {
  return std::find(kMcpHandshakes.begin(), kMcpHandshakes.end(), revision) != kMcpHandshakes.end();
}

McpError Unsupported(std::string_view revision, bool stateless) {
  JsonArray supported;
  supported.Add(kMcpStateless);
  for (const std::string_view one : kMcpHandshakes) {
    if (!stateless) supported.Add(one);
  }
  return {McpError::kUnsupportedRevision, "Unsupported protocol version",
          JsonObject().SetRaw("supported", supported.Take()).Set("requested", revision.substr(0, 64)).Take()};
}

// The value of a header that may be encoded, as "=?base64?…?=".
std::optional<std::string> Decoded(std::string_view value) {
  if (value.size() < kEncodedBegin.size() + kEncodedEnd.size() || !value.starts_with(kEncodedBegin) ||
      !value.ends_with(kEncodedEnd))
    return std::string(value);
  return FromBase64(
      value.substr(kEncodedBegin.size(), value.size() - kEncodedBegin.size() - kEncodedEnd.size()));
}

// The member of the params that the header Mcp-Name repeats; empty: none.
std::string_view NameMember(std::string_view method) {
  if (method == "tools/call" || method == "prompts/get") return "name";
  if (method == "resources/read") return "uri";
  return method == "tasks/get" || method == "tasks/update" || method == "tasks/cancel" ? "taskId" : "";
}

McpError Mismatch(std::string message) { return {McpError::kHeaderMismatch, std::move(message)}; }

}  // namespace

McpMessage McpMessage::Read(const JsonValue& json, const Request& request) {
  McpMessage message;
  if (IsId(json["id"])) message.id = json["id"].Raw();
  message.error = message.CheckEnvelope(json);
  if (message.error || message.is_answer) return message;
  const JsonValue revision = message.params["_meta"][kRevisionKey];
  const std::string_view header = request.Header("mcp-protocol-version");
  message.stateless = revision || header == kMcpStateless;
  if (message.stateless) {
    if (!message.id.empty()) message.error = message.CheckStateless(request);
  } else if (!header.empty() && !IsHandshake(header)) {
    message.error = Unsupported(header, false);
  }
  return message;
}

std::optional<McpError> McpMessage::CheckEnvelope(const JsonValue& json) {
  const auto invalid = [](std::string why) { return McpError{McpError::kInvalidRequest, std::move(why)}; };
  if (!json.Is(JsonType::kObject)) return invalid("a message must be a JSON object");
  for (const std::string_view name : {"jsonrpc", "method", "params", "id"}) {
    const auto members = json.Members();
    if (std::count_if(members.begin(), members.end(), [name](const auto& one) { return one.key == name; }) >
        1)
      return invalid("the member " + std::string(name) + " is there twice");
  }
  if (json["jsonrpc"].AsString() != "2.0") return invalid(R"(jsonrpc: must be "2.0")");
  if (json["id"] && id.empty()) return invalid("id: must be a string or a whole number of at most 256 bytes");
  if (!json["method"] && (json["result"] || json["error"])) {
    is_answer = true;
    return std::nullopt;
  }
  const auto name = json["method"].AsString();
  if (!name) return invalid("method: must be a string");
  method = *name;
  params = json["params"];
  if (!params || params.Is(JsonType::kObject)) return std::nullopt;
  params = {};
  if (id.empty()) return std::nullopt;  // a notification has no answer, not even an error
  return McpError{McpError::kInvalidParams, "params: must be an object"};
}

std::optional<McpError> McpMessage::CheckStateless(const Request& request) {
  const JsonValue meta = params["_meta"];
  const auto invalid = [](std::string_view key, std::string_view must) {
    return McpError{McpError::kInvalidParams, "_meta." + std::string(key) + ": " + std::string(must)};
  };
  const auto revision = meta[kRevisionKey].AsString();
  if (!revision) return invalid(kRevisionKey, "must be a string");
  const JsonValue capabilities = meta[kCapabilitiesKey];
  if (!capabilities.Is(JsonType::kObject)) return invalid(kCapabilitiesKey, "must be an object");
  if (meta[kClientKey] && !meta[kClientKey].Is(JsonType::kObject))
    return invalid(kClientKey, "must be an object");
  knows_tasks = capabilities["extensions"][kMcpTasks].Is(JsonType::kObject);

  const std::string_view header = request.Header("mcp-protocol-version");
  if (!header.empty() && header != *revision)
    return Mismatch("Header mismatch: MCP-Protocol-Version differs from the version in _meta");
  if (*revision != kMcpStateless) return Unsupported(*revision, true);
  if (header.empty()) return Mismatch("Header mismatch: MCP-Protocol-Version is missing");
  if (request.Header("mcp-method").empty()) return Mismatch("Header mismatch: Mcp-Method is missing");
  if (request.Header("mcp-method") != method)
    return Mismatch("Header mismatch: Mcp-Method differs from the method of the body");
  const std::string_view member = NameMember(method);
  const auto named = params[member].AsString();
  if (member.empty() || !named) return std::nullopt;
  if (!request.HasHeader("mcp-name")) return Mismatch("Header mismatch: Mcp-Name is missing");
  if (Decoded(request.Header("mcp-name")) != *named)
    return Mismatch("Header mismatch: Mcp-Name differs from params." + std::string(member));
  return std::nullopt;
}

Headers McpHeadersOf(const JsonValue& message) {
  const auto is_plain = [](std::string_view text) {
    return !text.empty() && text.size() <= kMaxHeaderBytes &&
           std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < '\x7f'; });
  };
  Headers headers;
  const JsonValue params = message["params"];
  const std::string_view revision = params["_meta"][kRevisionKey].StringOr("");
  if (!is_plain(revision)) return headers;
  headers.emplace_back("MCP-Protocol-Version", revision);
  const std::string_view method = message["method"].StringOr("");
  if (is_plain(method)) headers.emplace_back("Mcp-Method", method);
  const auto name = params[NameMember(method)].AsString();
  if (!name) return headers;
  const bool plain = is_plain(*name) && !name->starts_with(kEncodedBegin);
  headers.emplace_back(
      "Mcp-Name",
      plain ? std::string(*name) : std::string(kEncodedBegin) + Base64(*name) + std::string(kEncodedEnd));
  return headers;
}

bool MayBatch(const Request& request) {
  const std::string_view header = request.Header("mcp-protocol-version");
  return header.empty() || header == "2025-03-26" || header == "2024-11-05";
}

std::string FormatMcpResult(std::string_view id, std::string_view result) {
  return JsonObject()
      .Set("jsonrpc", "2.0")
      .SetRaw("id", id.empty() ? "null" : id)
      .SetRaw("result", result)
      .Take();
}

std::string FormatMcpError(std::string_view id, const McpError& error) {
  JsonObject json;
  json.Set("code", error.code).Set("message", error.message).SetRaw("data", error.data);
  return JsonObject()
      .Set("jsonrpc", "2.0")
      .SetRaw("id", id.empty() ? "null" : id)
      .SetRaw("error", json.Take())
      .Take();
}

}  // namespace reeve
