#include "process/loop.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <csignal>
#include <limits>
#include <memory>
#include <thread>
#include <vector>

#include "process/timer.h"
#include "process/watch.h"
#include "tests/support/loop_fixture.h"

namespace reeve {
namespace {

TEST(Loop, PostsFromManyThreadsAllRunInOrderOfEachThread) {
  Loop loop;
  std::vector<std::vector<int>> got(4);
  std::vector<std::thread> threads;
  for (size_t t = 0; t < 4; ++t) {
    threads.emplace_back([&loop, &got, t] {
      for (int i = 0; i < 1000; ++i) loop.Post([&got, t, i] { got[t].push_back(i); });
    });
  }
  for (auto& thread : threads) thread.join();
  ASSERT_TRUE(
      RunUntil(loop, [&] { return got[0].size() + got[1].size() + got[2].size() + got[3].size() == 4000; }));
  for (const auto& one : got) {
    for (size_t i = 0; i < one.size(); ++i) EXPECT_EQ(one[i], static_cast<int>(i));
  }
}

TEST(Loop, OffloadedWorkIsDoneEvenWhenTheLoopEnds) {
  bool worked = false;
  bool done = false;
  {
    Loop loop;
    loop.Offload([&worked] { worked = true; }, [&done] { done = true; });
  }
  EXPECT_TRUE(worked);
  EXPECT_TRUE(done);
}

TEST(Loop, AStepThatLeftWorkUndoneKeepsTheLoopFromSleeping) {
  Loop loop;
  int left = 100;
  loop.BeforeSleep([&left] { return --left > 0; });
  for (int turn = 0; turn < 100; ++turn) loop.RunOnce(left > 0);  // would hang if it slept
  EXPECT_EQ(left, 0);
}

TEST(Loop, SignalsArriveOnTheLoop) {
  Loop loop;
  int seen = 0;
  loop.OnSignal(SIGUSR1, [&seen] { ++seen; });
  raise(SIGUSR1);
  EXPECT_TRUE(RunUntil(loop, [&] { return seen == 1; }));
}

TEST(Timer, MayEndItselfWhenItFires) {
  Loop loop;
  int fired = 0;
  std::unique_ptr<Timer> timer;
  timer = std::make_unique<Timer>(loop, [&] {
    ++fired;
    timer.reset();
  });
  timer->Start(0, 1);
  EXPECT_TRUE(RunUntil(loop, [&] { return fired == 1; }));
}

TEST(Timer, StartsAtATimeOfTheLoop) {
  Loop loop;
  int fired = 0;
  Timer timer(loop, [&fired] { ++fired; });
  timer.Start(1, 1);
  timer.StartAt(loop.NowMs() + 60'000);
  EXPECT_EQ(timer.due_ms(), loop.NowMs() + 60'000);
  timer.StartAt(std::numeric_limits<int64_t>::min());  // has passed
  EXPECT_EQ(timer.due_ms(), loop.NowMs());
  EXPECT_TRUE(RunUntil(loop, [&fired] { return fired == 1; }));
  EXPECT_FALSE(timer.active());  // it does not repeat
  EXPECT_EQ(timer.due_ms(), std::nullopt);
}

TEST(Watch, TellsWhenADescriptorIsReadyAndClosesIt) {
  Loop loop;
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  Fd other(ends[1]);
  int events = 0;
  auto watch = Watch::Make(loop, Fd(ends[0]), [&events](int ready) { events |= ready; });
  ASSERT_TRUE(watch.ok());
  (*watch)->Want(Watch::kRead);
  loop.RunOnce(false);
  EXPECT_EQ(events, 0);
  ASSERT_EQ(write(other.get(), "x", 1), 1);
  EXPECT_TRUE(RunUntil(loop, [&] { return events == Watch::kRead; }));
  watch->reset();
  EXPECT_EQ(send(other.get(), "x", 1, MSG_NOSIGNAL), -1);
}

TEST(Clock, FormatsRfc3339WithMilliseconds) {
  EXPECT_EQ(FormatTime(1795170414684), "2026-11-20T10:26:54.684Z");
}

}  // namespace
}  // namespace reeve
