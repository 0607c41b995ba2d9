#include "tests/support/routes.h"

#include <cstddef>

#include "control/api/api.h"
#include "control/gateway/gateway.h"

namespace reeve {

const std::vector<Route>& AllRoutes() {
  // The handlers refer to these objects, and only they use them.
  alignas(ApiContext) static std::byte api[sizeof(ApiContext)];
  alignas(Gateway) static std::byte gateway[sizeof(Gateway)];
  static const Router router = [] {
    Router all;
    AddRoutes(all, *reinterpret_cast<ApiContext*>(api));
    AddGatewayRoute(all, *reinterpret_cast<Gateway*>(gateway));
    return all;
  }();
  return router.routes();
}

}  // namespace reeve
