// Kind `jsonl`: a program that prints JSON objects, one per line. An object whose `type` is a content type
// becomes an event of that type, and the rest of the object becomes its `data`; any other line becomes
// agent.output (control/api/API.md). With kind_options.turns the program reports its own runs: run.started,
// run.completed, run.failed, run.cancelled.
#pragma once

#include <memory>
#include <string>

#include "orchestrator/adapters/kind.h"

namespace reeve {

std::unique_ptr<Adapter> MakeJsonlAdapter(AgentHost& host, const std::string& session);

}  // namespace reeve
