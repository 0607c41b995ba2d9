// AgentFixture: what an Agent needs of a town (AgentContext), with the real loop, store and processes, in a
// folder of the test's own. The kinds are Puppets; the wall clock is the test's.
#pragma once

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "orchestrator/agent/agent.h"
#include "process/clock.h"
#include "process/http_client.h"
#include "process/loop.h"
#include "tests/orchestrator/agent/puppet.h"
#include "tests/support/keeping_parent.h"
#include "tests/support/loop_fixture.h"

namespace reeve {

class AgentFixture : public testing::Test {
 protected:
  AgentFixture() {
    auto opened = Store::Open(loop_, dir_.path() + "/reeve.db");
    EXPECT_TRUE(opened.ok());
    store_ = std::move(*opened);
    for (const char* folder : {"/events", "/transcripts", "/agents"}) {
      mkdir((dir_.path() + folder).c_str(), 0700);
    }
    loop_.BeforeSleep([this] {
      for (const std::string& id : std::exchange(dirty_, {})) {
        if (Agent* agent = Find(id)) (void)agent->Commit();
      }
      return !dirty_.empty();
    });
  }

  // The living agent of that id, or null.
  virtual Agent* Find(const std::string& id) = 0;

  std::unique_ptr<AgentContext> MakeContext(const Clock& clock) {
    auto folder = [this](const char* name) { return dir_.path() + name; };
    auto context = std::make_unique<AgentContext>(AgentContext{loop_,
                                                               clock,
                                                               http_,
                                                               *store_,
                                                               reaper_,
                                                               nullptr,
                                                               folder("/events"),
                                                               folder("/transcripts"),
                                                               folder("/agents"),
                                                               {},
                                                               "",
                                                               nullptr,
                                                               "model",
                                                               {},
                                                               {},
                                                               {},
                                                               {},
                                                               {},
                                                               Puppet::FindKind});
    context->next_epoch = [this] { return ++epoch_; };
    context->want_spawn = [this](Agent& agent) {
      loop_.Post([this, id = agent.id()] {
        if (Agent* found = Find(id)) found->Spawn();
      });
    };
    context->dirty = [this](Agent& agent) { dirty_.push_back(agent.id()); };
    context->discard = [](const std::string&) {};
    return context;
  }

  // As the next daemon would, from the store.
  Result<std::unique_ptr<Agent>> LoadAgent(AgentContext& context, const std::string& id) {
    auto records = store_->LoadAgents();
    if (!records) return records.error();
    auto messages = store_->LoadMessages();
    if (!messages) return messages.error();
    std::erase_if(*messages, [&id](const MessageRecord& message) { return message.agent != id; });
    for (const AgentRecord& record : *records) {
      if (record.id == id) return Agent::Load(context, record, *messages);
    }
    return Error{"agent_not_found", id};
  }

  TempDir dir_;
  Loop loop_;
  KeepingParent reaper_{loop_};
  std::vector<std::string> dirty_;  // ids of agents that have changed in this turn
  HttpClient http_{loop_};
  std::unique_ptr<Store> store_;
  uint64_t epoch_ = 0;
};

}  // namespace reeve
