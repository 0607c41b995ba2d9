#include "orchestrator/town.h"

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "orchestrator/agent/agent.h"
#include "orchestrator/agent/agent_spec.h"
#include "orchestrator/store/store.h"
#include "process/clock.h"
#include "process/http_client.h"
#include "process/log.h"
#include "process/loop.h"
#include "process/reaper.h"
#include "tests/support/loop_fixture.h"

namespace reeve {
namespace {

// A daemon's town on `dir`. It ends as by a kill -9: uncommitted events are lost. Records that the store
// received are on disk, as if its worker had just been fast enough.
struct Life {
  explicit Life(const std::string& dir) {
    auto opened = Store::Open(loop, dir + "/reeve.db");
    EXPECT_TRUE(opened.ok());
    store = std::move(*opened);
    town = std::make_unique<Town>(loop, clock, http, *store, reaper, reaper, nullptr,
                                  Town::Options{dir, "town", 10, {}, false});
    Status loaded = town->Load();
    EXPECT_TRUE(loaded.ok()) << loaded.error().message;
    loop.BeforeSleep([this] {
      if (commits) town->logs().Commit();
      return commits && town->logs().dirty();
    });
  }

  SystemClock clock;
  Loop loop;
  Reaper reaper{loop};
  HttpClient http{loop};
  std::unique_ptr<Store> store;
  std::unique_ptr<Town> town;
  bool commits = true;
};

std::vector<std::string> TypesOnDisk(const std::string& dir) {
  std::vector<std::string> types;
  const std::string log = ReadFile(dir + "/events/a1/0000000000000001.sse");
  size_t size = 0;
  for (std::string_view rest = log; !rest.empty(); rest.remove_prefix(size)) {
    auto frame = ParseFrame(rest, &size);
    if (!frame) break;
    types.emplace_back(frame->type);
  }
  return types;
}

// The record of an agent says that its process has ended: a daemon that reads it looks no further. So the log
// says so first, with the end of the run, or nothing ever will.
TEST(Town, TheRecordIsNeverAheadOfTheLog) {
  log::SetLevel(log::Level::kError);
  TempDir dir;
  {
    Life life(dir.path());
    auto json = JsonDocument::Parse(R"({"id":"a1","kind":"process","command":["sleep","600"]})");
    auto spec = AgentSpec::FromJson(json->root());
    ASSERT_TRUE(spec.ok());
    auto made = life.town->Create(std::move(*spec), "", [](const Status&) {});
    ASSERT_TRUE(made.ok()) << made.error().message;
    Agent& agent = **made;
    ASSERT_TRUE(RunUntil(
        life.loop, [&] { return agent.runs().open() && agent.open_log() && !agent.open_log()->dirty(); }));
    life.commits = false;
    agent.Stop(1'000, [](const Status& stopped) { EXPECT_TRUE(stopped.ok()); });
    ASSERT_TRUE(RunUntil(life.loop, [&] { return agent.ended() && agent.settled(); }));
  }
  const std::vector<std::string> types = TypesOnDisk(dir.path());
  EXPECT_EQ(types, (std::vector<std::string>{"agent.starting", "run.started", "agent.ready", "agent.stopping",
                                             "run.cancelled", "agent.exited"}));
}

// A record that cannot be read is that agent's trouble alone, and stays for a later daemon.
TEST(Town, ADamagedRecordKeepsOnlyItsAgentDown) {
  log::SetLevel(log::Level::kOff);
  TempDir dir;
  const std::string good = R"({"id":"good","kind":"process","command":["true"]})";
  const std::vector<AgentRecord> records = {
      {"cut", R"({"id":"cut","kind":"proc)", "{}"},
      {"kind", R"({"id":"kind","kind":"of-tomorrow","command":["true"]})", "{}"},
      {"other", good, "{}"},
      {"state", R"({"id":"state","kind":"process","command":["true"]})", R"({"exit":7)"},
      {"../up", R"({"id":"../up","kind":"process","command":["true"]})", "{}"},
      {"good", good, "{}"}};
  {
    Life life(dir.path());
    size_t written = 0;
    for (const AgentRecord& record : records) {
      life.store->PutAgent(record, [&written](const Status& status) { written += status.ok() ? 1 : 0; });
    }
    ASSERT_TRUE(RunUntil(life.loop, [&] { return written == records.size(); }));
  }
  Life life(dir.path());
  EXPECT_EQ(life.town->agents().size(), 5U);
  EXPECT_EQ(life.town->Find("good")->state(), AgentState::kExited);
  for (const char* id : {"cut", "kind", "other", "state"}) {
    Agent* agent = life.town->Find(id);
    ASSERT_NE(agent, nullptr) << id;
    EXPECT_EQ(agent->state(), AgentState::kFailed) << id;
    EXPECT_NE(agent->ToJson().find("\"reason\":\"agent " + std::string(id)), std::string::npos)
        << agent->ToJson();
    agent->Start([](const Status& started) { EXPECT_EQ(started.error().code, "store_failed"); });
  }
  std::optional<Status> deleted;
  life.town->Delete("cut", true, [&deleted](const Status& status) { deleted = status; });
  ASSERT_TRUE(RunUntil(life.loop, [&] { return deleted && !life.town->Find("cut"); }));
  EXPECT_TRUE(deleted->ok());
  ASSERT_TRUE(life.store->Settle(10'000).ok());
  auto left = life.store->LoadAgents();
  ASSERT_TRUE(left.ok());
  ASSERT_EQ(left->size(), records.size() - 1);
  EXPECT_EQ((*left)[0].spec, records[1].spec);
  EXPECT_EQ((*left)[2].state, records[3].state);
}

}  // namespace
}  // namespace reeve
