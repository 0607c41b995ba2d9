#include "process/child.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <array>
#include <csignal>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "process/cgroup.h"
#include "process/log.h"
#include "process/timer.h"
#include "tests/process/processes.h"
#include "tests/support/keeping_parent.h"
#include "tests/support/loop_fixture.h"

namespace reeve {
namespace {

using ::testing::EndsWith;

// A child and all that it said.
struct Recorded {
  std::unique_ptr<Child> child;
  std::string out;
  std::string err;
  std::optional<ExitStatus> done;
  [[nodiscard]] bool Said(const std::string& text) const { return out.find(text) != std::string::npos; }
};

// Every test runs twice: with a cgroup for each child, and without, as on most machines of users.
class ChildTest : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    signal(SIGPIPE, SIG_IGN);               // as main does
    (void)log::Enabled(log::Level::kInfo);  // opens the log's descriptor
    if (GetParam()) {
      auto root = CgroupRoot::Open();
      if (!root) GTEST_SKIP() << root.error().message;
      cgroups_ = std::move(*root);
      context_.cgroups = cgroups_.get();
    }
    descriptors_ = OpenDescriptors();
  }

  // After every test: no zombie, no process and no descriptor is left.
  void TearDown() override {
    if (IsSkipped()) return;
    EXPECT_TRUE(RunUntil(loop_, [] { return ChildrenOf(getpid()).empty(); })) << "a process is left";
    loop_.RunOnce(false);
    EXPECT_EQ(OpenDescriptors(), descriptors_);
    if (cgroups_) {
      std::string path = cgroups_->path();
      cgroups_.reset();
      EXPECT_NE(access(path.c_str(), F_OK), 0) << path << " is left";
    }
  }

  static Child::Handlers RecordTo(Recorded& recorded) {
    Child::Handlers handlers;
    handlers.on_output = [to = &recorded](Child::Output from, std::string_view bytes) {
      (from == Child::Output::kStdout ? to->out : to->err).append(bytes);
    };
    handlers.on_done = [to = &recorded](const ExitStatus& status) {
      EXPECT_FALSE(to->done) << "done twice";
      to->done = status;
    };
    return handlers;
  }

  // The effect on the child of its daemon's death, with something that happens before the next daemon. The
  // tests of the whole daemon kill a real one.
  void HandOver(
      Recorded& recorded, const std::function<void()>& meanwhile = [] {}) {
    ChildState saved = recorded.child->Save();
    recorded.child->Abandon();
    recorded.child.reset();
    meanwhile();
    auto child = Child::Adopt(context_, std::move(saved), RecordTo(recorded));
    ASSERT_TRUE(child.ok()) << child.error().message;
    recorded.child = std::move(*child);
  }

  std::unique_ptr<Recorded> Start(SpawnSpec spec) {
    auto recorded = std::make_unique<Recorded>();
    Recorded* to = recorded.get();
    std::string marker = "REEVE_TEST_CHILD=" + std::to_string(++markers_) + "-" + std::to_string(getpid());
    spec.env.push_back(marker);
    auto child = Child::Start(context_, std::move(spec), marker, RecordTo(*recorded));
    EXPECT_TRUE(child.ok()) << child.error().message;
    if (child.ok()) to->child = std::move(*child);
    return recorded;
  }
  std::unique_ptr<Recorded> Start(const std::string& script) { return Start(Shell(script)); }

  bool Finish(Recorded& recorded) {
    return RunUntil(loop_, [&recorded] { return recorded.done.has_value(); });
  }
  bool Says(Recorded& recorded, const std::string& text) {
    return RunUntil(loop_, [&recorded, &text] { return recorded.Said(text); });
  }

  Loop loop_;
  KeepingParent reaper_{loop_};
  std::unique_ptr<CgroupRoot> cgroups_;
  ChildContext context_{loop_, reaper_};
  size_t descriptors_ = 0;
  int markers_ = 0;
};

INSTANTIATE_TEST_SUITE_P(, ChildTest, ::testing::Bool(),
                         [](const auto& test) { return test.param ? "InCgroup" : "Plain"; });

TEST_P(ChildTest, TellsTheExitCodeAfterAllOutput) {
  auto child = Start("echo out; echo err >&2; exit 7");
  ASSERT_TRUE(Finish(*child));
  EXPECT_EQ(child->out, "out\n");
  EXPECT_EQ(child->err, "err\n");
  EXPECT_EQ(child->done->code, 7);
  EXPECT_EQ(child->done->signal, 0);
  EXPECT_TRUE(child->done->tree_empty);
  EXPECT_TRUE(child->child->Tree().empty());
}

TEST_P(ChildTest, TellsTheSignalThatEndedIt) {
  auto child = Start("kill -USR1 $$");
  ASSERT_TRUE(Finish(*child));
  EXPECT_EQ(child->done->code, -1);
  EXPECT_EQ(child->done->signal, SIGUSR1);
}

TEST_P(ChildTest, AProgramThatIsNotThereIsAnErrorThatNamesIt) {
  SpawnSpec spec;
  spec.argv = {"no-such-program"};
  auto child = Child::Start(context_, spec, "", {});
  ASSERT_FALSE(child.ok());
  EXPECT_EQ(child.error().message, "no-such-program: no such file or directory");
}

TEST_P(ChildTest, ACgroupThatCannotBeMadeOrEnteredIsDoneWithout) {
  TempDir plain;
  auto root = CgroupRoot::OpenAt("41 31 0:38 / " + plain.path() + " rw - cgroup2 cgroup2 rw\n", "0::/\n");
  ASSERT_TRUE(root.ok());
  context_.cgroups = root->get();
  auto child = Start("exit 3");
  ASSERT_TRUE(Finish(*child));
  EXPECT_EQ(child->done->code, 3);
  rmdir((*root)->path().c_str());
  child = Start("exit 4");
  ASSERT_TRUE(Finish(*child));
  EXPECT_EQ(child->done->code, 4);
}

TEST_P(ChildTest, SignalsReachTheChildAlone) {
  auto child = Start("trap 'echo got it; exit 0' INT; echo ready; while :; do sleep 0.01; done");
  ASSERT_TRUE(Says(*child, "ready"));
  child->child->Signal(SIGINT);
  ASSERT_TRUE(Finish(*child));
  EXPECT_TRUE(child->Said("got it"));
  child->child->Signal(SIGINT);  // harmless now
}

TEST_P(ChildTest, TheLastOutputBeforeTheExitIsNeverLost) {
  for (int round = 0; round < 20; ++round) {
    std::vector<std::unique_ptr<Recorded>> children;
    children.reserve(10);
    for (int i = 0; i < 10; ++i)
      children.push_back(Start("head -c 300000 /dev/zero; printf 'THE END' >&2; printf END"));
    for (auto& child : children) {
      ASSERT_TRUE(Finish(*child));
      ASSERT_EQ(child->out.size(), 300'003U);
      ASSERT_THAT(child->out, EndsWith("END"));
      ASSERT_EQ(child->err, "THE END");
    }
  }
}

TEST_P(ChildTest, OutputThatEndsBeforeTheExitIsNotTheEnd) {
  auto child = Start("echo $$; exec >&- 2>&-; read line; exit 4");
  ASSERT_TRUE(Finish(*child));
  EXPECT_EQ(child->done->code, 4);
}

TEST_P(ChildTest, AGrandchildThatHoldsThePipesDoesNotDelayTheEnd) {
  auto child = Start("sleep 1000 & echo $!; exit 3");
  ASSERT_TRUE(Finish(*child));
  EXPECT_EQ(child->done->code, 3);
  EXPECT_TRUE(child->done->tree_empty);
  EXPECT_FALSE(Lives(ProcessesIn(child->out).at(0)));
}

TEST_P(ChildTest, LastWordsOfAGrandchildAreKept) {
  SpawnSpec spec = Shell(
      "(trap 'echo last words; exit' TERM; echo ready; while :; do sleep 0.01; done) & read line; exit 0");
  spec.stdin_pipe = true;
  auto child = Start(std::move(spec));
  ASSERT_TRUE(Says(*child, "ready"));
  child->child->CloseStdin();
  ASSERT_TRUE(Finish(*child));
  EXPECT_TRUE(child->done->tree_empty);
  EXPECT_THAT(child->out, EndsWith("last words\n"));
}

TEST_P(ChildTest, StopIsPoliteFirst) {
  auto child = Start("trap 'echo bye; exit 5' TERM; echo ready; while :; do sleep 0.01; done");
  ASSERT_TRUE(Says(*child, "ready"));
  child->child->Stop(20'000);
  ASSERT_TRUE(Finish(*child));
  EXPECT_TRUE(child->Said("bye"));
  EXPECT_EQ(child->done->code, 5);
}

TEST_P(ChildTest, StopEndsATreeThatIgnoresTerm) {
  auto child = Start("trap '' TERM; sleep 1000 & echo $!; echo $$; echo ready; sleep 1000; sleep 1000");
  ASSERT_TRUE(Says(*child, "ready"));
  auto processes = ProcessesIn(child->out);
  ASSERT_EQ(processes.size(), 2U);
  EXPECT_GE(child->child->Tree().size(), 2U);
  EXPECT_EQ(child->child->Tree().at(0).pid, child->child->pid());
  child->child->Stop(50);
  ASSERT_TRUE(Finish(*child));
  EXPECT_EQ(child->done->signal, SIGKILL);
  EXPECT_TRUE(child->done->tree_empty);
  for (const ProcessId& process : processes) EXPECT_FALSE(Lives(process));
}

TEST_P(ChildTest, ASecondStopMayShortenTheGrace) {
  auto child = Start("trap '' TERM; echo ready; sleep 1000; sleep 1000");
  ASSERT_TRUE(Says(*child, "ready"));
  child->child->Stop(1'000'000);
  loop_.RunOnce(false);
  child->child->Stop(0);
  ASSERT_TRUE(Finish(*child));
  EXPECT_EQ(child->done->signal, SIGKILL);
}

TEST_P(ChildTest, StopEndsAStoppedProcess) {
  auto child = Start("trap 'exit 6' TERM; echo ready; kill -STOP $$; while :; do sleep 0.01; done");
  ASSERT_TRUE(Says(*child, "ready"));
  child->child->Stop(20'000);
  ASSERT_TRUE(Finish(*child));
  EXPECT_EQ(child->done->code, 6);
}

// The behaviour of the tools of opencode and claude.
TEST_P(ChildTest, StopFindsAToolInASessionOfItsOwn) {
  auto child = Start("setsid sleep 1000 & echo $!; echo ready; wait");
  ASSERT_TRUE(Says(*child, "ready"));
  auto tool = ProcessesIn(child->out).at(0);
  ASSERT_TRUE(RunUntil(loop_, [&tool] { return getsid(tool.pid) == tool.pid; }));
  child->child->Stop(20'000);
  ASSERT_TRUE(Finish(*child));
  EXPECT_FALSE(Lives(tool));
  EXPECT_TRUE(child->done->tree_empty);
}

constexpr char kDaemonise[] = "(setsid sh -c 'echo $$; exec sleep 1000 <&- >/dev/null 2>&1' &)";

TEST_P(ChildTest, StopFindsADaemonThatLostItsParent) {
  auto child = Start(std::string(kDaemonise) + "; sleep 1000; sleep 1000");
  ASSERT_TRUE(Says(*child, "\n"));
  auto daemon = ProcessesIn(child->out).at(0);
  ASSERT_TRUE(RunUntil(loop_, [&daemon] {
    auto stat = StatProcess(daemon.pid);
    return stat && stat->ppid == getpid();
  })) << "not adopted";
  child->child->Stop(20'000);
  ASSERT_TRUE(Finish(*child));
  EXPECT_FALSE(Lives(daemon));
}

TEST_P(ChildTest, ADaemonLeftBehindByAnOrderlyExitIsEnded) {
  SpawnSpec spec = Shell(std::string(kDaemonise) + "; read line; exit 0");
  spec.stdin_pipe = true;
  auto child = Start(std::move(spec));
  ASSERT_TRUE(Says(*child, "\n"));  // the daemon runs
  child->child->CloseStdin();
  ASSERT_TRUE(Finish(*child));
  EXPECT_EQ(child->done->code, 0);
  EXPECT_TRUE(child->done->tree_empty);
  const auto processes = ProcessesIn(child->out);
  ASSERT_EQ(processes.size(), 1U);
  EXPECT_FALSE(Lives(processes[0]));
}

TEST_P(ChildTest, AnOrphanWithoutOurMarkerIsKnownByItsGroup) {
  auto child = Start("(env -i sleep 1000 >/dev/null 2>&1 & echo $!); exit 0");
  ASSERT_TRUE(Finish(*child));
  EXPECT_FALSE(Lives(ProcessesIn(child->out).at(0)));
}

// TearDown finds every process that is left.
TEST_P(ChildTest, ChainsThatForkAndExitAreEnded) {
  // Each link is in a group of its own, and lives for two milliseconds.
  const std::string chain =
      "perl -e '$| = 1; $SIG{TERM} = sub {}; close STDIN; print \"on\\n\"; close STDOUT;"
      " for (;;) { exit 0 if fork; setpgrp 0, 0; select undef, undef, undef, 0.002 }'";
  std::vector<std::unique_ptr<Recorded>> children;
  for (int i = 0; i < 6; ++i) {
    SpawnSpec spec = Shell(chain + "; read line");
    spec.stdin_pipe = true;
    children.push_back(Start(std::move(spec)));
  }
  for (auto& child : children) ASSERT_TRUE(Says(*child, "on"));
  for (size_t i = 0; i < children.size(); ++i) {
    if (i % 2 == 0) {
      children[i]->child->CloseStdin();
    } else {
      children[i]->child->Stop(0);
    }
  }
  for (auto& child : children) {
    ASSERT_TRUE(Finish(*child));
    EXPECT_TRUE(child->done->tree_empty);
  }
}

TEST_P(ChildTest, HundredsOfDoubleForksAreEnded) {
  std::vector<std::unique_ptr<Recorded>> children;
  for (int i = 0; i < 40; ++i)
    children.push_back(Start("for i in 1 2 3 4 5; do (setsid sleep 1000 >/dev/null 2>&1 &) ; done; exit 0"));
  for (auto& child : children) {
    ASSERT_TRUE(Finish(*child));
    EXPECT_TRUE(child->done->tree_empty);
  }
}

TEST_P(ChildTest, AnotherChildsOrphansAreLeftAlone) {
  auto one = Start(std::string(kDaemonise) + "; sleep 1000; sleep 1000");
  auto other = Start(std::string(kDaemonise) + "; sleep 1000; sleep 1000");
  ASSERT_TRUE(Says(*one, "\n"));
  ASSERT_TRUE(Says(*other, "\n"));
  one->child->Stop(20'000);
  ASSERT_TRUE(Finish(*one));
  EXPECT_TRUE(Lives(ProcessesIn(other->out).at(0)));
  EXPECT_TRUE(Lives({other->child->pid(), other->child->start_time()}));
}

// Marker wiped, own session, parent gone: only a cgroup knows it. It must not keep the agent from its end.
// It outlives the pipe, so that the test can see that it was there.
TEST_P(ChildTest, AStrangerThatWritesForEverDoesNotDelayTheEnd) {
  SpawnSpec spec =
      Shell("(setsid env -i /bin/sh -c 'trap \"\" PIPE; while :; do echo y; done' &); read line; exit 0");
  spec.stdin_pipe = true;
  auto child = Start(std::move(spec));
  ASSERT_TRUE(Says(*child, "y\ny\n"));
  child->child->CloseStdin();
  ASSERT_TRUE(Finish(*child));
  EXPECT_EQ(child->done->code, 0);
  child->child.reset();
  reaper_.Look();
  EXPECT_EQ(reaper_.Adopted().size(), GetParam() ? 0U : 1U);
  for (const ProcessStat& stray : reaper_.Adopted()) SignalProcess(stray.id, SIGKILL);
}

TEST_P(ChildTest, DestroyingALivingChildEndsItsTreeAtOnce) {
  auto child = Start(std::string(kDaemonise) + "; trap '' TERM; sleep 1000 & echo $!; echo $$; wait");
  ASSERT_TRUE(RunUntil(loop_, [&child] { return ProcessesIn(child->out).size() == 3; }));
  auto processes = ProcessesIn(child->out);
  child->child.reset();
  for (const ProcessId& process : processes) EXPECT_EQ(StartTime(process.pid), 0U);
}

// A cgroup v1 freezer, where there is one, makes what is in it immune to KILL: for a process in a broken
// driver.
class Freezer {
 public:
  Freezer() { made_ = mkdir(path_.c_str(), 0755) == 0; }
  ~Freezer() {
    Thaw();
    while (made_ && rmdir(path_.c_str()) != 0 && errno == EBUSY) usleep(1'000);
  }
  Freezer(const Freezer&) = delete;
  Freezer& operator=(const Freezer&) = delete;
  bool Freeze(pid_t pid) {
    if (!made_) return false;
    WriteFile(path_ + "/cgroup.procs", std::to_string(pid));
    WriteFile(path_ + "/freezer.state", "FROZEN");
    return ReadFile(path_ + "/freezer.state") == "FROZEN\n";
  }
  void Thaw() {
    if (made_) WriteFile(path_ + "/freezer.state", "THAWED");
  }

 private:
  std::string path_ = "/sys/fs/cgroup/freezer/reeve-test-" + std::to_string(getpid());
  bool made_ = false;
};

TEST_P(ChildTest, ATreeThatCannotBeKilledIsGivenUpAndReported) {
  if (GetParam()) GTEST_SKIP() << "the same, and it takes five seconds";
  Freezer freezer;
  auto child = Start("sleep 1000 & echo $!; exec sleep 1000");
  ASSERT_TRUE(Says(*child, "\n"));
  ProcessId grandchild = ProcessesIn(child->out).at(0);
  if (!freezer.Freeze(grandchild.pid)) GTEST_SKIP() << "no cgroup v1 freezer";
  child->child->Stop(0);
  ASSERT_TRUE(Finish(*child));
  EXPECT_EQ(child->done->signal, SIGKILL);
  EXPECT_FALSE(child->done->tree_empty);
  EXPECT_TRUE(Lives(grandchild));
}

TEST_P(ChildTest, AChildThatCannotBeKilledIsGivenUpToo) {
  if (!GetParam()) GTEST_SKIP() << "the same, and it takes five seconds";
  Freezer freezer;
  auto child = Start("echo ready; exec sleep 1000");
  ASSERT_TRUE(Says(*child, "ready"));
  if (!freezer.Freeze(child->child->pid())) GTEST_SKIP() << "no cgroup v1 freezer";
  child->child->Stop(0);
  ASSERT_TRUE(Finish(*child));
  EXPECT_EQ(child->done->code, -1);
  EXPECT_EQ(child->done->signal, SIGKILL);
  EXPECT_FALSE(child->done->tree_empty);
  child->child.reset();
  freezer.Thaw();  // it dies at last, and the reaper buries it: see TearDown
}

TEST_P(ChildTest, MayBeDestroyedWhenItIsDone) {
  std::unique_ptr<Child> child;
  bool done = false;
  Child::Handlers handlers;
  handlers.on_output = [](Child::Output, std::string_view) {};
  handlers.on_done = [&child, &done](const ExitStatus&) {
    child.reset();
    done = true;
  };
  auto started = Child::Start(context_, Shell("echo hello"), "", std::move(handlers));
  ASSERT_TRUE(started.ok());
  child = std::move(*started);
  EXPECT_TRUE(RunUntil(loop_, [&done] { return done; }));
}

TEST_P(ChildTest, APausedReaderHoldsTheChildAndLosesNothing) {
  auto child = Start("exec head -c 1000000 /dev/zero");
  child->child->PauseReading(true);
  ASSERT_TRUE(RunUntil(loop_, [&child] {
    return ReadFile("/proc/" + std::to_string(child->child->pid()) + "/wchan").find("pipe") !=
           std::string::npos;
  })) << "it should wait for us to read";
  EXPECT_TRUE(child->out.empty());
  EXPECT_FALSE(child->child->exited());
  child->child->PauseReading(false);
  ASSERT_TRUE(Finish(*child));
  EXPECT_EQ(child->out.size(), 1'000'000U);
}

TEST_P(ChildTest, TheEndWaitsForAPausedReader) {
  auto child = Start("echo last words; exit 2");
  child->child->PauseReading(true);
  ProcessId id{child->child->pid(), child->child->start_time()};
  ASSERT_TRUE(RunUntil(loop_, [&id] { return StartTime(id.pid) == 0; })) << "not reaped";
  EXPECT_TRUE(child->child->exited());
  EXPECT_FALSE(child->done);
  child->child->PauseReading(false);
  ASSERT_TRUE(Finish(*child));
  EXPECT_EQ(child->out, "last words\n");
  EXPECT_EQ(child->done->code, 2);
}

TEST_P(ChildTest, PausingInTheMiddleOfOutputIsObeyed) {
  std::unique_ptr<Child> child;
  size_t calls = 0;
  size_t most = 0;
  bool done = false;
  Child::Handlers handlers;
  handlers.on_output = [&child, &calls, &most](Child::Output, std::string_view bytes) {
    ++calls;
    most = std::max(most, bytes.size());
    child->PauseReading(true);
  };
  handlers.on_done = [&done](const ExitStatus&) { done = true; };
  auto started = Child::Start(context_, Shell("head -c 500000 /dev/zero"), "", std::move(handlers));
  ASSERT_TRUE(started.ok());
  child = std::move(*started);
  for (size_t expected = 1; expected < 4; ++expected) {
    ASSERT_TRUE(RunUntil(loop_, [&calls, expected] { return calls == expected; }));
    for (int turn = 0; turn < 5; ++turn) loop_.RunOnce(false);
    EXPECT_EQ(calls, expected);
    child->PauseReading(false);
  }
  EXPECT_LE(most, 128U) << "a turn begins with little, so that little comes after enough";
}

// As an agent that prints without end, and has a share of each turn of the loop.
TEST_P(ChildTest, AnOwnerThatHasEnoughInEachTurnGetsLittleMore) {
  constexpr size_t kEnough = 8192;
  struct Turns {
    std::unique_ptr<Child> child;
    size_t all = 0;
    size_t now = 0;   // in this turn
    size_t most = 0;  // in a turn, after the first ones
  };
  const auto turns = std::make_shared<Turns>();
  Child::Handlers handlers;
  handlers.on_output = [turns](Child::Output, std::string_view bytes) {
    turns->all += bytes.size();
    turns->now += bytes.size();
    if (turns->now > kEnough) turns->child->PauseReading(true);
  };
  handlers.on_done = [](const ExitStatus&) {};
  loop_.BeforeSleep([turns] {
    if (turns->all > size_t{64} << 10) turns->most = std::max(turns->most, turns->now);
    turns->now = 0;
    if (turns->child) turns->child->PauseReading(false);
    return false;
  });
  auto started = Child::Start(context_, Shell("exec cat /dev/zero"), "", std::move(handlers));
  ASSERT_TRUE(started.ok());
  turns->child = std::move(*started);
  EXPECT_TRUE(RunUntil(loop_, [&turns] { return turns->all > size_t{2} << 20; }));
  EXPECT_GT(turns->most, kEnough);
  EXPECT_LE(turns->most, kEnough + kEnough / 4);
  turns->child.reset();
}

TEST_P(ChildTest, AMebibyteGoesThroughStdin) {
  SpawnSpec spec = Shell("exec cat");
  spec.stdin_pipe = true;
  auto child = Start(std::move(spec));
  std::string sent;
  for (int i = 0; sent.size() < (size_t{1} << 20); ++i) {
    std::string line = "line " + std::to_string(i) + "\n";
    ASSERT_TRUE(child->child->WriteStdin(line).ok());
    sent += line;
  }
  child->child->CloseStdin();
  ASSERT_TRUE(Finish(*child));
  EXPECT_EQ(child->out, sent);
  EXPECT_EQ(child->child->WriteStdin("more").error().code, "not_running");
}

TEST_P(ChildTest, StdinThatIsNotReadIsBounded) {
  SpawnSpec spec = Shell("exec sleep 1000");
  spec.stdin_pipe = true;
  auto child = Start(std::move(spec));
  std::string megabyte(size_t{1} << 20, 'x');
  Status status;
  int taken = 0;
  while (taken < 100 && (status = child->child->WriteStdin(megabyte)).ok()) ++taken;
  EXPECT_EQ(taken, 32);
  EXPECT_EQ(status.error().code, "queue_full");
}

TEST_P(ChildTest, AChildThatClosedItsStdinIsNotWrittenTo) {
  SpawnSpec spec = Shell("exec <&-; echo closed; sleep 1000");
  spec.stdin_pipe = true;
  auto child = Start(std::move(spec));
  ASSERT_TRUE(Says(*child, "closed"));
  EXPECT_EQ(child->child->WriteStdin("hello").error().code, "not_running");
}

TEST_P(ChildTest, WithoutAPipeStdinIsEmpty) {
  auto child = Start("cat; echo end");
  ASSERT_TRUE(Finish(*child));
  EXPECT_EQ(child->out, "end\n");
  EXPECT_EQ(child->child->WriteStdin("x").error().code, "not_running");
}

TEST_P(ChildTest, OneThatNeverStopsTalkingDoesNotStarveTheOthers) {
  auto loud = Start("exec yes");
  auto quiet = Start("echo hello");
  ASSERT_TRUE(Finish(*quiet));
  EXPECT_EQ(quiet->out, "hello\n");
  EXPECT_FALSE(loud->done);
}

TEST_P(ChildTest, ThreeHundredAtOnce) {
  std::vector<std::unique_ptr<Recorded>> children;
  children.reserve(300);
  for (int i = 0; i < 300; ++i)
    children.push_back(Start("echo " + std::to_string(i) + "; exit " + std::to_string(i % 100)));
  for (int i = 0; i < 300; ++i) {
    auto& child = *children[static_cast<size_t>(i)];
    ASSERT_TRUE(Finish(child));
    EXPECT_EQ(child.out, std::to_string(i) + "\n");
    EXPECT_EQ(child.done->code, i % 100);
  }
}

TEST_P(ChildTest, ThreeHundredAreStoppedAtOnce) {
  std::vector<std::unique_ptr<Recorded>> children;
  children.reserve(300);
  for (int i = 0; i < 300; ++i) children.push_back(Start("sleep 1000; sleep 1000"));
  for (auto& child : children) child->child->Stop(20'000);
  for (auto& child : children) ASSERT_TRUE(Finish(*child));
}

std::string Numbered(int lines) {
  std::string text;
  for (int i = 1; i <= lines; ++i) text += std::to_string(i) + "\n";
  return text;
}

bool Ended(pid_t pid) {
  auto stat = StatProcess(pid);
  return !stat || stat->zombie;
}

TEST_P(ChildTest, HandedOverAgainAndAgainItLosesAndDoublesNoOutput) {
  auto child = Start("seq 1 200000; seq 1 1000 >&2; exit 7");
  int handovers = 0;
  while (!child->done) {
    ASSERT_NO_FATAL_FAILURE(HandOver(*child));
    ++handovers;
    loop_.RunOnce(true);
  }
  EXPECT_GT(handovers, 10);
  EXPECT_TRUE(child->out == Numbered(200'000));
  EXPECT_TRUE(child->err == Numbered(1'000));
  EXPECT_EQ(child->done->code, 7);
  EXPECT_TRUE(child->done->tree_empty);
}

TEST_P(ChildTest, WhatItSaysAndThatItExitsDuringAHandoverIsTold) {
  SpawnSpec spec = Shell("read line; echo \"$line\"; exit 3");
  spec.stdin_pipe = true;
  auto child = Start(std::move(spec));
  ASSERT_TRUE(child->child->WriteStdin("last words\n").ok());
  pid_t pid = child->child->pid();
  HandOver(*child, [pid] {
    while (!Ended(pid)) usleep(1'000);
  });
  ASSERT_TRUE(Finish(*child));
  EXPECT_EQ(child->out, "last words\n");
  EXPECT_EQ(child->done->code, 3);
}

TEST_P(ChildTest, AHandoverAfterTheExitAndBeforeTheEndIsSeenThrough) {
  auto child =
      Start("trap '' TERM; (trap '' TERM; echo ready; sleep 1000 & wait; sleep 1000) & read x; exit 3");
  ASSERT_TRUE(RunUntil(loop_, [&child] { return child->child->exited(); }));
  while (!child->done) {
    ASSERT_NO_FATAL_FAILURE(HandOver(*child));
    loop_.RunOnce(true);
    if (child->Said("ready")) child->child->Stop(10);  // not the whole grace of two seconds
  }
  EXPECT_EQ(child->done->code, 3);
  EXPECT_TRUE(child->done->tree_empty);
}

TEST_P(ChildTest, InputThatWaitsIsHandedOver) {
  SpawnSpec spec = Shell("while ! test -e \"$0\"; do sleep 0.01; done; exec cat");
  TempDir folder;
  spec.argv.push_back(folder.path() + "/go");
  spec.stdin_pipe = true;
  auto child = Start(std::move(spec));
  std::string sent;
  for (int i = 0; sent.size() < (size_t{1} << 20); ++i) {
    std::string line = std::string("\0\xff", 2) + std::to_string(i) + "\n";
    ASSERT_TRUE(child->child->WriteStdin(line).ok());
    sent += line;
    if (i % 10'000 == 0) HandOver(*child);
  }
  child->child->CloseStdin();
  HandOver(*child);
  EXPECT_EQ(child->child->WriteStdin("more").error().code, "not_running");
  WriteFile(folder.path() + "/go", "");
  while (!child->done) {
    ASSERT_NO_FATAL_FAILURE(HandOver(*child));
    loop_.RunOnce(true);
  }
  EXPECT_TRUE(child->out == sent);
}

TEST_P(ChildTest, AStoppingChildKeepsItsGraceAcrossAHandover) {
  auto child = Start("trap 'echo told' TERM; echo ready; while :; do sleep 0.01; done");
  ASSERT_TRUE(Says(*child, "ready"));
  child->child->Stop(1'000'000);
  ASSERT_TRUE(Says(*child, "told"));
  HandOver(*child);
  for (int turn = 0; turn < 5; ++turn) loop_.RunOnce(false);
  EXPECT_FALSE(Ended(child->child->pid()));
  child->child->Stop(100);
  HandOver(*child);
  ASSERT_TRUE(Finish(*child));
  EXPECT_EQ(child->done->signal, SIGKILL);
  EXPECT_EQ(child->out, "ready\ntold\n") << "told twice";
}

TEST_P(ChildTest, APausedReaderStaysPausedAcrossAHandover) {
  auto child = Start("echo last words; exit 2");
  child->child->PauseReading(true);
  ProcessId id{child->child->pid(), child->child->start_time()};
  HandOver(*child);
  ASSERT_TRUE(RunUntil(loop_, [&id] { return StartTime(id.pid) == 0; })) << "not reaped";
  HandOver(*child);
  EXPECT_EQ(child->child->start_time(), id.start_time);
  for (int turn = 0; turn < 5; ++turn) loop_.RunOnce(false);
  EXPECT_TRUE(child->out.empty());
  EXPECT_FALSE(child->done);
  child->child->PauseReading(false);
  ASSERT_TRUE(Finish(*child));
  EXPECT_EQ(child->out, "last words\n");
  EXPECT_EQ(child->done->code, 2);
}

// Two children are needed: only the difference between them shows that the tree was handed over with its
// marker.
TEST_P(ChildTest, ItsTreeIsKnownAfterAHandover) {
  auto one = Start(std::string(kDaemonise) + "; sleep 1000; sleep 1000");
  auto other = Start(std::string(kDaemonise) + "; sleep 1000; sleep 1000");
  ASSERT_TRUE(Says(*one, "\n"));
  ASSERT_TRUE(Says(*other, "\n"));
  HandOver(*one);
  HandOver(*other);
  one->child->Stop(20'000);
  ASSERT_TRUE(Finish(*one));
  EXPECT_FALSE(Lives(ProcessesIn(one->out).at(0)));
  EXPECT_TRUE(Lives(ProcessesIn(other->out).at(0)));
}

TEST_P(ChildTest, ASaveThatIsNotUsedChangesNothing) {
  auto child = Start("seq 1 100000; exit 4");
  while (!child->done) {
    (void)child->child->Save();
    loop_.RunOnce(true);
  }
  EXPECT_TRUE(child->out == Numbered(100'000));
  EXPECT_EQ(child->done->code, 4);
}

TEST_P(ChildTest, OnlyAChildOfOursIsAdopted) {
  ChildState stranger;
  stranger.pid = 1;
  auto child = Child::Adopt(context_, stranger, {});
  ASSERT_FALSE(child.ok());
  EXPECT_EQ(child.error().code, "handover_state");
  stranger.pid = 0;
  EXPECT_FALSE(Child::Adopt(context_, stranger, {}).ok());
}

TEST_P(ChildTest, AChildWhoseDescriptorsAreGoneIsEnded) {
  auto child = Start("sleep 1000");
  ChildState saved = child->child->Save();
  ProcessId id{saved.pid, StartTime(saved.pid)};
  child->child->Abandon();
  reaper_.Drop(saved.outputs[1].pipe);
  auto adopted = Child::Adopt(context_, saved, {});
  ASSERT_FALSE(adopted.ok());
  EXPECT_EQ(adopted.error().code, "handover_state");
  EXPECT_FALSE(Lives(id));
}

}  // namespace
}  // namespace reeve
