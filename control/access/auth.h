// Room access/: bearer tokens, scopes, and requests that were answered before.
//
// Gate: decides whether a request may enter, by its destination (Host), its page (Origin) and its caller
// (bearer token): control/api/API.md. A value, except for the tokens that it refers to; used on the loop's
// thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "control/http/http.h"
#include "control/http/router.h"
#include "control/http/server.h"

namespace reeve {

enum class TicketMode;
class Idempotency;
class Tokens;

// The scope of a ticket of this mode, which its issuer must have; and the mode of a scope.
Scope ScopeOf(TicketMode mode);
TicketMode ModeOf(Scope scope);
const char* ScopeName(Scope scope);  // "operate"

class Gate {
 public:
  struct Names {
    // Host may hold these names besides IP addresses and "localhost": the names we are bound to and
    // allowed_hosts. They have no port: any port is accepted.
    std::vector<std::string> hosts;
    // Pages of these origins may use the API from a browser: "https://app.example.com". No wildcards.
    std::vector<std::string> origins;
  };
  Gate(const Tokens& tokens, Names names);
  void SetNames(Names names);

  // Returns nothing when the request may continue to a route with that access, else the refusal. Fills in
  // request.caller if there is a valid bearer token; a wrong token is refused on an open route too.
  [[nodiscard]] std::optional<Response> Check(Request& request, Access access) const;

  // The caller who issued a ticket, if the token is still valid.
  [[nodiscard]] std::optional<Request::Caller> CallerOf(uint64_t token) const;

  // Headers for every answer to this request, errors and streams included, so that a page of an allowed
  // origin may read it (https://fetch.spec.whatwg.org/#http-cors-protocol). Empty for all other requests.
  [[nodiscard]] Headers CorsHeaders(const Request& request) const;

 private:
  [[nodiscard]] std::optional<Error> CheckHost(const Request& request) const;
  [[nodiscard]] std::optional<Error> CheckOrigin(const Request& request) const;
  [[nodiscard]] bool IsAllowedOrigin(std::string_view origin) const;

  const Tokens& tokens_;
  Names names_;
};

// Error "forbidden" if a caller of that scope may not use something with that access.
Status CheckScope(Access access, Scope scope);

// Makes the function of the Server that admits a request when its head is whole: preflights, the route and
// the gate. A client without a token may not send a body. It refers to the first two arguments. A path may
// begin with `base_path`, because some proxies remove their prefix and some do not.
Server::Admit Admission(const Gate& gate, const Router& router, std::string base_path = {});
// Makes the dispatch function for requests that were admitted: CORS, idempotency and the route's handler.
Server::Dispatch Dispatching(const Gate& gate, Idempotency& idempotency);

}  // namespace reeve
