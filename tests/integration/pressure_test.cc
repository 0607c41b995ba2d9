// A machine that gives the daemon no more processes, or nobody to read its log.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <iterator>
#include <string>

#include "process/fd.h"
#include "tests/support/daemon.h"
#include "tests/support/paths.h"

namespace reeve {
namespace {

using testing::HasSubstr;

// A user of whom nobody else runs a process, so that the limit counts the daemon's own.
constexpr uid_t kLonelyUser = 54'321;
constexpr size_t kMostProcesses = 30;  // threads count too

// The processes and threads of a user.
size_t TasksOf(uid_t user) {
  size_t tasks = 0;
  std::error_code error;
  for (const auto& process : std::filesystem::directory_iterator("/proc")) {
    struct stat about {};
    if (stat(process.path().c_str(), &about) != 0 || about.st_uid != user) continue;
    std::filesystem::directory_iterator task(process.path() / "task", error);
    if (!error) tasks += static_cast<size_t>(std::distance(begin(task), end(task)));
  }
  return tasks;
}

TEST(Pressure, AtTheLimitOfProcessesTheDaemonServesAndSaysWhyAStartFailed) {
  const TempDir dir;
  ASSERT_EQ(chmod(dir.path().c_str(), 0755), 0);
  const std::string data = dir.path() + "/data";
  ASSERT_EQ(mkdir(data.c_str(), 0700), 0);
  const std::string copy = dir.path() + "/reeve";  // the user may not be able to reach the binary itself
  ASSERT_TRUE(std::filesystem::copy_file(kReeveBinary, copy));
  Daemon::Options options;
  options.data_dir = data;
  std::string become = "ulimit -u " + std::to_string(TasksOf(geteuid()) + kMostProcesses) + " && exec ";
  if (geteuid() == 0) {  // whom the limit does not bind
    ASSERT_EQ(chown(data.c_str(), kLonelyUser, kLonelyUser), 0);
    const std::string user = std::to_string(kLonelyUser);
    become = "exec prlimit --nproc=" + std::to_string(kMostProcesses) + " setpriv --reuid=" + user +
             " --regid=" + user + " --clear-groups ";  // of util-linux, which each Debian has
  }
  options.wrapper = {"/bin/bash", "-c", become + copy + " \"$@\""};
  Daemon daemon(options);
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
