// A machine that gives the daemon no more processes, or nobody to read its log.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <iostream>
#include <string>

#include "process/fd.h"
#include "tests/support/daemon.h"
#include "tests/support/paths.h"

namespace reeve {
namespace {

using testing::HasSubstr;

// A user of whom nobody else runs a process, so that the limit counts the daemon's own.
constexpr uid_t kLonelyUser = 54'321;
constexpr const char* kMostProcesses = "30";  // threads count too

TEST(Pressure, AtTheLimitOfProcessesTheDaemonServesAndSaysWhyAStartFailed) {
  const char* setpriv = "/usr/bin/setpriv";
  const char* prlimit = "/usr/bin/prlimit";
  if (geteuid() != 0 || access(setpriv, X_OK) != 0 || access(prlimit, X_OK) != 0) {
    std::cerr << "SKIPPED: the limit of processes was not tried: it needs root, setpriv and prlimit\n";
    GTEST_SKIP();
  }
  const TempDir dir;
  ASSERT_EQ(chmod(dir.path().c_str(), 0755), 0);
  const std::string data = dir.path() + "/data";
  ASSERT_EQ(mkdir(data.c_str(), 0700), 0);
  ASSERT_EQ(chown(data.c_str(), kLonelyUser, kLonelyUser), 0);
  Daemon::Options options;
  options.data_dir = data;
  const std::string user = std::to_string(kLonelyUser);
  options.wrapper = {prlimit,           std::string("--nproc=") + kMostProcesses,
                     setpriv,           "--reuid=" + user,
                     "--regid=" + user, "--clear-groups"};
  options.may_fail = true;  // this user may not be able to reach the binary
  Daemon daemon(options);
  if (!daemon.listening()) {
    std::cerr << "SKIPPED: the limit of processes was not tried: " << daemon.log();
    GTEST_SKIP();
  }
  auto failed = [&daemon] { return daemon.Get("/agents?state=failed"); };
  for (int i = 0; i < 40; ++i) {
    daemon.Create(R"({"id":"a)" + std::to_string(i) +
                  R"(","kind":"process","command":["sleep","600"],"cwd":"/"})");
  }
  ASSERT_TRUE(Eventually([&] { return failed().Field("agents") != "[]"; })) << daemon.Get("/agents").body;
  EXPECT_THAT(failed().body, HasSubstr("resource temporarily unavailable"));
  EXPECT_EQ(daemon.Get("/health").status, 200);
  for (int i = 0; i < 40; ++i)
    EXPECT_LT(daemon.Call("DELETE", "/agents/a" + std::to_string(i) + "?purge=true").status, 300);
  ASSERT_TRUE(Eventually([&] { return daemon.Get("/agents").Field("agents") == "[]"; }));
  daemon.Create(R"({"id":"b","kind":"process","command":["true"],"cwd":"/"})");
  EXPECT_EQ(daemon.WaitFor("b").Field("exit.code"), "0");
}

TEST(Pressure, ALogThatNobodyReadsHoldsNothingUpAndTellsWhatItLost) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const Fd reader(ends[0]);
  Fd writer(ends[1]);
  ASSERT_EQ(fcntl(writer.get(), F_SETFL, O_NONBLOCK), 0);
  const std::string block(4096, '#');
  while (write(writer.get(), block.data(), block.size()) > 0) continue;
  ASSERT_EQ(fcntl(writer.get(), F_SETFL, 0), 0);  // as a shell passes it on: writes wait
  Daemon::Options options;
  options.stderr_fd = writer.get();
  options.arguments = {"--log-level", "info"};
  Daemon daemon(options);
  writer.Close();
  HttpConnection connection(daemon.address());
  const Headers token = {{"Authorization", "Bearer " + daemon.token()}};
  for (int i = 0; i < 600; ++i) {
    const HttpAnswer answer = connection.Call("POST", "/reload", "", token);  // each logs a line
    ASSERT_EQ(answer.status, 200) << answer.wire;
  }
  ASSERT_EQ(fcntl(reader.get(), F_SETFL, O_NONBLOCK), 0);
  std::string log;
  auto read_all = [&] {
    char bytes[65'536];
    for (ssize_t got = 0; (got = read(reader.get(), bytes, sizeof bytes)) > 0;)
      log.append(bytes, static_cast<size_t>(got));
  };
  read_all();
  EXPECT_TRUE(Eventually([&] {
    EXPECT_EQ(connection.Call("POST", "/reload", "", token).status, 200);
    read_all();
    // A part of one line may have found room.
    return log.find("the log lost 599 lines") != std::string::npos ||
           log.find("the log lost 60") != std::string::npos;
  })) << log.substr(log.find_first_not_of('#'));
}

}  // namespace
}  // namespace reeve
