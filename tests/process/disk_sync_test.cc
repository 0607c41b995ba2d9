#include "process/disk_sync.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "tests/support/loop_fixture.h"

namespace reeve {
namespace {

TEST(DiskSyncTest, EverybodyIsToldOnceAlsoWhoAsksMeanwhile) {
  TempDir dir;
  Loop loop;
  DiskSync disk(loop, {dir.path()});
  std::vector<int> told;
  auto tell = [&told](int who) {
    return [&told, who](const Status& status) {
      EXPECT_TRUE(status.ok());
      told.push_back(who);
    };
  };
  disk.Sync([&](const Status& status) {
    EXPECT_TRUE(status.ok());
    told.push_back(1);
    disk.Sync(tell(4));
  });
  disk.Sync(tell(2));
  disk.Sync(tell(3));
  EXPECT_TRUE(told.empty()) << "never within the call";
  ASSERT_TRUE(RunUntil(loop, [&] { return told.size() == 4; }));
  EXPECT_EQ(told[0], 1);
}

TEST(DiskSyncTest, AFailureIsTold) {
  TempDir dir;
  Loop loop;
  DiskSync disk(loop, {dir.path() + "/missing"});
  Status status;
  disk.Sync([&status](const Status& synced) { status = synced; });
  ASSERT_TRUE(RunUntil(loop, [&] { return !status.ok(); }));
  EXPECT_NE(status.error().message.find("missing: No such file"), std::string::npos);
}

TEST(DiskSyncTest, OneThatHasEndedCallsNobody) {
  TempDir dir;
  bool told = false;
  {
    Loop loop;
    DiskSync disk(loop, {dir.path()});
    disk.Sync([&told](const Status&) { told = true; });
  }
  EXPECT_FALSE(told);
}

}  // namespace
}  // namespace reeve
