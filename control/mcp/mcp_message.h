// McpMessage: one JSON-RPC message of a client, read and checked by the rules of the protocol's revisions.
//
// There are two families. In those with a handshake, a client calls `initialize` first. In the stateless one
// (2026-07-28), every request names its revision and the client's abilities in `params._meta`, and the
// headers of an HTTP request repeat parts of it. The message itself tells the family, so no session is kept.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "control/http/http.h"
#include "orchestrator/json/json.h"

namespace reeve {

inline constexpr std::string_view kMcpStateless = "2026-07-28";
// Those with a handshake, the newest first.
inline constexpr std::array<std::string_view, 4> kMcpHandshakes = {"2025-11-25", "2025-06-18", "2025-03-26",
                                                                   "2024-11-05"};
// The extension for long calls (https://modelcontextprotocol.io/extensions/tasks).
inline constexpr std::string_view kMcpTasks = "io.modelcontextprotocol/tasks";

// A JSON-RPC error. The codes below -32019 are those of revision 2026-07-28.
struct McpError {
  static constexpr int kParse = -32700;
  static constexpr int kInvalidRequest = -32600;
  static constexpr int kNoMethod = -32601;
  static constexpr int kInvalidParams = -32602;
  static constexpr int kHeaderMismatch = -32020;
  static constexpr int kMissingCapability = -32021;
  static constexpr int kUnsupportedRevision = -32022;

  int code = 0;
  std::string message;
  std::string data = {};  // JSON; empty: none
  int status = 400;       // of the HTTP answer, if it holds nothing else
};

// Refers to the document that it was read from.
struct McpMessage {
  static constexpr size_t kMaxIdBytes = 256;

  bool stateless = false;
  bool is_answer = false;  // of a client to a request of a server, which this server never sends
  bool knows_tasks = false;
  std::string id = {};  // its JSON text; empty: a notification
  std::string_view method = {};
  JsonValue params = {};
  std::optional<McpError> error = {};  // it is refused

  // `request` has the headers.
  static McpMessage Read(const JsonValue& json, const Request& request);

 private:
  [[nodiscard]] std::optional<McpError> CheckEnvelope(const JsonValue& json);
  [[nodiscard]] std::optional<McpError> CheckStateless(const Request& request);
};

// The headers that a client sends with this message, besides those of every request. They tell what the
// message says, as far as a header can. Empty for a revision with a handshake.
Headers McpHeadersOf(const JsonValue& message);

// Whether the client may send several messages in one array, as revision 2025-03-26 allows. A request without
// a header is of that revision or older.
bool MayBatch(const Request& request);

// Whole messages, each on one line. `id` is JSON text; empty: null.
std::string FormatMcpResult(std::string_view id, std::string_view result);
std::string FormatMcpError(std::string_view id, const McpError& error);

}  // namespace reeve
