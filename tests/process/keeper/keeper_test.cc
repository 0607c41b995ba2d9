#include "process/keeper/keeper.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/types.h>

#include <csignal>
#include <string>

#include "process/proc.h"
#include "tests/process/keeper/running_keeper.h"
#include "tests/process/processes.h"
#include "tests/support/daemon.h"

namespace reeve {
namespace {

std::string Number(pid_t pid) { return std::to_string(pid); }

// The end of a child, once it has ended.
std::string EndOf(RunningKeeper& keeper, pid_t pid) {
  std::string end;
  EXPECT_TRUE(Eventually([&] {
    end = keeper.Ask("exitof " + Number(pid));
    return end != "runs";
  }));
  return end;
}

bool IsZombie(pid_t pid) {
  const auto stat = StatProcess(pid);
  return stat && stat->zombie;
}

TEST(Keeper, SpawnsAndRemembersHowChildrenEnd) {
  RunningKeeper keeper;
  keeper.BegunAndReady();
  const pid_t child = keeper.Spawn("exit 7");
  EXPECT_EQ(EndOf(keeper, child), "exit 7/0");
  EXPECT_TRUE(IsZombie(child));
  EXPECT_EQ(StatProcess(child)->ppid, keeper.pid());
  EXPECT_EQ(keeper.Ask("reap " + Number(child)), "ok");
  EXPECT_EQ(keeper.Ask("exitof " + Number(child)), "runs") << "the keeper has forgotten it";
  EXPECT_FALSE(StatProcess(child));
  EXPECT_EQ(keeper.Ask("exec no-such-program"),
            "failed spawn_failed no-such-program: no such file or directory");
  keeper.Say("bye 5");
  EXPECT_EQ(keeper.Wait(), 5);
  EXPECT_EQ(keeper.log(), "");
}

}  // namespace
}  // namespace reeve
