// The event log's files as the daemon keeps them.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>

#include "tests/support/daemon.h"

namespace reeve {
namespace {

class LogFiles : public testing::TestWithParam<const char*> {};

// However logs are synced: a segment that was closed keeps no descriptor.
TEST_P(LogFiles, ClosedSegmentsKeepNoDescriptors) {
  Daemon::Options options;
  options.arguments = {"--segment-bytes", "4096", "--fsync", GetParam()};
  Daemon daemon(options);
  const size_t before = daemon.OpenDescriptors();
  // The slower the machine, the more lines go into one segment.
  const std::string folder = daemon.data_dir() + "/events/a1";
  daemon.Create(R"({"id":"a1","kind":"process","command":["/bin/sh","-c","while test $(ls )" + folder +
                R"( | wc -l) -lt 60; do seq 100; sleep 0.005; done"]})");
  EXPECT_EQ(daemon.WaitFor("a1").Field("exit.code"), "0");
  const auto files = std::filesystem::directory_iterator(folder);
  ASSERT_GE(std::distance(begin(files), end(files)), 60);
  EXPECT_TRUE(Eventually([&] { return daemon.OpenDescriptors() < before + 20; }, 10'000))
      << before << " descriptors before, now " << daemon.OpenDescriptors();
}

INSTANTIATE_TEST_SUITE_P(Fsync, LogFiles, testing::Values("always", "interval", "never"),
                         [](const auto& param) { return std::string(param.param); });

}  // namespace
}  // namespace reeve
