// How the command line finds the daemon and its token: control/api/API.md, "Command line".
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "orchestrator/store/data_folder.h"
#include "tests/support/command.h"
#include "tests/support/daemon.h"

namespace reeve {
namespace {

using testing::HasSubstr;
using Strings = std::vector<std::string>;

struct Outcome {
  int code;
  std::string out;
  std::string err;
};

// `reeve agents list --json`, which shows whether the daemon with agent a1 was found.
Outcome List(const Strings& environment, Strings more = {}) {
  more.insert(more.begin(), {"agents", "list", "--json"});
  Command command(more, environment);
  const int code = command.Wait();
  return {code, command.out(), command.err()};
}

void MakeAgent(const Daemon& daemon) { daemon.Create(R"({"id":"a1","kind":"process","command":["true"]})"); }

TEST(FindServer, OfSeveralAddressesTakesTheNearest) {
  const std::string unix_socket = "unix:///run/reeve.sock";
  const std::string loopback = "http://127.0.0.1:1";
  const std::string six = "http://[::1]:1";
  const std::string far = "http://192.0.2.1:1";
  EXPECT_EQ(LocalAddress({far, loopback, unix_socket}), unix_socket);
  EXPECT_EQ(LocalAddress({far, loopback}), loopback);
  EXPECT_EQ(LocalAddress({far, six}), six);
  EXPECT_EQ(LocalAddress({far, "http://0.0.0.0:2"}), "http://127.0.0.1:2");
  EXPECT_EQ(LocalAddress({"http://[::]:2"}), "http://127.0.0.1:2");
  EXPECT_EQ(LocalAddress({far}), far);
  EXPECT_EQ(LocalAddress({}), "");
  EXPECT_EQ(LocalWebAddress({unix_socket, far, loopback}), loopback);
  EXPECT_EQ(LocalWebAddress({unix_socket}), "");
}

TEST(FindServer, ByTheRuntimeFileOfTheDataFolder) {
  TempDir folder;
  Daemon::Options options;
  options.listen = "tcp://0.0.0.0:0";
  options.environment = {"REEVE_TOKEN=a-token-configured-on-purpose-4711"};
  for (const std::string& also : {std::string(), "unix://" + folder.path() + "/reeve.sock"}) {
    if (!also.empty()) options.arguments = {"--listen", also};
    Daemon daemon(options);
    HttpConnection(daemon.address())
        .Call("POST", "/agents", R"({"id":"a1","kind":"process","command":["true"]})",
              {{"Authorization", "Bearer a-token-configured-on-purpose-4711"}});
    Outcome found = List({"REEVE_DATA=" + daemon.data_dir(), options.environment.front()});
    EXPECT_EQ(found.code, 0) << found.err;
    EXPECT_EQ(JsonField(found.out, "id"), "a1");
  }
}

TEST(FindServer, FlagsBeatVariablesWhichBeatTheRuntimeFile) {
  Daemon daemon;
  MakeAgent(daemon);
  const std::string data = "REEVE_DATA=" + daemon.data_dir();
  EXPECT_EQ(List({data}).code, 0);
  EXPECT_EQ(List({data, "REEVE_SERVER=http://127.0.0.1:1"}).code, 69);
  EXPECT_EQ(List({data, "REEVE_SERVER=http://127.0.0.1:1"}, {"--server", daemon.address() + "/"}).code, 0);
  EXPECT_EQ(List({data, "REEVE_SERVER="}).code, 0);
  EXPECT_EQ(List({data, "REEVE_TOKEN=wrong-wrong-wrong-wrong"}).code, 77);
  EXPECT_EQ(List({data, "REEVE_TOKEN_FILE=/no/such/file"}).code, 77);
  const std::string file = daemon.data_dir() + "/token";
  EXPECT_EQ(List({data, "REEVE_TOKEN=wrong-wrong-wrong-wrong"}, {"--token-file", file}).code, 0);
  EXPECT_EQ(List({"REEVE_TOKEN=wrong-wrong-wrong-wrong"}, {"--data", daemon.data_dir()}).code, 77);
}

TEST(FindServer, RefusesWhatIsNoAddress) {
  for (const char* address :
       {"127.0.0.1:8080", "http://", "https:///", "unix://reeve.sock", "unix://", "/"}) {
    Outcome refused = List({"REEVE_TOKEN=x"}, {"--server", address});
    EXPECT_EQ(refused.code, 64) << address;
    EXPECT_THAT(refused.err, HasSubstr(std::string("server ") + address + " is not http://")) << address;
  }
  // The server at that address does not speak TLS.
  Daemon daemon;
  Outcome plain = List({"REEVE_TOKEN=x"}, {"--server", "https" + daemon.address().substr(4)});
  EXPECT_EQ(plain.code, 69) << plain.err;
}

TEST(FindServer, AUnixSocketWillDo) {
  TempDir folder;
  Daemon::Options options;
  options.listen = "unix://" + folder.path() + "/reeve.sock";
  Daemon daemon(options);
  MakeAgent(daemon);
  EXPECT_EQ(List({"REEVE_DATA=" + daemon.data_dir()}).code, 0);
  const std::string token = "REEVE_TOKEN=" + daemon.token();
  EXPECT_EQ(List({token, "REEVE_SERVER=" + options.listen}).code, 0);
  Outcome none = List({token}, {"--server", options.listen + "x"});
  EXPECT_EQ(none.code, 69);
  EXPECT_THAT(none.err, HasSubstr(folder.path() + "/reeve.sockx: No such file or directory"));
}

TEST(FindServer, AFileThatAKilledDaemonLeftIsNotFollowed) {
  if (HttpConnection("http://127.0.0.1:8080").Call("GET", "/health").status != 0)
    GTEST_SKIP() << "somebody listens on the default address";
  Daemon daemon;
  const std::string runtime = daemon.data_dir() + "/runtime.json";
  const std::string pid = std::to_string(daemon.pid());
  daemon.Kill();
  ASSERT_EQ(access(runtime.c_str(), F_OK), 0);
  Outcome gone = List({}, {"--data", daemon.data_dir()});
  EXPECT_EQ(gone.code, 69) << gone.out;
  EXPECT_THAT(gone.err, HasSubstr("no daemon runs here (" + daemon.data_dir() + "): "));
  EXPECT_THAT(gone.err, HasSubstr(runtime + " is left over from process " + pid + ", which is gone\""));
  WriteFile(runtime, "{");
  EXPECT_THAT(List({}, {"--data", daemon.data_dir()}).err, HasSubstr(runtime + ": "));
}

// Another process has the pid by now, and yet another one the port: neither proves that the daemon lives.
TEST(FindServer, NobodyElseGetsTheToken) {
  if (HttpConnection("http://127.0.0.1:8080").Call("GET", "/health").status != 0)
    GTEST_SKIP() << "somebody listens on the default address";
  Daemon daemon;
  const std::string runtime = daemon.data_dir() + "/runtime.json";
  daemon.Kill();
  Fd stranger(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 6);  // no client of another test comes here
  socklen_t size = sizeof address;
  ASSERT_EQ(bind(stranger.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(listen(stranger.get(), 5), 0);
  ASSERT_EQ(getsockname(stranger.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
  WriteFile(runtime, R"({"pid":)" + std::to_string(getpid()) + R"(,"listen":["http://127.0.0.7:)" +
                         std::to_string(ntohs(address.sin_port)) + R"("],"version":"x"})");
  EXPECT_EQ(List({}, {"--data", daemon.data_dir()}).code, 69);
  EXPECT_LT(accept(stranger.get(), nullptr, nullptr), 0) << "the command connected to a stranger";
  daemon.Start();  // it does not listen on that port, and nobody is sent there
  EXPECT_EQ(List({}, {"--data", daemon.data_dir()}).code, 0);
  EXPECT_LT(accept(stranger.get(), nullptr, nullptr), 0);
}

// On a fresh machine there is no token either; its absence is not the reason.
TEST(FindServer, EveryCommandSaysThatNoDaemonRuns) {
  TempDir folder;
  const std::string data = folder.path() + "/data";
  for (const Strings& words : {Strings{"list"},
                               {"run", "true"},
                               {"logs", "a1"},
                               {"attach", "a1"},
                               {"watch", "a1"},
                               {"drain"},
                               {"upgrade"},
                               {"reload"},
                               {"ticket", "--all"},
                               {"top", "--once"},
                               {"approvals", "list"},
                               {"rm", "a1"},
                               {"wake", "a1", "-m", "x"},
                               {"export", "a1"}}) {
    Command command(words, {"REEVE_DATA=" + data});
    EXPECT_EQ(command.Wait(), 69) << words.front();
    EXPECT_THAT(command.err(),
                testing::EndsWith(": no daemon runs here (" + data + "); `reeve serve` starts one\n"))
        << words.front();
  }
  Command json({"list", "--json"}, {"REEVE_DATA=" + data});
  EXPECT_EQ(json.Wait(), 69);
  EXPECT_THAT(json.err(), HasSubstr(R"("code":"no_daemon")"));
}

}  // namespace
}  // namespace reeve
