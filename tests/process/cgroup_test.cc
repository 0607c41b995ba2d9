#include "process/cgroup.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <csignal>
#include <filesystem>

#include "process/spawn.h"
#include "tests/process/processes.h"
#include "tests/support/loop_fixture.h"

namespace reeve {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

// A plain folder in the place of a cgroup2 mount.
std::string MountOf(const std::string& folder, const std::string& root = "/") {
  return "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n"
         "32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n"
         "41 31 0:38 " +
         root + " " + folder + " rw,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";
}
constexpr char kSelf[] = "9:name=systemd:/\n4:memory:/elsewhere\n0::/\n";

TEST(FakeCgroup, LiesBelowTheDaemonsOwn) {
  TempDir folder;
  std::filesystem::create_directories(folder.path() + "/system.slice/reeve.service");
  auto root = CgroupRoot::OpenAt(MountOf(folder.path()), "0::/system.slice/reeve.service\n");
  ASSERT_TRUE(root.ok()) << root.error().message;
  std::string path = (*root)->path();
  EXPECT_THAT(path, StartsWith(folder.path() + "/system.slice/reeve.service/reeve-"));
  EXPECT_TRUE(std::filesystem::is_directory(path));
  root->reset();
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(FakeCgroup, MayBeMountedFromASubtreeAtAFolderWithSpaces) {
  TempDir folder;
  std::filesystem::create_directories(folder.path() + "/a b/inner");
  auto root = CgroupRoot::OpenAt(MountOf(folder.path() + "/a\\040b", "/docker/17"), "0::/docker/17/inner\n");
  ASSERT_TRUE(root.ok()) << root.error().message;
  EXPECT_THAT((*root)->path(), StartsWith(folder.path() + "/a b/inner/reeve-"));
}

TEST(FakeCgroup, SaysWhyThereIsNone) {
  TempDir folder;
  std::string mount = MountOf(folder.path());
  auto none = CgroupRoot::OpenAt("31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n", kSelf);
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.error().code, "not_supported");
  EXPECT_EQ(none.error().message, "no cgroup v2 is mounted");
  EXPECT_THAT(CgroupRoot::OpenAt(mount, "4:memory:/x\n").error().message, HasSubstr("not in a cgroup v2"));
  EXPECT_THAT(CgroupRoot::OpenAt(mount, "0::/../other\n").error().message, HasSubstr("outside"));
  EXPECT_THAT(CgroupRoot::OpenAt(MountOf(folder.path(), "/docker/17"), "0::/user\n").error().message,
              HasSubstr("not below"));
  EXPECT_THAT(CgroupRoot::OpenAt(mount, "0::/missing\n").error().message, HasSubstr("/missing/reeve-"));
}

TEST(FakeCgroup, EachIsNew) {
  TempDir folder;
  auto root = CgroupRoot::OpenAt(MountOf(folder.path()), kSelf);
  ASSERT_TRUE(root.ok());
  std::filesystem::create_directory((*root)->path() + "/a_1-1");  // from before a handover
  auto one = (*root)->Make("a/1");
  auto two = (*root)->Make("a/1");
  ASSERT_TRUE(one.ok() && two.ok());
  EXPECT_EQ((*one)->path(), (*root)->path() + "/a_1-2");
  EXPECT_EQ((*two)->path(), (*root)->path() + "/a_1-3");
}

TEST(FakeCgroup, TellsWhatTheKernelSays) {
  TempDir folder;
  auto root = CgroupRoot::OpenAt(MountOf(folder.path()), kSelf);
  ASSERT_TRUE(root.ok());
  auto cgroup = (*root)->Make("x");
  ASSERT_TRUE(cgroup.ok());
  const std::string& path = (*cgroup)->path();
  EXPECT_FALSE((*cgroup)->OomKilled());
  WriteFile(path + "/memory.events", "low 0\nhigh 0\nmax 4\noom 1\noom_kill 0\n");
  EXPECT_FALSE((*cgroup)->OomKilled());
  WriteFile(path + "/memory.events", "low 0\nhigh 0\nmax 4\noom 1\noom_kill 2\n");
  EXPECT_TRUE((*cgroup)->OomKilled());
  WriteFile(path + "/cgroup.events", "populated 1\nfrozen 0\n");
  EXPECT_TRUE((*cgroup)->Populated());
  WriteFile(path + "/cgroup.events", "populated 0\nfrozen 0\n");
  EXPECT_FALSE((*cgroup)->Populated());
  std::filesystem::create_directory(path + "/inner");
  WriteFile(path + "/cgroup.procs", "1000000012\n0\n");
  WriteFile(path + "/inner/cgroup.procs", "1000000013\n");
  auto pids = (*cgroup)->Pids();
  std::sort(pids.begin(), pids.end());
  EXPECT_EQ(pids, (std::vector<pid_t>{1000000012, 1000000013}));
  std::filesystem::remove_all(path);  // a plain folder, other than the kernel's, goes only when it is empty
}

// Before Linux 5.14.
TEST(FakeCgroup, WithoutCgroupKillEachProcessIsKilled) {
  TempDir folder;
  auto root = CgroupRoot::OpenAt(MountOf(folder.path()), kSelf);
  ASSERT_TRUE(root.ok());
  auto cgroup = (*root)->Make("x");
  ASSERT_TRUE(cgroup.ok());
  auto child = Spawn(Shell("exec sleep 1000"));
  ASSERT_TRUE(child.ok());
  WriteFile((*cgroup)->path() + "/cgroup.procs", std::to_string(child->pid) + "\n");
  (*cgroup)->Kill();
  EXPECT_EQ(Wait(child->pid), -SIGKILL);
  std::filesystem::remove((*cgroup)->path() + "/cgroup.procs");
}

class RealCgroup : public ::testing::Test {
 protected:
  void SetUp() override {
    auto root = CgroupRoot::Open();
    if (!root) GTEST_SKIP() << root.error().message;
    root_ = std::move(*root);
  }
  std::unique_ptr<CgroupRoot> root_;
};

TEST_F(RealCgroup, HoldsWhatIsBornInItAndKillsIt) {
  auto cgroup = root_->Make("agent-7");
  ASSERT_TRUE(cgroup.ok()) << cgroup.error().message;
  EXPECT_FALSE((*cgroup)->Populated());
  SpawnSpec spec = Shell("setsid sleep 1000 & echo $!; wait");
  spec.cgroup = (*cgroup)->path();
  auto child = Spawn(spec);
  ASSERT_TRUE(child.ok()) << child.error().message;
  char line[32];
  pollfd waiting{child->stdout_fd.get(), POLLIN, 0};
  ASSERT_EQ(poll(&waiting, 1, 20'000), 1);
  ssize_t got = read(child->stdout_fd.get(), line, sizeof line);
  ASSERT_GT(got, 0);
  auto tool = ProcessesIn(std::string(line, static_cast<size_t>(got))).at(0);

  EXPECT_TRUE((*cgroup)->Populated());
  auto pids = (*cgroup)->Pids();
  EXPECT_EQ(pids.size(), 2U);
  EXPECT_NE(std::find(pids.begin(), pids.end(), tool.pid), pids.end());
  (*cgroup)->Kill();
  EXPECT_EQ(Wait(child->pid), -SIGKILL);
  Loop loop;
  EXPECT_TRUE(RunUntil(loop, [&cgroup] { return !(*cgroup)->Populated(); }));
  EXPECT_FALSE(Lives(tool));
  std::string path = (*cgroup)->path();
  cgroup->reset();
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(RealCgroup, ItsEndKillsWhatIsLeftAlsoBelowIt) {
  auto cgroup = root_->Make("x");
  ASSERT_TRUE(cgroup.ok());
  std::string inner = (*cgroup)->path() + "/inner";
  ASSERT_EQ(mkdir(inner.c_str(), 0755), 0);
  SpawnSpec spec = Shell("exec sleep 1000");
  spec.cgroup = inner;
  auto child = Spawn(spec);
  ASSERT_TRUE(child.ok()) << child.error().message;
  EXPECT_EQ((*cgroup)->Pids(), std::vector<pid_t>{child->pid});
  std::string path = (*cgroup)->path();
  cgroup->reset();
  EXPECT_FALSE(std::filesystem::exists(path));
  EXPECT_EQ(Wait(child->pid), -SIGKILL);
}

TEST_F(RealCgroup, OneThatCannotBeEnteredIsNamed) {
  SpawnSpec spec = Shell("true");
  spec.cgroup = "/no/such/cgroup";
  EXPECT_EQ(Spawn(spec).error().message, "cgroup /no/such/cgroup: no such file or directory");
  spec.cgroup = "/tmp";
  EXPECT_THAT(Spawn(spec).error().message, HasSubstr("cgroup /tmp"));
}

TEST_F(RealCgroup, TheSweepEndsWhatADeadDaemonLeftAndNothingElse) {
  std::string ours = std::filesystem::path(root_->path()).filename();
  std::string space = ours.substr(0, ours.find('-', std::string("reeve-").size()));  // "reeve-<namespace>"
  std::string beside = std::filesystem::path(root_->path()).parent_path();
  std::string dead = beside + "/" + space + "-" + std::to_string(getpid()) + "-1";  // our pid, another start
  std::string foreign = beside + "/reeve-1-" + std::to_string(getpid()) + "-1";     // another PID namespace
  ASSERT_EQ(mkdir(dead.c_str(), 0755), 0);
  ASSERT_EQ(mkdir((dead + "/agent-1").c_str(), 0755), 0);
  ASSERT_EQ(mkdir(foreign.c_str(), 0755), 0);
  SpawnSpec spec = Shell("exec sleep 1000");
  spec.cgroup = dead + "/agent-1";
  auto child = Spawn(spec);
  ASSERT_TRUE(child.ok()) << child.error().message;

  root_->SweepDead();
  EXPECT_EQ(Wait(child->pid), -SIGKILL);
  EXPECT_FALSE(std::filesystem::exists(dead));
  EXPECT_TRUE(std::filesystem::exists(foreign));
  EXPECT_TRUE(std::filesystem::exists(root_->path()));
  EXPECT_EQ(rmdir(foreign.c_str()), 0);
}

}  // namespace
}  // namespace reeve
