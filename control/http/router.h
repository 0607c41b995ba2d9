// Router: maps a method and a path to a handler. A pattern may contain {parameters}, each of one segment. An
// unknown path answers 404 with code "not_found". A known path with another method answers 405 with Allow.
// HEAD is answered like GET, without a body. The CORS check, which comes earlier, answers OPTIONS.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "control/http/http.h"

namespace reeve {

// The scope that a route needs. kOpen routes check tickets themselves or are public (health).
enum class Access { kOpen, kView, kOperate, kAdmin };

struct Route {
  std::string method;
  std::string pattern;  // "/agents/{id}/stream"
  Access access;
  Handler handler;
  std::vector<std::string_view> query;
  bool probe = false;  // answers load balancers, also when the server is full
  // Each answer is new: it is not kept for an Idempotency-Key, because it contains a secret.
  bool secret = false;
};

class Router {
 public:
  using Route = reeve::Route;
  // Allows every parameter in the query; for pages and probes, whose addresses others decorate.
  static constexpr std::string_view kAnyQuery = "*";

  // `query` are the names of the parameters that the route knows. The result is valid until the next Add.
  Route& Add(std::string method, std::string pattern, Access access, Handler handler,
             std::vector<std::string_view> query = {});

  [[nodiscard]] const std::vector<Route>& routes() const { return routes_; }
  // Fills in request.params. Returns null, with the problem in `*refusal`, when no route matches.
  const Route* Match(Request& request, Response* refusal) const;
  // Error "invalid_request", which names the first parameter that the route does not know.
  static Status CheckQuery(const Route& route, const Request& request);

 private:
  std::vector<Route> routes_;
};

}  // namespace reeve
