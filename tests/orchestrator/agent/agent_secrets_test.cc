#include "orchestrator/agent/agent_secrets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "orchestrator/store/private_folder.h"
#include "process/spawn.h"
#include "tests/orchestrator/agent/part_fixture.h"

namespace reeve {
namespace {

using Api = AgentSpec::Api;
using Names = std::set<std::string>;

class AgentSecretsTest : public PartFixture {
 protected:
  AgentSecretsTest() {
    context->server = "http://127.0.0.1:1";
    context->api.grant = [this](const std::string& agent, const std::string& token, Api) {
      calls += "grant " + agent + " ";
      granted = token;
    };
    context->api.revoke = [this](const std::string& agent) { calls += "revoke " + agent + " "; };
    context->discard = [this](const std::string& path) {
      calls += "discard ";
      std::filesystem::remove_all(path);
    };
  }
  void Make(Api api) {
    spec.id = "a1";
    spec.api = api;
    spec.record = true;
    secrets = std::make_unique<AgentSecrets>(
        *context, spec,
        AgentSecrets::Handlers{[this](const std::string& secret) { hidden.insert(secret); },
                               [this] { ++changed; }});
  }
  // Waits for the disk; the outcome is "" or the error's code.
  std::string Await(const std::function<void(AgentSecrets::Done)>& call) {
    std::string outcome = "pending";
    call([&outcome](const Status& status) { outcome = status ? "" : status.error().code; });
    EXPECT_TRUE(RunUntil(loop_, [&outcome] { return outcome != "pending"; }));
    return outcome;
  }
  std::string WriteFirst(std::map<std::string, std::string> files) {
    return Await([&](AgentSecrets::Done done) { secrets->WriteFirst(std::move(files), std::move(done)); });
  }
  std::string Put(const std::string& name, std::string content) {
    return Await([&](AgentSecrets::Done done) { secrets->Put(name, std::move(content), std::move(done)); });
  }
  std::string Remove(const std::string& name) {
    return Await([&](AgentSecrets::Done done) { secrets->Remove(name, std::move(done)); });
  }
  [[nodiscard]] std::string Environment(const std::string& name) const {
    SpawnSpec spawn;
    secrets->AddEnvironment(spawn);
    for (const std::string& entry : spawn.env) {
      if (entry.starts_with(name + "=")) return entry.substr(name.size() + 1);
    }
    return "";
  }
  [[nodiscard]] std::string FileText(const std::string& name) const {
    return ReadFile(Environment("REEVE_FILES") + "/" + name);
  }

  AgentSpec spec;
  std::unique_ptr<AgentSecrets> secrets;
  std::set<std::string> hidden;
  std::string calls, granted;
  int changed = 0;
};

TEST_F(AgentSecretsTest, AnAgentWithoutAnyIsDoneAtOnce) {
  Make(Api::kNone);
  bool done = false;
  secrets->WriteFirst({}, [&done](const Status& status) { done = status.ok(); });
  EXPECT_TRUE(done);
  EXPECT_FALSE(secrets->due());
  EXPECT_EQ(calls, "");
  EXPECT_EQ(Environment("REEVE_SERVER"), "");
  EXPECT_EQ(Environment("REEVE_TOKEN_FILE"), "");
  EXPECT_NE(Environment("REEVE_FILES"), "") << "files may be put later";
}

TEST_F(AgentSecretsTest, AProcessWaitsForTheFirstFilesAndTheToken) {
  Make(Api::kView);
  bool done = false;
  secrets->WriteFirst({{"key", "s3cret"}}, [&done](const Status& status) { done = status.ok(); });
  EXPECT_TRUE(secrets->due());
  EXPECT_EQ(secrets->names(), Names{});
  EXPECT_EQ(calls, "") << "the token is good once it is on disk";
  ASSERT_TRUE(RunUntil(loop_, [&done] { return done; }));
  EXPECT_FALSE(secrets->due());
  EXPECT_EQ(secrets->names(), Names{"key"});
  EXPECT_EQ(FileText("key"), "s3cret");
  EXPECT_EQ(calls, "grant a1 ");
  EXPECT_EQ(granted + "\n", ReadFile(Environment("REEVE_TOKEN_FILE")));
  EXPECT_EQ(Environment("REEVE_SERVER"), "http://127.0.0.1:1");
  EXPECT_EQ(hidden, (std::set<std::string>{"s3cret", granted})) << "they stay out of the transcript";
}

TEST_F(AgentSecretsTest, FilesThatCannotBeWrittenAreAnError) {
  WriteFile(context->private_dir + "/a1", "a file, no folder");
  Make(Api::kNone);
  EXPECT_EQ(WriteFirst({{"key", "x"}}), "os_error");
  EXPECT_EQ(secrets->names(), Names{});
}

TEST_F(AgentSecretsTest, NothingIsToldOnceItHasGone) {
  Make(Api::kView);
  bool told = false;
  secrets->WriteFirst({{"key", "x"}}, [&told](const Status&) { told = true; });
  const std::string path = Environment("REEVE_FILES") + "/key";
  secrets.reset();
  ASSERT_TRUE(RunUntil(loop_, [&path] { return std::filesystem::exists(path); }));
  bool turned = false;  // what the pool reported is delivered before
  loop_.Offload([] {}, [&turned] { turned = true; });
  ASSERT_TRUE(RunUntil(loop_, [&turned] { return turned; }));
  EXPECT_FALSE(told);
}

TEST_F(AgentSecretsTest, ThoseOfAnEarlierDaemonAreThere) {
  Make(Api::kOperate);
  ASSERT_EQ(WriteFirst({{"key", "s3cret"}}), "");
  const std::string token = granted;
  hidden.clear();
  calls = granted = "";

  Make(Api::kOperate);
  secrets->Load();
  EXPECT_EQ(secrets->names(), Names{"key"});
  EXPECT_EQ(granted, token);
  EXPECT_EQ(hidden, (std::set<std::string>{"s3cret", token}));
  EXPECT_FALSE(secrets->due());
}

TEST_F(AgentSecretsTest, ALostTokenIsReplacedBeforeAProcessStarts) {
  Make(Api::kView);
  ASSERT_EQ(WriteFirst({}), "");
  const std::string lost = granted;
  WriteFile(Environment("REEVE_TOKEN_FILE"), "spoiled");
  Make(Api::kView);
  calls = "";
  secrets->Load();
  EXPECT_TRUE(secrets->due());
  EXPECT_EQ(calls, "");
  ASSERT_TRUE(RunUntil(loop_, [this] { return changed == 1; }));
  EXPECT_FALSE(secrets->due());
  EXPECT_EQ(calls, "grant a1 ");
  EXPECT_NE(granted, lost);
  EXPECT_EQ(granted + "\n", ReadFile(Environment("REEVE_TOKEN_FILE")));
}

TEST_F(AgentSecretsTest, AFileIsPutReplacedAndRemoved) {
  Make(Api::kNone);
  EXPECT_EQ(Put("key", "one"), "");
  EXPECT_EQ(secrets->names(), Names{"key"});
  EXPECT_EQ(Put("key", "two"), "");
  EXPECT_EQ(FileText("key"), "two");
  EXPECT_EQ(hidden, (std::set<std::string>{"one", "two"}));
  EXPECT_EQ(Remove("key"), "");
  EXPECT_EQ(secrets->names(), Names{});
  EXPECT_FALSE(std::filesystem::exists(Environment("REEVE_FILES") + "/key"));
  EXPECT_EQ(Remove("key"), "file_not_found");
}

TEST_F(AgentSecretsTest, ANameThatIsNoneAndAFileThatIsTooLargeAreRefused) {
  Make(Api::kNone);
  for (const char* name : {"", "a/b", "..", ".hidden", "a b"}) EXPECT_EQ(Put(name, "x"), "invalid_request");
  EXPECT_EQ(Put("big", std::string(PrivateFolder::kMaxFileBytes + 1, 'x')), "too_large");
  EXPECT_EQ(Put("large", std::string(PrivateFolder::kMaxFileBytes, 'x')), "");
  EXPECT_EQ(secrets->names(), Names{"large"});
  EXPECT_TRUE(hidden.empty()) << "so long a file is no password, and each of its lines may be any word";
}

TEST_F(AgentSecretsTest, ADeletedAgentsTokenIsVoidAtOnceAndItsFilesOnceNoProcessUsesThem) {
  Make(Api::kView);
  ASSERT_EQ(WriteFirst({{"key", "x"}}), "");
  calls = "";
  secrets->Forget(true);
  EXPECT_EQ(calls, "revoke a1 ");
  EXPECT_EQ(FileText("key"), "x") << "a process still uses it";
  EXPECT_EQ(secrets->names(), Names{"key"});
  secrets->Forget(false);
  EXPECT_EQ(calls, "revoke a1 revoke a1 discard ");
  EXPECT_EQ(secrets->names(), Names{});
}

TEST_F(AgentSecretsTest, AFileThatIsPutDuringTheDeletionIsRefused) {
  Make(Api::kNone);
  std::string outcome;
  secrets->Put("key", "x",
               [&outcome](const Status& status) { outcome = status ? "ok" : status.error().code; });
  secrets->Forget(false);
  ASSERT_TRUE(RunUntil(loop_, [&outcome] { return !outcome.empty(); }));
  EXPECT_EQ(outcome, "agent_deleted");
  EXPECT_EQ(secrets->names(), Names{});
}

TEST_F(AgentSecretsTest, AnAgentWithoutATranscriptHidesNothing) {
  AgentSpec other;
  other.id = "a2";
  other.api = Api::kView;
  AgentSecrets plain(*context, other, {[](const std::string& secret) { ADD_FAILURE() << secret; }, [] {}});
  EXPECT_EQ(Await([&](AgentSecrets::Done done) { plain.WriteFirst({{"key", "x"}}, std::move(done)); }), "");
  EXPECT_EQ(plain.names(), Names{"key"});
}

TEST_F(AgentSecretsTest, AnAgentThatMayUseTheApiFindsReeveOnItsPath) {
  context->programs_dir = "/data/bin";
  Make(Api::kView);
  SpawnSpec spawn;
  spawn.env = {"PATH=/usr/bin", "OTHER=1"};
  secrets->AddEnvironment(spawn);
  EXPECT_THAT(spawn.env, testing::Contains("PATH=/data/bin:/usr/bin"));
  EXPECT_THAT(spawn.env, testing::Not(testing::Contains("PATH=/usr/bin")));
  Make(Api::kNone);
  SpawnSpec plain;
  plain.env = {"PATH=/usr/bin"};
  secrets->AddEnvironment(plain);
  EXPECT_THAT(plain.env, testing::Contains("PATH=/usr/bin"));
}

TEST_F(AgentSecretsTest, AChangedScopeCountsAtOnce) {
  Make(Api::kNone);
  ASSERT_TRUE(secrets->MakeFolder().ok());
  spec.api = Api::kOperate;
  secrets->OnSpecChanged();
  ASSERT_TRUE(RunUntil(loop_, [this] { return changed > 0; }));
  EXPECT_EQ(calls, "grant a1 ");
  calls.clear();
  spec.api = Api::kNone;
  secrets->OnSpecChanged();
  EXPECT_EQ(calls, "revoke a1 ");
}

TEST_F(AgentSecretsTest, TheFolderIsMadeForAProcess) {
  Make(Api::kNone);
  ASSERT_TRUE(secrets->MakeFolder().ok());
  EXPECT_TRUE(std::filesystem::is_directory(Environment("REEVE_FILES")));
}

}  // namespace
}  // namespace reeve
