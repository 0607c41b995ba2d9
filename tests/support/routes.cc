#include "tests/support/routes.h"

#include <cstddef>

#include "control/api/api.h"
#include "control/gateway/gateway.h"
#include "control/mcp/mcp_server.h"

namespace reeve {

const std::vector<Route>& AllRoutes() {
  // The handlers refer to these objects, and only they use them.
  alignas(ApiContext) static std::byte api[sizeof(ApiContext)];
  alignas(Gateway) static std::byte gateway[sizeof(Gateway)];
  alignas(McpServer) static std::byte mcp[sizeof(McpServer)];
  static const Router router = [] {
    Router all;
    AddRoutes(all, *reinterpret_cast<ApiContext*>(api));
    AddGatewayRoute(all, *reinterpret_cast<Gateway*>(gateway));
    AddMcpRoute(all, *reinterpret_cast<McpServer*>(mcp));
    return all;
  }();
  return router.routes();
}

}  // namespace reeve
