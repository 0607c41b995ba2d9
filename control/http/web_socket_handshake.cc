#include "control/http/web_socket_handshake.h"

#include <openssl/evp.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "orchestrator/json/json.h"

namespace reeve {

namespace {

constexpr size_t kKeyBytes = 16;

// RFC 9110 section 5.6.2.
bool IsTokenCharacter(char c) {
  if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) return true;
  return std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

// The members of a header that is a list; it may stand several times (RFC 9110 section 5.3).
std::vector<std::string_view> ListOf(const Request& request, std::string_view lower_case_name) {
  std::vector<std::string_view> members;
  for (const auto& [name, value] : request.headers) {
    if (name != lower_case_name) continue;
    std::string_view rest = value;
    while (!rest.empty()) {
      const size_t comma = std::min(rest.find(','), rest.size());
      std::string_view member = rest.substr(0, comma);
      rest.remove_prefix(std::min(comma + 1, rest.size()));
      member.remove_prefix(std::min(member.find_first_not_of(" \t"), member.size()));
      member = member.substr(0, member.find_last_not_of(" \t") + 1);
      if (!member.empty()) members.push_back(member);
    }
  }
  return members;
}

bool Contains(const std::vector<std::string_view>& members, std::string_view wanted) {
  return std::any_of(members.begin(), members.end(),
                     [wanted](std::string_view member) { return EqualsIgnoringCase(member, wanted); });
}

size_t CountHeaders(const Request& request, std::string_view lower_case_name) {
  return static_cast<size_t>(
      std::count_if(request.headers.begin(), request.headers.end(),
                    [lower_case_name](const auto& header) { return header.first == lower_case_name; }));
}

Response Invalid(const std::string& reason) {
  return Response::Problem({"invalid_request", "WebSocket handshake: " + reason});
}

}  // namespace

std::optional<Response> ReadHandshake(const Request& request, WebSocketHandshake& handshake) {
  if (request.http_1_0) return Invalid("it needs HTTP/1.1");
  if (request.method != "GET") return Invalid("the method must be GET");
  if (!Contains(ListOf(request, "upgrade"), "websocket")) return Invalid("Upgrade must be websocket");
  if (!Contains(ListOf(request, "connection"), "upgrade")) return Invalid("Connection must contain Upgrade");
  if (CountHeaders(request, "sec-websocket-version") != 1)
    return Invalid("there must be exactly one Sec-WebSocket-Version");
  if (request.Header("sec-websocket-version") != "13") {
    Response refusal =
        Response::Problem({"upgrade_required", "the only supported version of WebSocket is 13"});
    refusal.headers.emplace_back("Sec-WebSocket-Version", "13");
    refusal.headers.emplace_back("Upgrade", "websocket");  // RFC 9110 section 15.5.22
    return refusal;
  }
  const auto key = FromBase64(request.Header("sec-websocket-key"));
  if (CountHeaders(request, "sec-websocket-key") != 1 || !key || key->size() != kKeyBytes)
    return Invalid("there must be exactly one Sec-WebSocket-Key, of 16 bytes in Base64");
  std::vector<std::string> protocols;
  for (const std::string_view protocol : ListOf(request, "sec-websocket-protocol")) {
    // The refusal does not repeat it: it may carry a ticket.
    if (!std::all_of(protocol.begin(), protocol.end(), IsTokenCharacter))
      return Invalid("a name in Sec-WebSocket-Protocol is malformed");
    protocols.emplace_back(protocol);
  }
  handshake.accept = WebSocketAccept(request.Header("sec-websocket-key"));
  handshake.protocols = std::move(protocols);
  return std::nullopt;
}

std::string FormatUpgrade(const WebSocketHandshake& handshake, std::string_view chosen_protocol,
                          const Headers& more, std::string_view request_id) {
  Headers headers = {
      {"Upgrade", "websocket"}, {"Connection", "Upgrade"}, {"Sec-WebSocket-Accept", handshake.accept}};
  if (!chosen_protocol.empty()) headers.emplace_back("Sec-WebSocket-Protocol", chosen_protocol);
  headers.insert(headers.end(), more.begin(), more.end());
  return FormatHead(101, headers, request_id);
}

std::string WebSocketAccept(std::string_view key) {
  const std::string text = std::string(key) + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  if (EVP_Digest(text.data(), text.size(), digest, &size, EVP_sha1(), nullptr) != 1) std::abort();
  return Base64({reinterpret_cast<const char*>(digest), size});
}

}  // namespace reeve
