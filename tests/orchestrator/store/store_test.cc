#include "orchestrator/store/store.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tests/support/loop_fixture.h"

namespace reeve {
namespace {

using testing::HasSubstr;

void RunSql(const std::string& path, const char* sql) {
  sqlite3* file = nullptr;
  ASSERT_EQ(sqlite3_open(path.c_str(), &file), SQLITE_OK);
  EXPECT_EQ(sqlite3_exec(file, sql, nullptr, nullptr, nullptr), SQLITE_OK) << sqlite3_errmsg(file);
  sqlite3_close(file);
}

class StoreTest : public testing::Test {
 protected:
  std::unique_ptr<Store> Open() {
    Result<std::unique_ptr<Store>> store = Store::Open(loop_, path_);
    EXPECT_TRUE(store.ok()) << store.error().message;
    return store.ok() ? std::move(*store) : nullptr;
  }
  std::string Refusal() {
    Result<std::unique_ptr<Store>> store = Store::Open(loop_, path_);
    if (store.ok()) return "";
    EXPECT_EQ(store.error().code, "store_failed");
    EXPECT_THAT(store.error().message, HasSubstr(path_));
    return store.error().message;
  }
  // Hands something to the store by `put(done)` and waits for the answer.
  template <typename Put>
  Status Await(Put put) {
    std::optional<Status> answer;
    put([&answer](Status status) { answer = std::move(status); });
    EXPECT_TRUE(RunUntil(loop_, [&answer] { return answer.has_value(); }));
    return answer.value_or(Error{"no_answer", ""});
  }
  Status Put(Store& store, AgentRecord record) {
    return Await([&](Store::Done done) { store.PutAgent(std::move(record), std::move(done)); });
  }
  Status Put(Store& store, MessageRecord record) {
    return Await([&](Store::Done done) { store.PutMessage(std::move(record), std::move(done)); });
  }
  static std::vector<std::string> Ids(const std::vector<MessageRecord>& messages) {
    std::vector<std::string> ids;
    ids.reserve(messages.size());
    for (const MessageRecord& message : messages) ids.push_back(message.id);
    return ids;
  }

  TempDir dir_;
  std::string path_ = dir_.path() + "/state.db";
  Loop loop_;
};

TEST_F(StoreTest, WhatWasPutIsThereWhenItIsOpenedAgain) {
  const std::string odd("{\"t\":\"\xc3\xa4\0'\"}", 12);
  {
    auto store = Open();
    EXPECT_TRUE(store->LoadAgents()->empty());
    EXPECT_TRUE(store->LoadMessages()->empty());
    EXPECT_TRUE(Put(*store, AgentRecord{"b", "{\"kind\":\"process\"}", "{}", false}).ok());
    EXPECT_TRUE(Put(*store, AgentRecord{"a", odd, "{\"s\":1}", true}).ok());
    EXPECT_TRUE(Put(*store, MessageRecord{"m1", "b", odd, "queued"}).ok());
  }
  auto store = Open();
  std::vector<AgentRecord> agents = *store->LoadAgents();
  ASSERT_EQ(agents.size(), 2u);
  EXPECT_EQ(agents[0].id, "b");  // in the order of their making
  EXPECT_EQ(agents[0].spec, "{\"kind\":\"process\"}");
  EXPECT_FALSE(agents[0].deleted);
  EXPECT_EQ(agents[1].id, "a");
  EXPECT_EQ(agents[1].spec, odd);
  EXPECT_EQ(agents[1].state, "{\"s\":1}");
  EXPECT_TRUE(agents[1].deleted);
  std::vector<MessageRecord> messages = *store->LoadMessages();
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_EQ(messages[0].agent, "b");
  EXPECT_EQ(messages[0].body, odd);
  EXPECT_EQ(messages[0].state, "queued");
}

TEST_F(StoreTest, PuttingAgainChangesAndKeepsTheOrder) {
  auto store = Open();
  for (const char* id : {"m1", "m2", "m3", "m4"})
    EXPECT_TRUE(Put(*store, MessageRecord{id, "a", "{}", "queued"}).ok());
  EXPECT_TRUE(Put(*store, MessageRecord{"m1", "a", "{\"n\":2}", "running"}).ok());
  EXPECT_TRUE(Put(*store, MessageRecord{"m2", "a", "{}", "done"}).ok());
  std::vector<MessageRecord> messages = *store->LoadMessages();
  EXPECT_THAT(Ids(messages), testing::ElementsAre("m1", "m3", "m4"));
  EXPECT_EQ(messages[0].body, "{\"n\":2}");
  EXPECT_EQ(messages[0].state, "running");
}

TEST_F(StoreTest, OnlyUnfinishedMessagesAreLoaded) {
  auto store = Open();
  for (const char* state : {"queued", "running", "done", "failed", "cancelled"}) {
    EXPECT_TRUE(Put(*store, MessageRecord{state, "a", "{}", state}).ok());
  }
  EXPECT_THAT(Ids(*store->LoadMessages()), testing::ElementsAre("queued", "running"));
}

TEST_F(StoreTest, AnAgentGoesWithItsMessages) {
  auto store = Open();
  for (const char* id : {"a", "b"}) {
    EXPECT_TRUE(Put(*store, AgentRecord{id, "{}", "{}", false}).ok());
    EXPECT_TRUE(Put(*store, MessageRecord{std::string("m") + id, id, "{}", "queued"}).ok());
  }
  EXPECT_TRUE(Await([&](Store::Done done) { store->DeleteAgent("a", std::move(done)); }).ok());
  EXPECT_TRUE(Await([&](Store::Done done) { store->DeleteAgent("unknown", std::move(done)); }).ok());
  EXPECT_EQ(store->LoadAgents()->size(), 1u);
  EXPECT_THAT(Ids(*store->LoadMessages()), testing::ElementsAre("mb"));
  EXPECT_TRUE(Await([&](Store::Done done) { store->EndMessage("mb", "done", "", std::move(done)); }).ok());
  EXPECT_TRUE(store->LoadMessages()->empty());
}

TEST_F(StoreTest, AMessageIsAddedOnce) {
  auto store = Open();
  std::vector<std::string> there;
  for (const char* body : {"{}", "{\"other\":1}"}) {
    EXPECT_TRUE(Await([&](const Store::Done& done) {
      store->AddMessage({"m1", "a", body, "queued"},
                        [&there, done](const Result<std::optional<MessageRecord>>& found) {
                          there.push_back(*found ? (*found)->body : "added");
                          done({});
                        });
    }));
  }
  EXPECT_EQ(there, (std::vector<std::string>{"added", "{}"}));
  EXPECT_EQ(store->LoadMessages()->at(0).body, "{}");
}

TEST_F(StoreTest, OfWhatHasEndedTheNewestIsKept) {
  auto store = Open();
  constexpr uint64_t kMany = Store::kMaxEnded + 200;
  size_t answered = 0;
  for (uint64_t i = 1; i <= kMany; ++i) {
    const std::string id = "m" + std::to_string(i);
    auto count = [&answered](const Status& status) { answered += status ? 1 : 0; };
    store->PutMessage({id, "a", "{}", "queued"}, count);
    store->EndMessage(id, "done", "r" + std::to_string(i), count);
    store->PutRun({"a", i, "{}"}, count);
    store->PutRun({"b", i, "{}"}, count);
  }
  store->PutMessage({"waits", "a", "{}", "queued"}, [&answered](const Status&) { ++answered; });
  ASSERT_TRUE(RunUntil(loop_, [&answered] { return answered == 4 * kMany + 1; }));
  std::optional<size_t> runs;
  std::optional<std::vector<MessageRecord>> messages;
  store->ListRuns("a", UINT64_MAX, 100'000, [&runs, kMany](const Result<std::vector<RunRecord>>& found) {
    runs = found->size();
    EXPECT_EQ(found->front().number, kMany);
  });
  store->ListMessages("a", 0, 100'000,
                      [&messages](const Result<std::vector<MessageRecord>>& found) { messages = *found; });
  ASSERT_TRUE(RunUntil(loop_, [&] { return runs && messages; }));
  EXPECT_GE(*runs, Store::kMaxEnded);
  EXPECT_LE(*runs, Store::kMaxEnded + 128);
  EXPECT_GE(messages->size(), Store::kMaxEnded);
  EXPECT_LE(messages->size(), Store::kMaxEnded + 128);
  EXPECT_EQ(messages->back().id, "waits");
  EXPECT_EQ(messages->at(messages->size() - 2).id, "m" + std::to_string(kMany));
}

TEST_F(StoreTest, AFileOfTheFirstSchemaIsUpgraded) {
  {
    RunSql(path_,
           "CREATE TABLE agents (made INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, spec TEXT NOT NULL,"
           " state TEXT NOT NULL, deleted INTEGER NOT NULL);"
           "CREATE TABLE messages (made INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, agent TEXT NOT NULL,"
           " body TEXT NOT NULL, state TEXT NOT NULL);"
           "CREATE INDEX messages_agent ON messages (agent);"
           "CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL);"
           "INSERT INTO messages (id, agent, body, state) VALUES ('m1', 'a', '{}', 'starting');"
           "PRAGMA user_version=1; PRAGMA application_id=1919247734;");
  }
  auto store = Open();
  ASSERT_TRUE(store);
  std::vector<MessageRecord> messages = *store->LoadMessages();
  ASSERT_EQ(messages.size(), 1U);
  EXPECT_EQ(messages[0].state, "running");
  EXPECT_EQ(messages[0].run, "");
}

TEST_F(StoreTest, SecretsOfADeletedAgentAreNotLeftInTheFile) {
  const std::string secret = "sk-very-secret-0123456789";
  {
    auto store = Open();
    EXPECT_TRUE(Put(*store, AgentRecord{"a", "{\"env\":{\"KEY\":\"" + secret + "\"}}", "{}", false}).ok());
    EXPECT_TRUE(Await([&](Store::Done done) { store->DeleteAgent("a", std::move(done)); }).ok());
  }
  EXPECT_EQ(ReadFile(path_).find(secret), std::string::npos);
  EXPECT_EQ(ReadFile(path_ + "-wal"), "");
}

TEST_F(StoreTest, CountersGoOnAcrossRestarts) {
  {
    auto store = Open();
    EXPECT_EQ(*store->Reserve("epoch", 1), 0u);
    EXPECT_EQ(*store->Reserve("epoch", 10), 1u);
    EXPECT_EQ(*store->Reserve("stream", 5), 0u);
    std::vector<uint64_t> later;
    for (int i = 0; i < 3; ++i) {
      store->ReserveLater("epoch", 2, [&later](Result<uint64_t> before) { later.push_back(*before); });
    }
    ASSERT_TRUE(RunUntil(loop_, [&later] { return later.size() == 3; }));
    EXPECT_THAT(later, testing::ElementsAre(11, 13, 15));
  }
  EXPECT_EQ(*Open()->Reserve("epoch", 1), 17u);
}

TEST_F(StoreTest, AnswersComeInOrderOnceItIsOnDisk) {
  auto store = Open();
  Loop other_loop;
  std::vector<int> answered;
  int checked = 0;
  for (int i = 0; i < 300; ++i) {
    store->PutMessage({"m" + std::to_string(i), "a", "{}", "queued"}, [&, i](const Status& status) {
      EXPECT_TRUE(status.ok());
      answered.push_back(i);
      if (i % 100 != 0) return;
      // Another connection sees it: it was committed before this ran.
      std::vector<MessageRecord> seen = *(*Store::Open(other_loop, path_))->LoadMessages();
      ASSERT_GT(seen.size(), static_cast<size_t>(i));
      EXPECT_EQ(seen[static_cast<size_t>(i)].id, "m" + std::to_string(i));
      ++checked;
    });
  }
  ASSERT_TRUE(RunUntil(loop_, [&answered] { return answered.size() == 300; }));
  EXPECT_TRUE(std::is_sorted(answered.begin(), answered.end()));
  EXPECT_EQ(checked, 3);
}

// Answers of one token push out only its own.
TEST_F(StoreTest, AnswersOfATokenAreBoundedByTheirBytes) {
  auto store = Open();
  const auto has = [&](const std::string& key) {
    std::optional<bool> found;
    store->FindAnswer(key, [&found](const Result<std::optional<AnswerRecord>>& answer) {
      found = answer.ok() && answer->has_value();
    });
    EXPECT_TRUE(RunUntil(loop_, [&found] { return found.has_value(); }));
    return found.value_or(false);
  };
  const auto put = [&](const std::string& key, size_t bytes, int64_t made_ms, uint64_t token) {
    return Await([&](Store::Done done) {
             store->PutAnswer({key, "r", std::string(bytes, 'x'), made_ms, token}, std::move(done));
           })
        .ok();
  };
  ASSERT_TRUE(put("other", 10, 1, 2));
  for (int i = 0; i < 40; ++i) ASSERT_TRUE(put("k" + std::to_string(i), size_t{1} << 20, 1'000 + i, 1));
  int kept = 0;
  for (int i = 0; i < 40; ++i) kept += has("k" + std::to_string(i));
  EXPECT_GE(kept, 14);
  EXPECT_LE(kept, 21);
  EXPECT_TRUE(has("k39"));
  EXPECT_FALSE(has("k0"));
  EXPECT_TRUE(has("other"));
}

TEST_F(StoreTest, ClosingCommitsWhatWasHandedOverAndAnswersNothing) {
  bool answered = false;
  {
    auto store = Open();
    for (int i = 0; i < 50; ++i) {
      store->PutMessage({"m" + std::to_string(i), "a", "{}", "queued"},
                        [&answered](const Status&) { answered = true; });
    }
  }
  for (int i = 0; i < 3; ++i) loop_.RunOnce(false);
  EXPECT_FALSE(answered);
  EXPECT_EQ(Open()->LoadMessages()->size(), 50u);
}

TEST_F(StoreTest, AnAnswerMayEndTheStore) {
  auto store = Open();
  // Both in one turn of the loop, whether or not in one commit.
  int answers = 0;
  for (const char* id : {"a", "b"}) {
    store->PutAgent({id, "{}", "{}", false}, [&](const Status&) {
      ++answers;
      store.reset();
    });
  }
  ASSERT_TRUE(RunUntil(loop_, [&store] { return !store; }));
  for (int i = 0; i < 3; ++i) loop_.RunOnce(false);
  EXPECT_EQ(answers, 1);
  EXPECT_EQ(Open()->LoadAgents()->size(), 2u);
}

// --- files

mode_t ModeOf(const std::string& path) {
  struct stat info {};
  EXPECT_EQ(stat(path.c_str(), &info), 0) << path;
  return info.st_mode & 07777;
}

TEST_F(StoreTest, NobodyElseMayReadItsFiles) {
  const mode_t before = umask(0);
  {
    auto store = Open();
    EXPECT_TRUE(Put(*store, AgentRecord{"a", "{}", "{}", false}).ok());
    for (const char* end : {"", "-wal", "-shm"}) EXPECT_EQ(ModeOf(path_ + end), 0600u) << end;
  }
  chmod(path_.c_str(), 0644);
  auto store = Open();
  EXPECT_TRUE(Put(*store, AgentRecord{"a", "{}", "{}", false}).ok());
  for (const char* end : {"", "-wal", "-shm"}) EXPECT_EQ(ModeOf(path_ + end), 0600u) << end;
  umask(before);
}

TEST_F(StoreTest, WhatIsNotAStoreIsRefusedAndLeftAlone) {
  for (const std::string& bytes : {std::string("hello"), std::string(5000, 'x'), std::string(4096, '\0')}) {
    WriteFile(path_, bytes);
    EXPECT_NE(Refusal(), "");
    EXPECT_EQ(ReadFile(path_), bytes);
  }
  WriteFile(path_, "");
  EXPECT_THAT(Refusal(), HasSubstr("empty"));
  unlink(path_.c_str());
  mkdir(path_.c_str(), 0700);
  EXPECT_NE(Refusal(), "");
}

TEST_F(StoreTest, AFolderThatIsMissingIsNamed) {
  path_ = dir_.path() + "/nowhere/state.db";
  EXPECT_THAT(Refusal(), HasSubstr("No such file or directory"));
}

// Writes a 32-bit number of SQLite's file header (https://sqlite.org/fileformat2.html#the_database_header).
void PatchHeader(const std::string& path, size_t offset, uint8_t value) {
  std::string bytes = ReadFile(path);
  bytes.replace(offset, 4, std::string("\0\0\0", 3) + static_cast<char>(value));
  WriteFile(path, bytes);
}

TEST_F(StoreTest, ANewerSchemaIsRefused) {
  (void)Open();
  PatchHeader(path_, 60, 99);  // user_version
  EXPECT_THAT(Refusal(), HasSubstr("made by a newer reeve (schema 99"));
}

TEST_F(StoreTest, AnotherProgramsDatabaseIsRefused) {
  (void)Open();
  PatchHeader(path_, 68, 1);  // application_id
  EXPECT_THAT(Refusal(), HasSubstr("not a store of reeve"));
}

TEST_F(StoreTest, AFirstStartThatWasCutShortIsBegunAgain) {
  WriteFile(path_ + ".new", "half");
  WriteFile(path_ + ".new-journal", "half");
  EXPECT_TRUE(Put(*Open(), AgentRecord{"a", "{}", "{}", false}).ok());
  EXPECT_NE(access((path_ + ".new").c_str(), F_OK), 0);
}

TEST_F(StoreTest, ALeftoverLogWithoutItsFileIsNotReplayedIntoANewOne) {
  WriteFile(path_ + "-wal", "of a store that is gone");
  EXPECT_THAT(Refusal(), HasSubstr("its -wal exists"));
}

// --- failures

class Tmpfs {
 public:
  explicit Tmpfs(const std::string& path) : path_(path) {
    mounted_ = mount("none", path.c_str(), "tmpfs", 0, "size=2m") == 0;
  }
  ~Tmpfs() {
    if (mounted_) umount2(path_.c_str(), MNT_DETACH);
  }
  Tmpfs(const Tmpfs&) = delete;
  Tmpfs& operator=(const Tmpfs&) = delete;
  [[nodiscard]] bool mounted() const { return mounted_; }

 private:
  std::string path_;
  bool mounted_;
};

TEST_F(StoreTest, AFullDiskIsAnErrorUntilThereIsRoom) {
  Tmpfs disk(dir_.path());
  if (!disk.mounted()) GTEST_SKIP() << "mounting a small tmpfs needs CAP_SYS_ADMIN";
  auto store = Open();
  EXPECT_TRUE(Put(*store, MessageRecord{"before", "a", "{}", "queued"}).ok());

  WriteFile(dir_.path() + "/filler", std::string(8 << 20, 'x'));  // as much as fits
  std::set<std::string> kept = {"before"};
  Status status;
  for (int i = 0; i < 1000 && status.ok(); ++i) {
    const std::string id = "m" + std::to_string(i);
    status = Put(*store, MessageRecord{id, "a", std::string(20'000, 'y'), "queued"});
    if (status.ok()) kept.insert(id);
  }
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, "disk_full");
  EXPECT_THAT(status.error().message, HasSubstr("full"));
  // One that fails takes with it what was asked for at the same time, and everybody is told.
  int failed = 0;
  for (int i = 0; i < 10; ++i) {
    store->PutMessage({"batch" + std::to_string(i), "a", std::string(20'000, 'y'), "queued"},
                      [&failed](const Status& answer) { failed += answer.ok() ? 0 : 1; });
  }
  ASSERT_TRUE(RunUntil(loop_, [&failed] { return failed == 10; }));

  unlink((dir_.path() + "/filler").c_str());
  EXPECT_TRUE(Put(*store, MessageRecord{"after", "a", "{}", "queued"}).ok());
  kept.insert("after");
  store.reset();
  std::vector<std::string> ids = Ids(*Open()->LoadMessages());
  EXPECT_EQ(std::set<std::string>(ids.begin(), ids.end()), kept);
}

TEST_F(StoreTest, WhatWasAnsweredSurvivesAKill) {
  for (int round = 0; round < 3; ++round) {
    int pipe_fds[2];
    ASSERT_EQ(pipe(pipe_fds), 0);
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      Loop loop;
      auto store = Store::Open(loop, path_);
      uint32_t next = 0;
      std::function<void()> put = [&] {
        const uint32_t number = next++;
        store.value()->PutMessage({std::to_string(round) + "-" + std::to_string(number), "a", "{}", "queued"},
                                  [&, number](const Status& status) {
                                    if (!status.ok() || write(pipe_fds[1], &number, sizeof number) < 0)
                                      _exit(1);
                                    put();
                                  });
      };
      for (int i = 0; i < 8; ++i) put();
      loop.Run();
      _exit(1);
    }
    close(pipe_fds[1]);
    std::vector<uint32_t> answered;
    uint32_t number = 0;
    while (answered.size() < 100U + static_cast<size_t>(round) * 57 &&
           read(pipe_fds[0], &number, sizeof number) == sizeof number) {
      answered.push_back(number);
    }
    kill(child, SIGKILL);
    while (read(pipe_fds[0], &number, sizeof number) == sizeof number) answered.push_back(number);
    close(pipe_fds[0]);
    int result = 0;
    waitpid(child, &result, 0);
    ASSERT_TRUE(WIFSIGNALED(result));
    ASSERT_GE(answered.size(), 100u);

    std::vector<std::string> ids = Ids(*Open()->LoadMessages());
    const std::set<std::string> there(ids.begin(), ids.end());
    for (uint32_t one : answered) {
      ASSERT_TRUE(there.contains(std::to_string(round) + "-" + std::to_string(one))) << one;
    }
  }
}

// A callback may start another request: a chain of ten is followed to its end without a turn of the loop.
TEST_F(StoreTest, SettlingRunsAllThatFollowsFromTheAnswers) {
  auto store = Open();
  int links = 0;
  std::function<void(Status)> next = [&](const Status& status) {
    ASSERT_TRUE(status.ok());
    if (++links < 10) store->PutAgent({"a" + std::to_string(links), "{}", "{}", false}, next);
  };
  store->PutAgent({"a0", "{}", "{}", false}, next);
  ASSERT_TRUE(store->Settle(20'000).ok());
  EXPECT_EQ(links, 10);
  auto agents = store->LoadAgents();
  ASSERT_TRUE(agents.ok());
  EXPECT_EQ(agents->size(), 10U);
  EXPECT_TRUE(store->Settle(0).ok()) << "nothing is left";
}

TEST_F(StoreTest, LooksWhetherItKnowsAFileWithoutChangingIt) {
  EXPECT_FALSE(Store::Check(path_).ok());
  EXPECT_NE(access(path_.c_str(), F_OK), 0) << "made";
  Open();
  EXPECT_TRUE(Store::Check(path_).ok());
  WriteFile(path_, "SQLite it is not");
  EXPECT_FALSE(Store::Check(path_).ok());
}

TEST_F(StoreTest, ASecretThatWasReplacedOrDeletedIsInNoFileOnceThatIsSaid) {
  auto store = Open();
  auto spec = [](const std::string& secret) {
    return R"({"env":{"KEY":")" + secret + R"("},"title":")" + std::string(700, 't') + "\"}";
  };
  auto secret = [](int i) { return "sesame-" + std::to_string(i) + "-sesame"; };
  // Enough of them that pages split, and records move between them.
  for (int i = 0; i < 60; ++i)
    ASSERT_TRUE(Put(*store, AgentRecord{"a" + std::to_string(i), spec(secret(i)), "{}"}).ok());
  auto found = [this](const std::string& text) {
    for (const char* file : {"", "-wal", "-shm"}) {
      if (ReadFile(path_ + file).find(text) != std::string::npos) return path_ + file;
    }
    return std::string();
  };
  for (int i = 0; i < 60; ++i) ASSERT_NE(found(secret(i)), "");
  for (int i = 0; i < 60; i += 2) {
    ASSERT_TRUE(Put(*store, AgentRecord{"a" + std::to_string(i), spec(""), "{}"}).ok());
    EXPECT_EQ(found(secret(i)), "");
    const std::string gone = "a" + std::to_string(i + 1);
    ASSERT_TRUE(Await([&](Store::Done done) { store->DeleteAgent(gone, std::move(done)); }).ok());
    EXPECT_EQ(found(secret(i + 1)), "");
  }
}

}  // namespace
}  // namespace reeve
