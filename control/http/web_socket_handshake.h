// The opening handshake of a WebSocket (RFC 6455 section 4). Functions without state.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "control/http/http.h"

namespace reeve {

// A valid request for a WebSocket. A value.
struct WebSocketHandshake {
  std::string accept;                  // the value of Sec-WebSocket-Accept
  std::vector<std::string> protocols;  // the subprotocols that the client offers, in its order
};

// Reads a GET request (section 4.2.1). Returns nothing and fills in `handshake`, or returns the refusal: 426
// for another version than 13, 400 for everything else.
std::optional<Response> ReadHandshake(const Request& request, WebSocketHandshake& handshake);

// The head of the 101 answer (section 4.2.2). `chosen_protocol` is one of those that the client offered, or
// empty.
std::string FormatUpgrade(const WebSocketHandshake& handshake, std::string_view chosen_protocol,
                          const Headers& more, std::string_view request_id);

// The value of Sec-WebSocket-Accept for a Sec-WebSocket-Key (section 4.2.2, item 5.4). A client compares it.
std::string WebSocketAccept(std::string_view key);

}  // namespace reeve
