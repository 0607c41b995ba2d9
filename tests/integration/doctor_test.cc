// `reeve doctor` and `reeve version` (control/api/API.md): what it finds, and that it changes nothing.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <filesystem>
#include <string>
#include <vector>

#include "tests/support/canned_server.h"
#include "tests/support/command.h"
#include "tests/support/daemon.h"

namespace reeve {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using Strings = std::vector<std::string>;

class Doctor {
 public:
  explicit Doctor(Strings words, Strings environment = {}) {
    words.insert(words.begin(), {"doctor", "--json"});
    Command command(words, std::move(environment));
    code = command.Wait();
    all = command.out() + command.err();
    const std::string out = command.out();
    for (size_t at = 0; at < out.size(); at = out.find('\n', at) + 1)
      lines_.push_back(out.substr(at, out.find('\n', at) - at));
  }
  // "ok: …; mend" of the checks of that name, one after another.
  [[nodiscard]] std::string Of(const std::string& check) const {
    std::string said;
    for (const std::string& line : lines_) {
      if (JsonField(line, "check") == check)
        said += JsonField(line, "status") + ": " + JsonField(line, "found") + "; " + JsonField(line, "fix") +
                "\n";
    }
    return said;
  }

  int code = -1;
  std::string all;

 private:
  Strings lines_;
};

int Mode(const std::string& path, mode_t mode) { return chmod(path.c_str(), mode); }

TEST(Doctor, FindsAHealthyDaemonHealthy) {
  Daemon daemon;
  Doctor doctor({"--data", daemon.data_dir()}, {"LANG=C.UTF-8"});
  EXPECT_EQ(doctor.code, 0) << doctor.all;
  EXPECT_THAT(doctor.Of("config"), HasSubstr("ok: no "));
  EXPECT_THAT(doctor.Of("data folder"), HasSubstr("ok: " + daemon.data_dir()));
  EXPECT_THAT(doctor.Of("daemon"), HasSubstr("ok: reeve " REEVE_VERSION ", process " +
                                             std::to_string(daemon.pid()) + ": 0 agents, 0 viewers"));
  EXPECT_THAT(doctor.Of("token"),
              HasSubstr("ok: the daemon accepts the token of " + daemon.data_dir() + "/token"));
  EXPECT_THAT(doctor.Of("address"), HasSubstr("ok: " + daemon.address() + " is the running daemon's"));
  EXPECT_EQ(doctor.Of("terminal"), "ok: UTF-8; \n");
  EXPECT_EQ(doctor.Of("runtime file"), "");
  for (const char* check : {"disk", "git", "cgroups", "limits", "clock", "temporary files", "kind claude"})
    EXPECT_NE(doctor.Of(check), "") << check;
  EXPECT_THAT(doctor.all, Not(HasSubstr(daemon.token())));
}

TEST(Doctor, IsReadableAndQuietWhenAsked) {
  Daemon daemon;
  ASSERT_EQ(Mode(daemon.data_dir() + "/token", 0644), 0);
  Command people({"doctor", "--data", daemon.data_dir()});
  EXPECT_EQ(people.Wait(), 1);
  EXPECT_THAT(people.out(), testing::ContainsRegex("\nok    git  "));
  EXPECT_THAT(people.out(), HasSubstr("→ chmod 600 " + daemon.data_dir() + "/token\n"));
  EXPECT_EQ(people.err(), "");
  Command quiet({"doctor", "--quiet", "--data", daemon.data_dir()});
  EXPECT_EQ(quiet.Wait(), 1);
  EXPECT_EQ(quiet.out(), "");
  EXPECT_EQ(quiet.err(), "reeve: doctor: token: " + daemon.data_dir() +
                             "/token is readable by others, who can then control the daemon; chmod 600 " +
                             daemon.data_dir() + "/token\n");
}

TEST(Doctor, MakesNothing) {
  TempDir folder;
  const std::string data = folder.path() + "/deep/data";
  Doctor doctor({"--data", data});
  EXPECT_EQ(doctor.code, 0) << doctor.all;
  EXPECT_THAT(doctor.Of("data folder"), HasSubstr("ok: " + data + " does not exist yet"));
  EXPECT_THAT(doctor.Of("daemon"),
              HasSubstr("warn: no daemon uses the data folder " + data + "; `reeve serve` starts one"));
  EXPECT_THAT(doctor.Of("token"), HasSubstr("ok: no " + data + "/token yet"));
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));

  Daemon daemon;
  auto names = [&daemon] {
    std::vector<std::string> all;
    for (const auto& entry : std::filesystem::directory_iterator(daemon.data_dir()))
      all.push_back(entry.path().string());
    return all;
  };
  const auto before = names();
  EXPECT_EQ(Doctor({"--data", daemon.data_dir()}).code, 0);
  EXPECT_THAT(names(), testing::UnorderedElementsAreArray(before));
}

TEST(Doctor, SeesWhatOthersMayRead) {
  Daemon daemon;
  ASSERT_EQ(Mode(daemon.data_dir(), 0755), 0);
  ASSERT_EQ(Mode(daemon.data_dir() + "/runtime.json", 0644), 0);
  Doctor doctor({"--data", daemon.data_dir()});
  EXPECT_EQ(doctor.code, 1);
  EXPECT_THAT(doctor.Of("data folder"), HasSubstr("is open to others, and holds logs and tokens; chmod 700"));
  EXPECT_THAT(doctor.Of("runtime file"),
              HasSubstr("warn: " + daemon.data_dir() + "/runtime.json is readable"));
}

TEST(Doctor, SeesATokenThatIsNone) {
  Daemon daemon;
  const std::string path = daemon.data_dir() + "/token";
  const std::string good = ReadFile(path);
  WriteFile(path, "some-other-token-0815-0815\n");
  Doctor wrong({"--data", daemon.data_dir()});
  EXPECT_EQ(wrong.code, 1);
  EXPECT_THAT(wrong.Of("token"), HasSubstr("fail: the daemon rejects the token of " + path));
  EXPECT_THAT(wrong.all, Not(HasSubstr("some-other-token")));
  WriteFile(path, "view some-other-token-0815-0815\nadmin " + good);
  EXPECT_THAT(Doctor({"--data", daemon.data_dir()}).Of("token"), HasSubstr("ok: "));
  WriteFile(path, "too short\n");
  EXPECT_THAT(Doctor({"--data", daemon.data_dir()}).Of("token"),
              HasSubstr("fail: token file " + path + " line 1: expected a token"));
  std::filesystem::remove(path);
  EXPECT_THAT(Doctor({"--data", daemon.data_dir()}).Of("token"),
              HasSubstr("fail: read " + path + ": No such file"));
  Doctor variable({"--data", daemon.data_dir()}, {"REEVE_TOKEN=" + good.substr(0, good.size() - 1)});
  EXPECT_EQ(variable.code, 0) << variable.all;
  EXPECT_THAT(variable.Of("token"), HasSubstr("ok: the daemon accepts the token of REEVE_TOKEN"));
}

TEST(Doctor, SeesWhatAKilledDaemonLeft) {
  Daemon daemon;
  const std::string pid = std::to_string(daemon.pid());
  daemon.Kill();
  const Strings server = {"REEVE_SERVER=" + daemon.address()};  // not whoever has the default address
  Doctor doctor({"--data", daemon.data_dir()}, server);
  EXPECT_EQ(doctor.code, 1);
  EXPECT_THAT(doctor.Of("runtime file"),
              HasSubstr("warn: " + daemon.data_dir() + "/runtime.json is left over from process " + pid));
  EXPECT_THAT(doctor.Of("daemon"), AllOf(HasSubstr("fail: "), HasSubstr("check --server and REEVE_SERVER")));
  WriteFile(daemon.data_dir() + "/runtime.json", "no json");
  EXPECT_THAT(Doctor({"--data", daemon.data_dir()}, server).Of("runtime file"), HasSubstr("fail: "));
}

TEST(Doctor, SeesAnotherVersionAndWhatIsNoReeve) {
  TempDir folder;
  const std::string health =
      R"({"status":"degraded","version":"99.0","agents":3,"viewers":2,"reasons":["the disk is full"]})";
  CannedServer other(
      {{"GET /health", CannedServer::Json(health)},
       {"GET /agents?limit=1", CannedServer::Json("{}")},
       {"GET /kinds", CannedServer::Json(R"({"kinds":[{"name":"x","program":"x","path":"/x"}]})")}});
  Doctor doctor({"--server", other.address(), "--data", folder.path()},
                {"REEVE_TOKEN=a-token-that-is-one-4711"});
  EXPECT_THAT(
      doctor.Of("daemon"),
      AllOf(HasSubstr("warn: reeve 99.0 answers, but this is reeve " REEVE_VERSION "; `reeve upgrade`"),
            HasSubstr("warn: reeve 99.0 is degraded: the disk is full")));
  EXPECT_THAT(doctor.Of("kind x"), HasSubstr("warn: /x does not print its version"));
  CannedServer strange({{"GET /health", CannedServer::Json("{}")}});
  Doctor none({"--server", strange.address(), "--data", folder.path()});
  EXPECT_EQ(none.code, 1);
  EXPECT_THAT(none.Of("daemon"), HasSubstr("the program that answers is not reeve"));
}

TEST(Doctor, ReadsTheConfiguration) {
  TempDir folder;
  const std::string file = folder.path() + "/reeve.toml";
  const std::string data = "data = \"" + folder.path() + "/data\"\n";
  WriteFile(file, data);
  Doctor good({"--config", file});
  EXPECT_THAT(good.Of("config"), HasSubstr("ok: " + file + " is valid"));
  EXPECT_THAT(good.Of("data folder"), HasSubstr(folder.path() + "/data does not exist yet"));
  WriteFile(file, data + "town = 3\n");
  Doctor wrong({"--config", file, "--data", folder.path()});
  EXPECT_EQ(wrong.code, 1);
  EXPECT_THAT(wrong.Of("config"), HasSubstr("fail: " + file + ":2:"));
  WriteFile(file, data + "listen = [\"tcp://0.0.0.0:0\"]\n");
  EXPECT_THAT(Doctor({"--config", file}).Of("config"), HasSubstr("reachable from other machines"));
  WriteFile(file, data + "token_file = \"" + folder.path() + "/none\"\n");
  EXPECT_THAT(Doctor({"--config", file}).Of("config"),
              HasSubstr("fail: token file " + folder.path() + "/none: No such file"));
  EXPECT_THAT(Doctor({"--config", file}, {"REEVE_TWON=x"}).Of("config"), HasSubstr("warn: "));
}

TEST(Doctor, SeesWhoHasTheAddresses) {
  TempDir folder;
  Daemon other;
  const std::string port = other.address().substr(other.address().rfind(':') + 1);
  const std::string file = folder.path() + "/reeve.toml";
  auto listen = [&](const std::string& url) {
    WriteFile(file, "data = \"" + folder.path() + "\"\nlisten = [\"" + url + "\"]\n");
    return Doctor({"--config", file});
  };
  Doctor taken = listen("tcp://127.0.0.1:" + port);
  EXPECT_EQ(taken.code, 1);
  EXPECT_THAT(taken.Of("address"),
              HasSubstr("fail: tcp://127.0.0.1:" + port + " is in use by another program"));
  EXPECT_THAT(listen("tcp://127.0.0.1:0").Of("address"), HasSubstr("ok: tcp://127.0.0.1:0 is free"));
  EXPECT_THAT(listen("tcp://192.0.2.1:80").Of("address"), HasSubstr("fail: "));
  EXPECT_THAT(listen("fd://3").Of("address"), HasSubstr("ok: fd://3 is passed in"));
  const std::string socket = folder.path() + "/reeve.sock";
  EXPECT_THAT(listen("unix://" + socket).Of("address"), HasSubstr("ok: "));
  {
    Daemon::Options options;
    options.listen = "unix://" + socket;
    Daemon has_it(options);
    EXPECT_THAT(listen("unix://" + socket).Of("address"),
                HasSubstr("fail: unix://" + socket + " is in use by another program"));
    has_it.Kill();
    EXPECT_THAT(listen("unix://" + socket).Of("address"), HasSubstr("ok: "));  // left over
    EXPECT_EQ(access(socket.c_str(), F_OK), 0);
  }
  EXPECT_THAT(listen("unix://" + file).Of("address"), HasSubstr("fail: "));
  EXPECT_THAT(listen("unix:///no/such/folder/reeve.sock").Of("address"), HasSubstr("No such file"));
}

TEST(Doctor, LooksForTheAgentsPrograms) {
  TempDir folder;
  const std::string claude = folder.path() + "/claude";
  WriteFile(claude, "#!/bin/sh\necho '9.8.7 (Claude Code)'\n");
  ASSERT_EQ(Mode(claude, 0755), 0);
  const std::string path = "PATH=" + folder.path() + ":/bin";
  Doctor here({"--data", folder.path() + "/none"}, {path});
  EXPECT_THAT(here.Of("kind claude"), HasSubstr("ok: " + claude + ", 9.8.7"));
  EXPECT_THAT(here.Of("kind codex"), HasSubstr("not installed (npm install"));
  EXPECT_EQ(here.Of("kinds"), "");
  // The daemon's PATH counts, not that of the shell.
  Daemon::Options options;
  options.environment = {"PATH=/bin"};
  Daemon daemon(options);
  Doctor asked({"--data", daemon.data_dir()}, {path});
  EXPECT_THAT(asked.Of("kind claude"), HasSubstr("not installed"));
  EXPECT_THAT(asked.Of("kinds"), HasSubstr("no coding agent is on the daemon's PATH"));
  Doctor bare({"--data", folder.path() + "/none"}, {"PATH=/no/such/folder"});
  EXPECT_THAT(bare.Of("git"), HasSubstr("warn: not installed"));
}

TEST(Doctor, LooksAtWhatTheEnvironmentWants) {
  TempDir folder;
  Doctor doctor({"--data", folder.path() + "/none"}, {"LANG=C", "TMPDIR=/no/such/folder"});
  EXPECT_EQ(doctor.code, 1);
  EXPECT_THAT(doctor.Of("terminal"), HasSubstr("warn: the character set of its locale is ANSI_X3.4-1968"));
  EXPECT_THAT(doctor.Of("temporary files"), HasSubstr("fail: write in /no/such/folder: No such file"));
  EXPECT_EQ(Doctor({"--server", "nonsense"}).code, 64);
}

TEST(Version, IsToldToScripts) {
  Command json({"version", "--json"});
  EXPECT_EQ(json.Wait(), 0);
  EXPECT_EQ(json.out(), "{\"version\":\"" REEVE_VERSION "\"}\n");
}

}  // namespace
}  // namespace reeve
