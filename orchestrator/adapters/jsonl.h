// Kind `jsonl`: a program that prints JSON objects, one a line. Those whose `type` is one of content become
// events of that type, the rest of the object being `data`; any other line is agent.output
// (control/api/API.md). With kind_options.turns it reports its own runs: run.started, run.completed,
// run.failed, run.cancelled.
#pragma once

#include <memory>
#include <string>

#include "orchestrator/adapters/kind.h"

namespace reeve {

std::unique_ptr<Adapter> MakeJsonlAdapter(AgentHost& host, const std::string& session);

}  // namespace reeve
