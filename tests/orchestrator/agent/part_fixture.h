// PartFixture: an AgentContext for tests of a single part of an agent, with a real loop, store and folders,
// and a wall clock of the test's.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "orchestrator/agent/agent_context.h"
#include "tests/orchestrator/agent/agent_fixture.h"
#include "tests/support/loop_fixture.h"

namespace reeve {

class PartFixture : public AgentFixture {
 protected:
  Agent* Find(const std::string&) override { return nullptr; }

  MockClock clock;
  std::unique_ptr<AgentContext> context = MakeContext(clock);
};

}  // namespace reeve
