// Router: method and path to a handler. A path may hold {parameters}, each one segment. Unknown path: 404
// with code "not_found"; known path, other method: 405 with Allow; HEAD is answered as GET without a body;
// OPTIONS is the business of the CORS check that comes before.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "control/http/http.h"

namespace reeve {

// Who may call a route. kOpen routes check for themselves (tickets) or are for everybody (health).
enum class Access { kOpen, kView, kOperate, kAdmin };

class Router {
 public:
  struct Route {
    std::string method;
    std::string pattern;  // "/agents/{id}/stream"
    Access access;
    Handler handler;
  };
  void Add(std::string method, std::string pattern, Access access, Handler handler);

  // Fills in request.params. Null, with the problem in `*refusal`, when nothing matches.
  const Route* Match(Request& request, Response* refusal) const;

 private:
  std::vector<Route> routes_;
};

}  // namespace reeve
