// The numbers of errors in JSON-RPC (JSON-RPC 2.0 section 5.1). Problems of the API have numbers from 4000
// on, which follow from their HTTP status (control/http/problem.h); control/api/API.md lists them.
#pragma once

#include "control/http/problem.h"

namespace reeve {

inline constexpr int kRpcParseError = -32700;
inline constexpr int kRpcInvalidRequest = -32600;  // the message is no call
inline constexpr int kRpcMethodNotFound = -32601;
inline constexpr int kRpcInvalidParams = -32602;
inline constexpr int kRpcInternalError = -32603;
inline constexpr int kRpcAgentNotFound = 4001;
inline constexpr int kRpcProcessNotFound = 4044;
// 4000 or 5000, and the last two digits of the status: 4003 (forbidden), 4009 (all kinds of 409), 5003.
inline constexpr int kRpcClientError = 4000;
inline constexpr int kRpcServerError = 5000;

// The number of an operation's error.
int RpcCodeOf(const ProblemKind& kind);

}  // namespace reeve
