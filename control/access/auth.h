// Room access/: who may make a request, and which requests were made before.
//
// Gate: may this request come in? Where it was sent to (Host), from which page (Origin), by whom (bearer
// token): control/api/API.md. A value but for the tokens it refers to; used on the loop's thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "control/http/http.h"
#include "control/http/router.h"
#include "control/http/server.h"

namespace reeve {

class Idempotency;
class Tokens;

class Gate {
 public:
  struct Names {
    // What Host may say besides IP addresses and "localhost": names we are bound to, and allowed_hosts.
    // Without a port: any will do.
    std::vector<std::string> hosts;
    // Pages of these origins may use the API from a browser: "https://app.example.com". No wildcards.
    std::vector<std::string> origins;
  };
  Gate(const Tokens& tokens, Names names);
  void SetNames(Names names);

  // Nothing when the request may go on to a route with that access; else the answer. Fills in request.caller
  // where there is a valid bearer token; a wrong one is refused on an open route too. Probes (GET /health,
  // /ready) are never refused: those who make them know neither names nor tokens.
  [[nodiscard]] std::optional<Response> Check(Request& request, Access access) const;

  // What every answer to this request carries, errors and streams included, so that a page of an allowed
  // origin may read it (https://fetch.spec.whatwg.org/#http-cors-protocol). Empty for all others.
  [[nodiscard]] Headers CorsHeaders(const Request& request) const;

 private:
  [[nodiscard]] std::optional<Error> CheckHost(const Request& request) const;
  [[nodiscard]] std::optional<Error> CheckOrigin(const Request& request) const;
  [[nodiscard]] bool IsAllowedOrigin(std::string_view origin) const;

  const Tokens& tokens_;
  Names names_;
};

// The whole front: CORS, preflights, the gate, the route, and what was answered before. For Server; refers to
// all of them.
Server::Dispatch Guard(const Gate& gate, const Router& router, Idempotency& idempotency);

}  // namespace reeve
