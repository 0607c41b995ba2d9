// deploy/setup.sh beside another program that installs packages, as unattended-upgrades does after a boot.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <string>

#include "tests/support/command.h"
#include "tests/support/daemon.h"
#include "tests/support/paths.h"

namespace reeve {
namespace {

using testing::HasSubstr;

class Setup : public testing::Test {
 protected:
  // A program that is found before the system's.
  void Fake(const std::string& name, const std::string& script) const {
    const std::string file = folder_.path() + "/" + name;
    WriteFile(file, "#!/bin/sh\n" + script);
    ASSERT_EQ(chmod(file.c_str(), 0755), 0);
  }
  void SetUp() override {
    Fake("dpkg-query", "exit 1\n");  // nothing is installed
    Fake("sleep", "exit 0\n");
    Fake("sudo", "exec \"$@\"\n");
  }
  // The n-th call of apt-get, from 1 on, is in $n.
  void FakeApt(const std::string& script) const {
    const std::string calls = folder_.path() + "/calls";
    Fake("apt-get", "echo \"$1\" >>" + calls + "\nn=$(wc -l <" + calls + ")\n" + script);
  }

  TempDir folder_;
};

TEST_F(Setup, WaitsForALockOfApt) {
  FakeApt(
      "[ $n -ge 4 ] || { echo 'E: Could not get lock /var/lib/apt/lists/lock. It is held by process 1'; exit "
      "100; }\n");
  Command setup({{"sh", std::string(kTests) + "/../deploy/setup.sh", "build"}, "/"},
                {"PATH=" + folder_.path() + ":/usr/bin:/bin"});
  EXPECT_EQ(setup.Wait(), 0) << setup.err();
  EXPECT_EQ(ReadFile(folder_.path() + "/calls"), "update\nupdate\nupdate\nupdate\ninstall\n");
  const std::string waits = "setup: another program is installing packages; waiting for it\n";
  EXPECT_THAT(setup.out(), HasSubstr(waits));
  EXPECT_EQ(setup.out().find(waits), setup.out().rfind(waits));
}

TEST_F(Setup, DoesNotWaitForAnotherFault) {
  FakeApt("echo 'E: Unable to fetch some archives'; exit 100\n");
  Command setup({{"sh", std::string(kTests) + "/../deploy/setup.sh", "build"}, "/"},
                {"PATH=" + folder_.path() + ":/usr/bin:/bin"});
  EXPECT_EQ(setup.Wait(), 69);
  EXPECT_EQ(ReadFile(folder_.path() + "/calls"), "update\n");
  EXPECT_THAT(setup.err(), HasSubstr("Unable to fetch some archives"));
}

}  // namespace
}  // namespace reeve
