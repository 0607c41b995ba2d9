// Any bytes as what an agent prints that speaks ACP: see rpc_agent.h for what must hold.
#include "orchestrator/adapters/acp/acp.h"
#include "tests/fuzz/rpc_agent.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  reeve::RpcAgent::Fuzz(
      [](reeve::AgentHost& host, const std::string& session) {
        return reeve::MakeAcpAdapter(host, session, "text");
      },
      data, size);
  return 0;
}
