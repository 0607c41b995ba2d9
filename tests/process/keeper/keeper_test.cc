#include "process/keeper/keeper.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/un.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "process/proc.h"
#include "tests/process/keeper/running_keeper.h"
#include "tests/process/processes.h"
#include "tests/support/daemon.h"
#include "tests/support/paths.h"
#include "tests/support/sanitized.h"

namespace reeve {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kOrphan[] = "(setsid sh -c 'echo $$; exec sleep 1000' &)";
constexpr char kStubbornOrphan[] = "(setsid sh -c 'trap \"\" TERM; echo $$; while :; do sleep 1000; done' &)";

std::string Number(pid_t pid) { return std::to_string(pid); }

int64_t NowMs() { return SystemClock().MonotonicMs(); }

// How a child has ended, once it has ended.
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

ProcessId Identify(pid_t pid) { return {pid, StartTime(pid)}; }

bool GoesAway(const ProcessId& process) {
  return Eventually([&process] { return !Lives(process); });
}

// The sum of the fields of /proc/PID/NAME that begin with `start`.
int64_t Field(pid_t pid, const std::string& name, const std::string& start) {
  std::istringstream lines(ReadSmallFile("/proc/" + Number(pid) + "/" + name));
  int64_t sum = 0;
  for (std::string line; std::getline(lines, line);) {
    if (line.rfind(start, 0) == 0) sum += std::atoll(line.c_str() + line.find(':') + 1);
  }
  return sum;
}

size_t DescriptorsOf(pid_t pid) {
  const std::filesystem::directory_iterator all("/proc/" + Number(pid) + "/fd");
  return static_cast<size_t>(std::distance(begin(all), end(all)));
}

// A script in a file that can be executed.
std::string MakeScript(const TempDir& folder, const std::string& text) {
  const std::string path = folder.path() + "/script";
  WriteFile(path, "#!/bin/sh\n" + text + "\n");
  EXPECT_EQ(chmod(path.c_str(), 0755), 0);
  return path;
}

// Kills the daemon, and returns the pid of the next one.
pid_t KillAndRestart(RunningKeeper& keeper, pid_t daemon, std::string* begun = nullptr) {
  kill(daemon, SIGKILL);
  const pid_t next = keeper.Begun(begun);
  EXPECT_NE(next, daemon);
  return next;
}

// ---------------------------------------------------------------------------------------------- children

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

TEST(Keeper, ChildrenLiveOnWhenTheDaemonDies) {
  RunningKeeper keeper;
  const pid_t daemon = keeper.BegunAndReady();
  const ProcessId child = Identify(keeper.Spawn("exec sleep 1000"));
  std::string begun;
  KillAndRestart(keeper, daemon, &begun);
  EXPECT_THAT(begun, HasSubstr(" restarts=1 last=-1/9 children=" + Number(child.pid) + ","));
  EXPECT_TRUE(Lives(child));
  EXPECT_EQ(keeper.Ask("exitof " + Number(child.pid)), "runs");
  kill(child.pid, SIGTERM);
  EXPECT_EQ(EndOf(keeper, child.pid), "exit -1/15");
}

// A child that ends while no daemon is there stays a zombie, whose status the next daemon learns.
TEST(Keeper, ExitsWaitForTheNextDaemon) {
  RunningKeeper keeper;
  const pid_t daemon = keeper.BegunAndReady();
  const pid_t child = keeper.Spawn("exec sleep 1000");
  kill(daemon, SIGSTOP);
  kill(child, SIGKILL);
  ASSERT_TRUE(Eventually([child] { return IsZombie(child); }));
  const pid_t next = KillAndRestart(keeper, daemon);
  EXPECT_EQ(keeper.Ask("ready"), "ok");
  // Orphans are reaped meanwhile, and this one is not.
  const pid_t orphan = keeper.Run("(setsid sh -c 'echo $$' &)");
  EXPECT_TRUE(Eventually([orphan] { return !StatProcess(orphan); }));
  EXPECT_TRUE(IsZombie(child));
  EXPECT_EQ(keeper.Ask("exitof " + Number(child)), "exit -1/9");
  EXPECT_EQ(keeper.Ask("reap " + Number(child)), "ok");
  std::string begun;
  KillAndRestart(keeper, next, &begun);
  EXPECT_THAT(begun, Not(HasSubstr(Number(child) + ","))) << "it is forgotten";
}

TEST(Keeper, ReapsOrphans) {
  RunningKeeper keeper;
  keeper.BegunAndReady();
  const ProcessId orphan = Identify(keeper.Run(kOrphan));
  ASSERT_TRUE(Eventually([&] { return StatProcess(orphan.pid)->ppid == keeper.pid(); }));
  SignalProcess(orphan, SIGKILL);
  EXPECT_TRUE(Eventually([&] { return !StatProcess(orphan.pid); }));

  const ProcessId another = Identify(keeper.Run(kOrphan));
  ASSERT_TRUE(Eventually([&] { return StatProcess(another.pid)->ppid == keeper.pid(); }));
  SignalProcess(another, SIGKILL);
  ASSERT_TRUE(Eventually([&] { return !Lives(another); }));
  EXPECT_EQ(keeper.Ask("look"), "complete");
  EXPECT_FALSE(StatProcess(another.pid)) << "it was reaped by the look at the latest";
}

TEST(Keeper, ChildrenAndDaemonStartWithFreshSignals) {
  const std::string show = "grep -E '^Sig(Blk|Ign)' /proc/self/status";
  RunningKeeper::Options options;
  options.program = {"/bin/sh", "-c", show};
  RunningKeeper daemon(options);
  EXPECT_EQ(daemon.Line(), "SigBlk:\t0000000000000000");
  EXPECT_EQ(daemon.Line(), "SigIgn:\t0000000000000000");
  EXPECT_EQ(daemon.Wait(), 0);

  RunningKeeper keeper;
  keeper.BegunAndReady();
  keeper.Say("run " + show);
  std::vector<std::string> lines = {keeper.Line(), keeper.Line(), keeper.Line()};
  EXPECT_THAT(lines, ::testing::IsSupersetOf({"SigBlk:\t0000000000000000", "SigIgn:\t0000000000000000"}));
}

// -------------------------------------------------------------------------------------------- descriptors

TEST(Keeper, DescriptorsSurviveTheDaemon) {
  RunningKeeper keeper;
  pid_t daemon = keeper.BegunAndReady();
  EXPECT_EQ(keeper.Ask("take 104"), "nothing");
  EXPECT_EQ(keeper.Ask("keep first"), "kept 104");
  EXPECT_EQ(keeper.Ask("keep second"), "kept 112");
  EXPECT_EQ(keeper.Ask("keepas 7"), "ok");
  EXPECT_EQ(keeper.Ask("drop 104"), "ok");
  daemon = KillAndRestart(keeper, daemon);
  EXPECT_EQ(keeper.Ask("take 104"), "nothing");
  EXPECT_EQ(keeper.Ask("take 112"), "took second");
  EXPECT_EQ(keeper.Ask("take 112"), "nothing") << "it was taken";
  EXPECT_EQ(keeper.Ask("keep third"), "kept 120") << "keys are never used again";
  daemon = KillAndRestart(keeper, daemon);
  EXPECT_EQ(keeper.Ask("take 112"), "took second") << "the keeper goes on holding it";
  EXPECT_EQ(keeper.Ask("take 7"), "took 7");
  EXPECT_EQ(keeper.Ask("dropuntaken"), "ok");
  KillAndRestart(keeper, daemon);
  EXPECT_EQ(keeper.Ask("take 120"), "nothing") << "it was not taken, so it was dropped";
  EXPECT_EQ(keeper.Ask("take 112"), "took second");
}

TEST(Keeper, HoldsMoreThanOneMessageCanCarry) {
  RunningKeeper keeper;
  const pid_t daemon = keeper.BegunAndReady();
  const size_t before = DescriptorsOf(keeper.pid());
  EXPECT_EQ(keeper.Ask("keepmany 1000"), "ok");
  EXPECT_EQ(keeper.Ask("keep last"), "kept 8104");
  keeper.Say("many 130");
  for (int i = 0; i < 130; ++i) EXPECT_THAT(keeper.Line(), HasSubstr("spawned "));
  EXPECT_EQ(keeper.Line(), "ok");
  std::string begun;
  KillAndRestart(keeper, daemon, &begun);
  EXPECT_EQ(std::count(begun.begin(), begun.end(), ','), 130) << begun;
  EXPECT_EQ(keeper.Ask("take 8104"), "took last");
  EXPECT_EQ(keeper.Ask("dropuntaken"), "ok");
  EXPECT_EQ(keeper.Ask("look"), "complete");
  EXPECT_EQ(DescriptorsOf(keeper.pid()), before + 1);
}

// ------------------------------------------------------------------------------------- restarts and the end

TEST(Keeper, RestartsAtOnceAndThenLaterEachTime) {
  RunningKeeper keeper;
  pid_t daemon = keeper.BegunAndReady();
  int64_t killed = NowMs();
  daemon = KillAndRestart(keeper, daemon);
  for (const int64_t delay : {100, 200, 400}) {
    killed = NowMs();
    std::string begun;
    daemon = KillAndRestart(keeper, daemon, &begun);
    EXPECT_GE(NowMs() - killed, delay);
  }
  EXPECT_THAT(keeper.log(), HasSubstr("restarts=1 delay_ms=0\n"));
  EXPECT_THAT(keeper.log(), HasSubstr(" warning keeper: the daemon has died and is started again: signal=9 "
                                      "restarts=4 delay_ms=400\n"));
}

TEST(Keeper, AStartThatFailsIsTheKeepersFailure) {
  const auto code_of = [](std::vector<std::string> program) {
    RunningKeeper::Options options;
    options.program = std::move(program);
    return RunningKeeper(options).Wait();
  };
  EXPECT_EQ(code_of({kPuppetDaemon, "--exit", "3"}), 3);
  EXPECT_EQ(code_of({kPuppetDaemon, "--exit", "0"}), 0);
  EXPECT_EQ(code_of({"/bin/sh", "-c", "kill -9 $$"}), 137);
  EXPECT_EQ(code_of({"/no/such/program"}), 127);
}

TEST(Keeper, RefusesWordsThatItDoesNotKnow) {
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{{"--what", "1"}, {"--orphan-timeout-ms", "x"}, {"--state"}}) {
    RunningKeeper::Options options;
    options.arguments = arguments;
    RunningKeeper keeper(options);
    EXPECT_EQ(keeper.Wait(), 64);
    EXPECT_THAT(keeper.log(), HasSubstr("usage: "));
  }
}

TEST(Keeper, ByeEndsEverything) {
  RunningKeeper keeper;
  keeper.BegunAndReady();
  const ProcessId child = Identify(keeper.Spawn("trap '' TERM; while :; do sleep 1000; done"));
  const ProcessId orphan = Identify(keeper.Run(kStubbornOrphan));
  keeper.Say("bye 75");
  EXPECT_EQ(keeper.Wait(), 75);
  EXPECT_FALSE(Lives(child));
  EXPECT_FALSE(Lives(orphan));
}

TEST(Keeper, PassesSignalsOnOnce) {
  RunningKeeper keeper;
  keeper.BegunAndReady();
  // A terminal sends Ctrl-C to the whole group in the foreground.
  kill(-keeper.pid(), SIGINT);
  EXPECT_EQ(keeper.Line(), "signal 2");
  keeper.Signal(SIGUSR1);  // is not passed on, because it would kill the daemon
  for (const int signum : {SIGHUP, SIGUSR2, SIGTERM, SIGTERM}) {
    keeper.Signal(signum);
    EXPECT_EQ(keeper.Line(), "signal " + std::to_string(signum));
  }
  EXPECT_EQ(keeper.Ask("take 1"), "nothing") << "no other signal came";
  keeper.Say("bye 130");
  EXPECT_EQ(keeper.Wait(), 130);
}

TEST(Keeper, ADaemonThatDiesWhileItStopsIsToldAgain) {
  RunningKeeper keeper;
  const pid_t daemon = keeper.BegunAndReady();
  keeper.Signal(SIGTERM);
  EXPECT_EQ(keeper.Line(), "signal 15");
  KillAndRestart(keeper, daemon);
  keeper.Say("ready");
  std::vector<std::string> lines = {keeper.Line(), keeper.Line()};
  EXPECT_THAT(lines, ::testing::UnorderedElementsAre("ok", "signal 15"));
}

TEST(Keeper, ASignalWithoutADaemonEndsEverything) {
  RunningKeeper keeper;
  pid_t daemon = keeper.BegunAndReady();
  const ProcessId child = Identify(keeper.Spawn("exec sleep 1000"));
  for (int death = 0; death < 5; ++death) daemon = KillAndRestart(keeper, daemon);
  kill(daemon, SIGKILL);
  ASSERT_TRUE(Eventually([&] { return keeper.log().find("restarts=6 delay_ms=1600") != std::string::npos; }));
  keeper.Signal(SIGTERM);
  EXPECT_EQ(keeper.Wait(), 0);
  EXPECT_FALSE(Lives(child));
}

TEST(Keeper, ASecondSignalShortensTheGrace) {
  RunningKeeper::Options options;
  options.arguments = {"--orphan-timeout-ms", "1"};
  RunningKeeper keeper(options);
  const pid_t daemon = keeper.BegunAndReady();
  const ProcessId stubborn = Identify(keeper.Run(kStubbornOrphan));
  const int64_t killed = NowMs();
  kill(daemon, SIGKILL);
  ASSERT_TRUE(
      Eventually([&] { return keeper.log().find("all processes are stopped") != std::string::npos; }));
  keeper.Signal(SIGTERM);
  EXPECT_EQ(keeper.Wait(), 1);
  EXPECT_LT(NowMs() - killed, 5'000) << "it did not wait for the grace";
  EXPECT_FALSE(Lives(stubborn));
}

TEST(Keeper, OrphansEndWhenNoDaemonBecomesReady) {
  RunningKeeper::Options options;
  options.arguments = {"--orphan-timeout-ms", "300"};
  RunningKeeper keeper(options);
  const pid_t daemon = keeper.BegunAndReady();
  const ProcessId child = Identify(keeper.Spawn("exec sleep 1000"));
  const ProcessId orphan = Identify(keeper.Run(kOrphan));
  const ProcessId stubborn = Identify(keeper.Run(kStubbornOrphan));
  const ProcessId next = Identify(KillAndRestart(keeper, daemon));  // it never says Ready
  EXPECT_EQ(keeper.Wait(), 1);
  for (const ProcessId& process : {child, orphan, stubborn, next}) EXPECT_FALSE(Lives(process));
}

TEST(Keeper, AReadyDaemonStopsTheOrphanTimeout) {
  RunningKeeper::Options options;
  options.arguments = {"--orphan-timeout-ms", "2000"};
  RunningKeeper keeper(options);
  const pid_t daemon = keeper.BegunAndReady();
  const ProcessId child = Identify(keeper.Spawn("exec sleep 1000"));
  KillAndRestart(keeper, daemon);
  const int64_t begin = NowMs();
  EXPECT_EQ(keeper.Ask("ready"), "ok");
  ASSERT_TRUE(Eventually([begin] { return NowMs() - begin > 2'100; }));
  EXPECT_EQ(keeper.Ask("take 1"), "nothing");
  EXPECT_TRUE(Lives(child));
}

TEST(Keeper, NothingOutlivesAKilledKeeper) {
  RunningKeeper keeper;
  keeper.BegunAndReady();
  const ProcessId child = Identify(keeper.Spawn("exec sleep 1000"));
  keeper.Say(std::string("upgrade ") + kPuppetDaemon + " " + kKeeperBinary);
  const ProcessId daemon = Identify(keeper.Begun());
  keeper.Signal(SIGKILL);
  EXPECT_EQ(keeper.Wait(), -SIGKILL);
  EXPECT_TRUE(GoesAway(daemon));
  EXPECT_TRUE(GoesAway(child));
}

TEST(Keeper, ADaemonWithoutAConnectionIsReplaced) {
  RunningKeeper keeper;
  const pid_t daemon = keeper.BegunAndReady();
  keeper.Say("close");
  EXPECT_NE(keeper.Begun(), daemon);
  EXPECT_THAT(keeper.log(), HasSubstr("the daemon has closed its connection and does not end"));
}

TEST(Keeper, ADaemonThatBreaksTheProtocolIsReplaced) {
  RunningKeeper keeper;
  keeper.BegunAndReady();
  const ProcessId child = Identify(keeper.Spawn("exec sleep 1000"));
  EXPECT_EQ(keeper.Ask("look"), "complete");  // the keeper has closed those of the request before
  const size_t before = DescriptorsOf(keeper.pid());
  for (const std::string garbage : {"x", "GET / HTTP/1.1", "what is this?"}) {
    keeper.Say("raw " + garbage);
    keeper.Begun();
  }
  EXPECT_THAT(keeper.log(),
              HasSubstr("the daemon is killed, because it broke the protocol: a message is malformed"));
  EXPECT_EQ(keeper.Ask("look"), "complete");
  EXPECT_EQ(DescriptorsOf(keeper.pid()), before);
  EXPECT_TRUE(Lives(child));
}

// ------------------------------------------------------------------------------------------------- upgrades

TEST(Keeper, AnUpgradeStartsAnotherProgramAtOnce) {
  TempDir folder;
  const std::string other = folder.path() + "/other";
  std::filesystem::create_symlink(kPuppetDaemon, other);
  RunningKeeper keeper;
  keeper.BegunAndReady();
  const ProcessId child = Identify(keeper.Spawn("exec sleep 1000"));
  keeper.Say("upgrade " + other);
  std::string begun;
  const pid_t daemon = keeper.Begun(&begun);
  EXPECT_THAT(begun, HasSubstr(" restarts=0 last=none children=" + Number(child.pid)));
  EXPECT_THAT(ReadSmallFile("/proc/" + Number(daemon) + "/cmdline"), HasSubstr(other));
  EXPECT_TRUE(Lives(child));
}

TEST(Keeper, BecomesANewKeeperManyTimes) {
  TempDir folder;
  const std::string other = folder.path() + "/keeper";
  std::filesystem::create_symlink(kKeeperBinary, other);
  RunningKeeper keeper;
  keeper.BegunAndReady();
  const ProcessId child = Identify(keeper.Spawn("exec sleep 1000"));
  const pid_t zombie = keeper.Spawn("exit 9");
  EXPECT_EQ(EndOf(keeper, zombie), "exit 9/0");
  EXPECT_EQ(keeper.Ask("keep text"), "kept 104");
  EXPECT_EQ(keeper.Ask("look"), "complete");
  const size_t before = DescriptorsOf(keeper.pid());
  for (int i = 0; i < 20; ++i) {
    const std::string& path = i % 2 == 0 ? other : std::string(kKeeperBinary);
    keeper.Say(std::string("upgrade ") + kPuppetDaemon + " " + path);
    std::string begun;
    const pid_t daemon = keeper.Begun(&begun);
    ASSERT_THAT(begun, HasSubstr(" restarts=0 last=none"));
    ASSERT_THAT(begun, HasSubstr(" keeper=" + Number(keeper.pid())));
    ASSERT_THAT(ReadSmallFile("/proc/" + Number(keeper.pid()) + "/cmdline"), HasSubstr(path));
    ASSERT_EQ(StatProcess(daemon)->ppid, keeper.pid());
    ASSERT_EQ(keeper.Ask("take 104"), "took text");
    ASSERT_EQ(keeper.Ask("exitof " + Number(zombie)), "exit 9/0");
    ASSERT_EQ(keeper.Ask("exitof " + Number(child.pid)), "runs");
    ASSERT_EQ(keeper.Ask("ready"), "ok");
    ASSERT_EQ(keeper.Ask("keep more"), "kept " + std::to_string(112 + 8 * i));
    ASSERT_EQ(keeper.Ask("drop " + std::to_string(112 + 8 * i)), "ok");
  }
  EXPECT_EQ(keeper.Ask("look"), "complete");
  EXPECT_EQ(DescriptorsOf(keeper.pid()), before);
  EXPECT_TRUE(Lives(child));
  EXPECT_EQ(keeper.log(), "");
  // Its reaping and its signals still work.
  const ProcessId orphan = Identify(keeper.Run(kOrphan));
  SignalProcess(orphan, SIGKILL);
  EXPECT_TRUE(Eventually([&] { return !StatProcess(orphan.pid); }));
  keeper.Signal(SIGTERM);
  EXPECT_EQ(keeper.Line(), "signal 15");
  keeper.Say("bye 3");
  EXPECT_EQ(keeper.Wait(), 3);
}

TEST(Keeper, GoesOnIfTheNewKeeperDoesNotFit) {
  TempDir folder;
  // Does not know the version; is another program; passes the trial and is gone then.
  const std::string script = MakeScript(
      folder, "[ \"$1\" = --trial ] && rm \"$0\" && exec " + std::string(kKeeperBinary) + " \"$@\"");
  RunningKeeper keeper;
  keeper.BegunAndReady();
  const ProcessId child = Identify(keeper.Spawn("exec sleep 1000"));
  EXPECT_EQ(keeper.Ask("keep text"), "kept 104");
  EXPECT_EQ(keeper.Ask("look"), "complete");
  const size_t before = DescriptorsOf(keeper.pid());
  for (const std::string path : {"/bin/false", "/bin/true", "/no/such/keeper", script.c_str()}) {
    keeper.Say(std::string("upgrade ") + kPuppetDaemon + " " + path);
    keeper.Begun();
    EXPECT_THAT(keeper.log(), HasSubstr(" error keeper: cannot become " + path + ": "));
    EXPECT_EQ(keeper.Ask("take 104"), "took text");
    EXPECT_EQ(keeper.Ask("exitof " + Number(child.pid)), "runs");
    EXPECT_EQ(keeper.Ask("look"), "complete");
    EXPECT_EQ(DescriptorsOf(keeper.pid()), before);
  }
  EXPECT_TRUE(Lives(child));
}

// --------------------------------------------------------------------------------------------- environments

TEST(Keeper, WorksAsTheFirstProcessOfANamespace) {
  RunningKeeper::Options options;
  options.pid_namespace = true;
  RunningKeeper keeper(options);
  if (keeper.pid() < 0) GTEST_SKIP() << "the kernel makes no namespaces for this user";
  std::string begun;
  keeper.Begun(&begun);
  EXPECT_THAT(begun, HasSubstr(" keeper=1"));
  const std::vector<pid_t> daemon = ChildrenOf(keeper.pid());  // as we see them
  ASSERT_EQ(daemon.size(), 1U);
  EXPECT_EQ(keeper.Ask("ready"), "ok");
  const pid_t child = keeper.Spawn("exit 4");
  EXPECT_EQ(EndOf(keeper, child), "exit 4/0");
  EXPECT_GT(keeper.Run("(setsid sh -c 'echo $$; exit 0' &)"), 0);
  // The daemon and the zombies of two held children are left; orphans are reaped.
  EXPECT_TRUE(Eventually([&] { return ChildrenOf(keeper.pid()).size() == 3; }));
  KillAndRestart(keeper, daemon[0], &begun);
  EXPECT_THAT(begun, HasSubstr(" last=-1/9 children=" + Number(child) + ","));
  keeper.Signal(SIGTERM);
  EXPECT_EQ(keeper.Line(), "signal 15");
  keeper.Say("bye 6");
  EXPECT_EQ(keeper.Wait(), 6);
}

TEST(Keeper, NeedsLittleMemoryAndNoOtherLibraries) {
  if (kSanitized) GTEST_SKIP() << "sanitizers need memory and libraries";
  RunningKeeper keeper;
  keeper.BegunAndReady();
  keeper.Say("many 100");
  for (int i = 0; i < 100; ++i) keeper.Line();
  EXPECT_EQ(keeper.Line(), "ok");
  EXPECT_EQ(keeper.Ask("keepmany 600"), "ok");
  EXPECT_EQ(keeper.Ask("look"), "complete");
  const std::string maps = ReadSmallFile("/proc/" + Number(keeper.pid()) + "/maps");
  if (maps.empty()) GTEST_SKIP() << "needs root: the keeper hides its memory";
  EXPECT_THAT(maps, HasSubstr("libc.so"));
  for (const char* library : {"libuv", "libcurl", "libspdlog", "libsqlite", "libcrypto"})
    EXPECT_THAT(maps, Not(HasSubstr(library)));
  const int64_t kib = Field(keeper.pid(), "smaps_rollup", "Private_");
  EXPECT_GT(kib, 0);
  EXPECT_LT(kib, 1024);
  RecordProperty("private_kib", static_cast<int>(kib));
  std::printf("private memory with 100 children: %d KiB\n", static_cast<int>(kib));
}

TEST(Keeper, SleepsWhileNothingHappens) {
  RunningKeeper keeper;
  keeper.BegunAndReady();
  const pid_t child = keeper.Spawn("exit 0");
  EXPECT_EQ(EndOf(keeper, child), "exit 0/0");
  const auto switches = [&keeper] { return Field(keeper.pid(), "status", "voluntary_ctxt_switches"); };
  // The look for orphans comes some milliseconds after the exit.
  int64_t last = switches();
  int64_t since = NowMs();
  ASSERT_TRUE(Eventually([&] {
    if (switches() != last) {
      last = switches();
      since = NowMs();
    }
    return NowMs() - since > 1'000;
  }));
  EXPECT_EQ(keeper.Ask("take 1"), "nothing") << "the daemon works meanwhile";
}

// ------------------------------------------------------------------------------------------------- systemd

// The other end of NOTIFY_SOCKET.
class Manager {
 public:
  Manager() : path_(folder_.path() + "/notify") {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path_.copy(address.sun_path, sizeof address.sun_path - 1);
    EXPECT_EQ(bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  }
  // The next message, except those of the watchdog.
  std::string Next() {
    for (;;) {
      pollfd waiting{socket_.get(), POLLIN, 0};
      if (poll(&waiting, 1, 20'000) != 1) return "<timed out>";
      char bytes[1000];
      const ssize_t got = recv(socket_.get(), bytes, sizeof bytes, 0);
      std::string message(bytes, static_cast<size_t>(std::max<ssize_t>(got, 0)));
      if (message != "WATCHDOG=1") return message;
      ++alive_;
    }
  }
  [[nodiscard]] bool empty() const {
    pollfd waiting{socket_.get(), POLLIN, 0};
    return poll(&waiting, 1, 0) == 0;
  }
  [[nodiscard]] int alive() const { return alive_; }
  [[nodiscard]] std::string variable() const { return "NOTIFY_SOCKET=" + path_; }

 private:
  TempDir folder_;
  std::string path_;
  Fd socket_{socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
  int alive_ = 0;
};

TEST(Keeper, TellsSystemd) {
  Manager manager;
  RunningKeeper::Options options;
  options.environment = {manager.variable(), "WATCHDOG_USEC=60000000", "WATCHDOG_PID=1", "OTHER=1"};
  RunningKeeper keeper(options);
  const pid_t daemon = keeper.Begun();
  EXPECT_TRUE(manager.empty());
  EXPECT_EQ(keeper.Ask("ready"), "ok");
  EXPECT_EQ(manager.Next(), "READY=1\nMAINPID=" + Number(keeper.pid()));
  keeper.Say("environment");
  bool other = false;
  for (std::string line = keeper.Line(); line != "ok"; line = keeper.Line()) {
    other |= line == "OTHER=1";
    EXPECT_THAT(line, Not(HasSubstr("NOTIFY_")));
    EXPECT_THAT(line, Not(HasSubstr("WATCHDOG_")));
  }
  EXPECT_TRUE(other);
  KillAndRestart(keeper, daemon);
  EXPECT_EQ(keeper.Ask("ready"), "ok");
  keeper.Signal(SIGHUP);
  EXPECT_EQ(keeper.Line(), "signal 1");
  EXPECT_THAT(manager.Next(), HasSubstr("RELOADING=1\nMONOTONIC_USEC="));
  EXPECT_EQ(manager.Next(), "READY=1");
  keeper.Signal(SIGTERM);
  EXPECT_EQ(keeper.Line(), "signal 15");
  EXPECT_EQ(manager.Next(), "STOPPING=1");
  keeper.Say("bye 0");
  EXPECT_EQ(keeper.Wait(), 0);
  EXPECT_TRUE(manager.empty());
  EXPECT_EQ(manager.alive(), 0) << "the watchdog is that of another process";
}

TEST(KeeperWatchdog, ReplacesADaemonThatDoesNotAnswer) {
  Manager manager;
  RunningKeeper::Options options;
  options.environment = {manager.variable(), "WATCHDOG_USEC=1000000"};
  RunningKeeper keeper(options);
  const pid_t daemon = keeper.BegunAndReady();
  EXPECT_THAT(manager.Next(), HasSubstr("READY=1"));
  // A daemon that answers lives on.
  const int64_t begin = NowMs();
  ASSERT_TRUE(Eventually([begin] { return NowMs() - begin > 1'500; }));
  EXPECT_EQ(keeper.Ask("take 1"), "nothing");
  kill(daemon, SIGSTOP);
  EXPECT_NE(keeper.Begun(), daemon);
  EXPECT_THAT(keeper.log(), HasSubstr("the daemon does not answer and is killed"));
  keeper.Signal(SIGTERM);
  EXPECT_EQ(manager.Next(), "STOPPING=1");
  EXPECT_GE(manager.alive(), 6);
}

}  // namespace
}  // namespace reeve
