#include "process/process_details.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "process/clock.h"
#include "process/spawn.h"
#include "tests/support/daemon.h"

namespace reeve {
namespace {

// Ends with the test.
class Sleeper {
 public:
  explicit Sleeper(std::vector<std::string> argv) {
    SpawnSpec spec;
    spec.argv = std::move(argv);
    auto spawned = Spawn(spec);
    EXPECT_TRUE(spawned.ok()) << spawned.error().message;
    spawned_ = std::move(*spawned);
  }
  ~Sleeper() { End(); }
  Sleeper(const Sleeper&) = delete;
  Sleeper& operator=(const Sleeper&) = delete;
  [[nodiscard]] ProcessId id() const { return {spawned_.pid, StartTime(spawned_.pid)}; }
  void End() {
    if (ended_) return;
    ended_ = true;
    kill(spawned_.pid, SIGKILL);
    waitpid(spawned_.pid, nullptr, 0);
  }

 private:
  Spawned spawned_;
  bool ended_ = false;
};

TEST(ProcessDetails, AreThoseOfPs) {
  const int64_t before_ms = SystemClock().WallMs();
  Sleeper sleeper({"/bin/sleep", "1000", "0.25"});
  const ProcessId id = sleeper.id();
  std::optional<ProcessDetails> details;
  // In the middle of its exec a process has no arguments, or no memory yet.
  ASSERT_TRUE(Eventually([&] {
    details = DescribeProcess(id);
    return details && !details->command.starts_with('[') && details->rss_bytes > 0;
  }));
  EXPECT_EQ(details->pid, id.pid);
  EXPECT_EQ(details->ppid, getpid());
  EXPECT_EQ(details->command, "/bin/sleep 1000 0.25");
  EXPECT_NEAR(static_cast<double>(details->started_ms), static_cast<double>(before_ms), 20'000);
  EXPECT_LT(details->cpu_ms, 10'000u);
  EXPECT_FALSE(DescribeProcess({id.pid, id.start_time + 1})) << "another process of that pid";
  sleeper.End();
  EXPECT_FALSE(DescribeProcess(id));
}

TEST(ProcessDetails, CountTimeAndMemory) {
  const ProcessId self{getpid(), StartTime(getpid())};
  volatile uint64_t sum = 0;
  const auto used = [&self] { return DescribeProcess(self)->cpu_ms; };
  const uint64_t before_ms = used();
  while (used() < before_ms + 50) sum = sum + 1;
  EXPECT_GE(DescribeProcess(self)->rss_bytes, 1 << 20);
}

TEST(ProcessDetails, CutALongCommand) {
  Sleeper sleeper({"/bin/sleep", std::string(100'000, '0') + "9999"});
  EXPECT_TRUE(Eventually([&sleeper] {
    return DescribeProcess(sleeper.id())->command.size() == ProcessDetails::kMaxCommandBytes;
  }));
}

TEST(Signals, HaveNamesAndNumbers) {
  EXPECT_EQ(ParseSignal("TERM"), SIGTERM);
  EXPECT_EQ(ParseSignal("SIGKILL"), SIGKILL);
  EXPECT_EQ(ParseSignal("15"), SIGTERM);
  EXPECT_EQ(ParseSignal("64"), 64);
  for (const char* none : {"", "0", "65", "-9", "9x", "term", "SIG", "SIGNONE", "99999999999"})
    EXPECT_FALSE(ParseSignal(none)) << none;
  EXPECT_EQ(NameOfSignal(SIGHUP), "HUP");
  EXPECT_EQ(NameOfSignal(64), "64");
}

}  // namespace
}  // namespace reeve
