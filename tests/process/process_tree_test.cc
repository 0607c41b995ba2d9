#include "process/process_tree.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <thread>

#include "process/reaper.h"
#include "tests/process/processes.h"
#include "tests/support/loop_fixture.h"

namespace reeve {
namespace {

// A process that is killed and waited for at the end of the test.
class Started {
 public:
  explicit Started(const SpawnSpec& spec) : spawned_(Spawn(spec)) {
    EXPECT_TRUE(spawned_.ok()) << spawned_.error().message;
  }
  ~Started() { End(); }
  Started(const Started&) = delete;
  Started& operator=(const Started&) = delete;
  [[nodiscard]] pid_t pid() const { return spawned_->pid; }
  [[nodiscard]] ProcessId id() const { return {pid(), StartTime(pid())}; }
  [[nodiscard]] int output() const { return spawned_->stdout_fd.get(); }
  void End() {
    if (ended_) return;
    ended_ = true;
    kill(-pid(), SIGKILL);
    Wait(pid());
  }

 private:
  Result<Spawned> spawned_;
  bool ended_ = false;
};

std::string ReadLine(int fd) {
  std::string line;
  char c = 0;
  for (;;) {
    pollfd waiting{fd, POLLIN, 0};
    if (poll(&waiting, 1, 20'000) <= 0 || read(fd, &c, 1) != 1 || c == '\n') return line;
    line += c;
  }
}

TEST(Proc, ReadsTheNameOfAnyProcess) {
  TempDir folder;
  std::string program = folder.path() + "/a) S (b 1";
  std::filesystem::copy_file("/bin/sleep", program);
  SpawnSpec spec;
  spec.argv = {program, "1000"};
  Started process(spec);
  auto stat = StatProcess(process.pid());
  ASSERT_TRUE(stat);
  EXPECT_EQ(stat->name, "a) S (b 1");
  EXPECT_EQ(stat->ppid, getpid());
  EXPECT_EQ(stat->group, process.pid());
  EXPECT_FALSE(stat->zombie);
  EXPECT_GT(stat->id.start_time, 0U);
}

TEST(Proc, KnowsZombiesAndTheDead) {
  Loop loop;
  auto child = Spawn(Shell("true"));
  ASSERT_TRUE(child.ok());
  EXPECT_TRUE(RunUntil(loop, [&child] { return StatProcess(child->pid)->zombie; }));
  EXPECT_TRUE(Descendants(child->pid).empty());
  Wait(child->pid);
  EXPECT_FALSE(StatProcess(child->pid));
  EXPECT_EQ(StartTime(child->pid), 0U);
}

TEST(Proc, FindsDescendantsAcrossSessions) {
  Started shell(Shell("sh -c 'setsid sleep 1000 & echo $!; wait' & wait"));
  pid_t tool = std::stoi(ReadLine(shell.output()));
  ProcessId id{tool, StartTime(tool)};
  auto found = Descendants(shell.pid());
  ASSERT_EQ(found.size(), 3U);
  EXPECT_EQ(found[0], shell.id());
  EXPECT_NE(std::find(found.begin(), found.end(), id), found.end());
  SignalProcess(id, SIGKILL);
}

TEST(Proc, FindsWhatAThreadStarted) {
  pid_t pid = fork();
  if (pid == 0) {
    std::thread([] {
      char* argv[] = {const_cast<char*>("sleep"), const_cast<char*>("1000"), nullptr};
      pid_t child = 0;
      posix_spawn(&child, "/bin/sleep", nullptr, nullptr, argv, environ);
      for (;;) pause();
    }).join();
  }
  Loop loop;
  EXPECT_TRUE(RunUntil(loop, [pid] { return Descendants(pid).size() == 2; }));
  for (const ProcessId& process : Descendants(pid)) SignalProcess(process, SIGKILL);
  EXPECT_EQ(Wait(pid), -SIGKILL);
}

TEST(Proc, NeverSignalsAPidThatWasUsedAgain) {
  Started process(Shell("exec sleep 1000"));
  ProcessId earlier = process.id();
  earlier.start_time -= 1;
  EXPECT_FALSE(SignalProcess(earlier, SIGKILL));
  EXPECT_TRUE(Lives(process.id()));
  EXPECT_TRUE(SignalProcess(process.id(), 0));
  ProcessId gone = process.id();
  process.End();
  EXPECT_FALSE(SignalProcess(gone, SIGKILL));
}

TEST(Proc, FindsByMarkerWholeEntriesOnly) {
  std::string marker = "REEVE_TEST_TOWN=" + std::to_string(getpid());
  Started ours(Shell("exec sleep 1000", {"FIRST=1", marker}));
  Started longer(Shell("exec sleep 1000", {marker + "0"}));
  Started prefixed(Shell("exec sleep 1000", {"X" + marker}));
  EXPECT_TRUE(HasMarker(ours.pid(), marker));
  EXPECT_TRUE(HasMarker(longer.pid(), marker + "0"));
  EXPECT_FALSE(HasMarker(longer.pid(), marker));
  EXPECT_EQ(AllWithMarker(marker), std::vector<ProcessId>{ours.id()});
  EXPECT_FALSE(HasMarker(ours.pid(), ""));
}

TEST(Reaper, ReapsOrphansAndTakesNoOwnedExitStatus) {
  Loop loop;
  Reaper reaper(loop);
  auto child = Spawn(Shell("(sleep 0.01 >/dev/null 2>&1 & echo $!); exit 3"));
  ASSERT_TRUE(child.ok());
  reaper.Own(child->pid);
  pid_t orphan = std::stoi(ReadToEnd(child->stdout_fd.get()));
  EXPECT_TRUE(RunUntil(loop, [orphan] { return StartTime(orphan) == 0; })) << "a zombie is left";
  for (const ProcessStat& adopted : reaper.Adopted()) EXPECT_NE(adopted.id.pid, child->pid);
  EXPECT_EQ(Wait(child->pid), 3);
}

TEST(Reaper, ReapsWhatItsOwnerGaveUp) {
  Loop loop;
  Reaper reaper(loop);
  Started child(Shell("exec sleep 1000"));
  reaper.Own(child.pid());
  reaper.Disown(child.pid());
  kill(child.pid(), SIGKILL);
  EXPECT_TRUE(RunUntil(loop, [&child] { return StartTime(child.pid()) == 0; }));
}

TEST(Reaper, MayEndBeforeItsLoop) {
  Loop loop;
  auto reaper = std::make_unique<Reaper>(loop);
  Started child(Shell("exit 0"));
  reaper.reset();
  child.End();
  loop.RunOnce(false);
}

}  // namespace
}  // namespace reeve
