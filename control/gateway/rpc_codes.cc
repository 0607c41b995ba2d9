#include "control/gateway/rpc_codes.h"

namespace reeve {

int RpcCodeOf(const ProblemKind& kind) {
  if (kind.code == "agent_not_found") return kRpcAgentNotFound;
  if (kind.code == "process_not_found") return kRpcProcessNotFound;
  if (kind.status == 400) return kRpcInvalidParams;
  if (kind.status == 500) return kRpcInternalError;
  return kind.status < 500 ? kRpcClientError + kind.status - 400 : kRpcServerError + kind.status - 500;
}

}  // namespace reeve
