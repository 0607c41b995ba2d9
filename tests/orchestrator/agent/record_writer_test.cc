#include "orchestrator/agent/record_writer.h"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "orchestrator/store/store.h"
#include "process/loop.h"
#include "tests/support/loop_fixture.h"
#include "tests/support/small_disk.h"

namespace reeve {
namespace {

// A store on a real disk, and an agent whose state is a word.
class RecordWriterTest : public ::testing::Test {
 protected:
  void Open(const std::string& folder) {
    auto opened = Store::Open(loop, folder + "/reeve.db");
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    store = std::move(*opened);
    writer = std::make_unique<RecordWriter>(
        loop, *store,
        RecordWriter::Handlers{[this] {
                                 written += state + " ";
                                 return RecordWriter::Content{{"a1", "{}", state, false}, alive};
                               },
                               [this] { return state; },
                               [this] {
                                 ++changed;
                                 if (on_changed) on_changed();
                               }});
  }
  void SetUp() override { Open(dir.path()); }

  // Notes the outcome by this name.
  RecordWriter::Done Note(const std::string& name) {
    return [this, name](const Status& status) {
      told += name + (status ? " " : ":" + status.error().code + " ");
    };
  }
  // A write that notes each try, of a run of that number.
  std::function<void(Store::Done)> PutRun(uint64_t number) {
    return [this, number](Store::Done done) {
      tries += std::to_string(number) + " ";
      store->PutRun({"a1", number, "{\"text\":\"" + std::string(20'000, 'x') + "\"}"}, std::move(done));
    };
  }
  [[nodiscard]] bool UntilSettled() {
    return RunUntil(loop, [this] { return writer->settled(); });
  }
  [[nodiscard]] std::string OnDisk() {
    auto agents = store->LoadAgents();
    EXPECT_TRUE(agents.ok());
    return agents->empty() ? "" : agents->front().state;
  }
  [[nodiscard]] size_t Runs() {
    size_t count = 0;
    bool found = false;
    store->ListRuns("a1", UINT64_MAX >> 1, 100, [&](const Result<std::vector<RunRecord>>& runs) {
      count = runs ? runs->size() : 0;
      found = true;
    });
    EXPECT_TRUE(RunUntil(loop, [&found] { return found; }));
    return count;
  }

  TempDir dir;
  Loop loop;
  std::unique_ptr<Store> store;
  std::unique_ptr<RecordWriter> writer;
  std::string state = "one";
  bool alive = false;
  int changed = 0;
  std::function<void()> on_changed;
  std::string written, told, tries;
};

TEST_F(RecordWriterTest, ASaveIsDoneWhenItIsOnDisk) {
  EXPECT_TRUE(writer->settled());
  EXPECT_EQ(writer->stored_state(), "");
  writer->Save(Note("save"));
  EXPECT_FALSE(writer->settled());
  EXPECT_EQ(told, "");
  ASSERT_TRUE(UntilSettled());
  EXPECT_EQ(told, "save ");
  EXPECT_EQ(OnDisk(), "one");
  EXPECT_EQ(writer->stored_state(), "one");
  EXPECT_EQ(changed, 1);
}

TEST_F(RecordWriterTest, OneWriteAtATimeAndTheNextForAllThatWasAskedMeanwhile) {
  writer->Save(Note("a"));
  state = "two";
  writer->Save(Note("b"));
  state = "three";
  writer->Save(Note("c"));
  writer->SaveIfChanged();  // the write to come has it
  EXPECT_EQ(written, "one ");
  ASSERT_TRUE(UntilSettled());
  EXPECT_EQ(written, "one three ") << "the agent as it was when the second write began";
  EXPECT_EQ(told, "a b c ") << "in the order of asking";
  EXPECT_EQ(OnDisk(), "three");
}

TEST_F(RecordWriterTest, ThoseWhoAskedForAWriteMayChangeTheNext) {
  writer->Save([this](const Status&) {
    told += "first ";
    state = "changed by it";
    writer->Save(Note("from within"));
  });
  writer->Save(Note("second"));
  ASSERT_TRUE(UntilSettled());
  EXPECT_EQ(written, "one changed by it ");
  EXPECT_EQ(told, "first second from within ");
}

TEST_F(RecordWriterTest, TheFirstRecordAndItsMessageAreWrittenTogether) {
  writer->SaveFirst(MessageRecord{"m1", "a1", "{}", "queued"}, Note("first"));
  ASSERT_TRUE(UntilSettled());
  EXPECT_EQ(told, "first ");
  EXPECT_EQ(OnDisk(), "one");
  auto messages = store->LoadMessages();
  ASSERT_EQ(messages->size(), 1U);
  EXPECT_EQ(messages->front().id, "m1");
}

TEST_F(RecordWriterTest, WhatIsStoredAlreadyIsNotWrittenAgain) {
  writer->SaveIfChanged();
  ASSERT_TRUE(UntilSettled());
  writer->SaveIfChanged();
  EXPECT_EQ(written, "one ");
  state = "two";
  writer->SaveIfChanged();
  ASSERT_TRUE(UntilSettled());
  EXPECT_EQ(written, "one two ");
}

TEST_F(RecordWriterTest, AHandedOverAgentKnowsWhatIsStored) {
  writer->SetStored("one", true);
  EXPECT_TRUE(writer->alive_on_disk());
  EXPECT_EQ(writer->stored_state(), "one");
  writer->SaveIfChanged();
  EXPECT_EQ(written, "");
  writer->SetStored("", false);  // unknown
  writer->SaveIfChanged();
  EXPECT_EQ(written, "one ");
}

TEST_F(RecordWriterTest, AliveIsWhatTheNewestRecordOnDiskSays) {
  EXPECT_FALSE(writer->alive_on_disk());
  alive = true;
  writer->Save(Note("alive"));
  EXPECT_FALSE(writer->alive_on_disk()) << "not yet";
  ASSERT_TRUE(RunUntil(loop, [this] { return writer->alive_on_disk(); }));
  alive = false;
  writer->Save(Note("dead"));
  EXPECT_FALSE(writer->alive_on_disk()) << "nobody knows which record a crash would leave";
  ASSERT_TRUE(UntilSettled());
  EXPECT_FALSE(writer->alive_on_disk());
}

TEST_F(RecordWriterTest, AWriteThatMustComeToPassIsMadeOnceWhereItSucceeds) {
  writer->WriteEventually(PutRun(1));
  EXPECT_EQ(Runs(), 1U);
  EXPECT_EQ(tries, "1 ");
  EXPECT_TRUE(writer->settled());
  EXPECT_FALSE(writer->waits_for_room());
}

TEST_F(RecordWriterTest, NothingNewIsBegunUntilItMayBeTriedAgain) {
  writer->RetryLater();
  EXPECT_TRUE(writer->waits_for_room());
  writer->SaveIfChanged();
  EXPECT_EQ(written, "");
  on_changed = [this] { writer->SaveIfChanged(); };
  ASSERT_TRUE(RunUntil(loop, [this] { return OnDisk() == "one"; }));
  EXPECT_FALSE(writer->waits_for_room());
}

// ------------------------------------------------------------------------------------------------- its end

TEST_F(RecordWriterTest, DestroyedWhileWritingItStillTellsWhoAsked) {
  writer->Save(Note("written"));
  state = "two";
  writer->Save(Note("waited"));
  writer.reset();
  EXPECT_EQ(told, "waited:agent_deleted ") << "that write never begins";
  ASSERT_TRUE(RunUntil(loop, [this] { return told.find("written ") != std::string::npos; }));
  EXPECT_EQ(OnDisk(), "one");
  EXPECT_EQ(changed, 0);
}

TEST_F(RecordWriterTest, WhoAskedMayDestroyIt) {
  writer->Save([this](const Status&) { writer.reset(); });
  ASSERT_TRUE(RunUntil(loop, [this] { return !writer; }));
  EXPECT_EQ(OnDisk(), "one");
  EXPECT_EQ(changed, 0);
}

// -------------------------------------------------------------------------------------------- a full disk

class RecordWriterOnAFullDisk : public RecordWriterTest {
 protected:
  void SetUp() override {
    if (!disk.why_not().empty()) GTEST_SKIP() << "NOT TESTED: only root can mount: " << disk.why_not();
    Open(disk.path());
    writer->Save(Note("before"));
    ASSERT_TRUE(UntilSettled());
    disk.Fill();
    state = std::string(20'000, 'x');  // more than the last page takes
    told = written = "";
    changed = 0;
  }

  SmallDisk disk{"size=2m"};
};

TEST_F(RecordWriterOnAFullDisk, ASaveGivesTheStoresErrorAndIsTriedAgainByTheAgent) {
  alive = true;
  writer->Save(Note("save"));
  ASSERT_TRUE(UntilSettled());
  EXPECT_EQ(told, "save:disk_full ");
  EXPECT_EQ(writer->stored_state(), "") << "unknown";
  EXPECT_FALSE(writer->alive_on_disk());
  EXPECT_TRUE(writer->waits_for_room());
  EXPECT_EQ(changed, 1);
  writer->SaveIfChanged();
  EXPECT_TRUE(writer->settled()) << "not while it waits for room";

  disk.MakeRoom();
  on_changed = [this] { writer->SaveIfChanged(); };
  ASSERT_TRUE(RunUntil(loop, [this] { return writer->alive_on_disk(); }));
  EXPECT_EQ(OnDisk(), state);
}

TEST_F(RecordWriterOnAFullDisk, TheEndOfAnAgentIsWrittenAllTheSame) {
  for (int i = 0; i < 20; ++i) {
    state = std::to_string(i) + std::string(5'000, 'x');
    writer->Save(Note("end"));
    ASSERT_TRUE(UntilSettled());
    EXPECT_EQ(std::exchange(told, ""), "end ");
    EXPECT_EQ(OnDisk(), state);
  }
}

TEST_F(RecordWriterOnAFullDisk, ThoseWhoAskedForTheNextWriteHaveTheirOwnOutcome) {
  alive = true;
  writer->Save([this](const Status& status) {
    told += status.ok() ? "first " : "first:" + status.error().code + " ";
    disk.MakeRoom();
  });
  writer->Save(Note("second"));
  ASSERT_TRUE(UntilSettled());
  EXPECT_EQ(told, "first:disk_full second ");
  EXPECT_EQ(OnDisk(), state);
}

TEST_F(RecordWriterOnAFullDisk, WritesThatMustComeToPassAreRepeatedInTheirOrder) {
  for (uint64_t number : {1U, 2U, 3U}) writer->WriteEventually(PutRun(number));
  EXPECT_FALSE(writer->settled());
  ASSERT_TRUE(RunUntil(loop, [this] { return writer->waits_for_room(); }));
  EXPECT_EQ(tries, "1 2 3 ");
  ASSERT_TRUE(RunUntil(loop, [this] { return tries.size() >= 12; })) << "there is no room yet";
  disk.MakeRoom();
  ASSERT_TRUE(RunUntil(loop, [this] { return writer->settled(); }));
  EXPECT_EQ(Runs(), 3U);
  EXPECT_EQ(tries.substr(0, 12), "1 2 3 1 2 3 ");
}

TEST_F(RecordWriterOnAFullDisk, DestroyedItRepeatsNothing) {
  writer->WriteEventually(PutRun(1));
  ASSERT_TRUE(RunUntil(loop, [this] { return writer->waits_for_room(); }));
  writer.reset();
  disk.MakeRoom();
  EXPECT_EQ(Runs(), 0U);
  EXPECT_EQ(tries, "1 ");
}

// A later write says nothing of an earlier one that the disk has refused.
TEST_F(RecordWriterTest, KnowsThatAnEarlierWriteWasRefused) {
  std::string order;
  int times = 0;
  auto refused_once = [&](Store::Done done) {
    done(++times == 1 ? Status(Error{"disk_full", "full"}) : Status());
  };
  writer->WriteEventually(refused_once, [&] { order += writer->refused() ? "1? " : "1 "; });
  writer->WriteEventually([](Store::Done done) { done({}); },
                          [&] { order += writer->refused() ? "2? " : "2 "; });
  EXPECT_EQ(order, "2? ");
  EXPECT_TRUE(RunUntil(loop, [this] { return !writer->refused(); }));
  EXPECT_EQ(order, "2? 1 ");
  EXPECT_TRUE(writer->settled());
}

}  // namespace
}  // namespace reeve
