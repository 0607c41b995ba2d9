// Any bytes as what pi prints in its RPC mode: see rpc_agent.h for what must hold.
#include "orchestrator/adapters/pi/pi.h"
#include "tests/fuzz/rpc_agent.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  reeve::RpcAgent::Fuzz(reeve::MakePiAdapter, data, size);
  return 0;
}
