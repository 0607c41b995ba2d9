// Any bytes as what codex's app-server prints: see rpc_agent.h for what must hold.
#include "orchestrator/adapters/codex/codex.h"
#include "tests/fuzz/rpc_agent.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  reeve::RpcAgent::Fuzz(reeve::MakeCodexAdapter, data, size);
  return 0;
}
