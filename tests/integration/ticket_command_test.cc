// `reeve ticket` (control/api/API.md): a URL that opens a stream, once.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "orchestrator/json/json.h"
#include "tests/support/command.h"
#include "tests/support/daemon.h"

namespace reeve {
namespace {

using testing::HasSubstr;
using testing::StartsWith;
using Strings = std::vector<std::string>;

struct Outcome {
  int code;
  std::string out;
  std::string err;
};

Outcome Ticket(const Daemon& daemon, Strings words, Strings environment = {}) {
  words.insert(words.begin(), "ticket");
  environment.push_back("REEVE_DATA=" + daemon.data_dir());
  Command command(words, environment);
  const int code = command.Wait();
  return {code, command.out(), command.err()};
}

void MakeCat(const Daemon& daemon, const std::string& id, const std::string& more = {}) {
  daemon.Create(R"({"id":")" + id + R"(","kind":"process","command":["cat"])" + more + "}");
  daemon.WaitFor(id, "until=ready");
}

// The path and query of the URL that it printed, which must be of this server.
std::string TargetOf(const Outcome& outcome, const std::string& server) {
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.err, "");
  EXPECT_THAT(outcome.out, StartsWith(server + "/"));
  EXPECT_EQ(outcome.out.find('\n'), outcome.out.size() - 1);
  return outcome.out.substr(server.size(), outcome.out.size() - 1 - server.size());
}

TEST(TicketCommand, PrintsAUrlThatOpensOnce) {
  Daemon daemon;
  MakeCat(daemon, "a1");
  const std::string target = TargetOf(Ticket(daemon, {"a1", "--after", "0"}), daemon.address());
  EXPECT_THAT(target, StartsWith("/agents/a1/stream?ticket="));
  StreamClient stream(daemon.address(), target, {});
  EXPECT_TRUE(stream.UntilEvent("agent.ready"));  // it was before
  EXPECT_EQ(HttpConnection(daemon.address()).Call("GET", target).status, 401);

  Outcome json = Ticket(daemon, {"a1", "--json", "--mode", "operate", "--ttl", "10s"});
  EXPECT_EQ(json.code, 0) << json.err;
  EXPECT_EQ(JsonField(json.out, "url"), "/agents/a1/stream?ticket=" + JsonField(json.out, "ticket"));
  EXPECT_NE(JsonField(json.out, "expires_at"), "");
}

TEST(TicketCommand, OfSeveralAndOfAll) {
  Daemon daemon;
  MakeCat(daemon, "a1", R"(,"labels":{"team":"web"})");
  MakeCat(daemon, "a2", R"(,"labels":{"team":"web"})");
  MakeCat(daemon, "a3");
  for (const Strings& words : {Strings{"a1", "a2", "--after", "0"}, Strings{"team=web", "--after", "0"}}) {
    const std::string target = TargetOf(Ticket(daemon, words), daemon.address());
    EXPECT_THAT(target, StartsWith("/stream?ticket="));
    StreamClient stream(daemon.address(), target, {});
    EXPECT_TRUE(stream.Until([&stream] { return stream.All("agent.ready").size() == 2; }));
  }
  StreamClient town(daemon.address(), TargetOf(Ticket(daemon, {"--all"}), daemon.address()), {});
  ASSERT_TRUE(town.UntilHead());
  MakeCat(daemon, "later");
  EXPECT_TRUE(town.Until([&town] {
    const auto ready = town.All("agent.ready");
    return !ready.empty() && ready.back().Field("agent") == "later";
  }));
}

TEST(TicketCommand, IsTheServersAddressAsItWasFound) {
  TempDir folder;
  const std::string socket = "unix://" + folder.path() + "/reeve.sock";
  Daemon::Options options;
  options.arguments = {"--base-path", "/town"};
  Daemon behind_a_proxy(options);
  MakeCat(behind_a_proxy, "a1");
  // As this command reached it; what is before it only its proxy knows.
  EXPECT_THAT(TargetOf(Ticket(behind_a_proxy, {"a1"}), behind_a_proxy.address()),
              StartsWith("/agents/a1/stream?ticket="));

  options.arguments = {"--listen", socket};
  Daemon both(options);
  MakeCat(both, "a1");
  const std::string target = TargetOf(Ticket(both, {"a1"}), both.address());
  EXPECT_EQ(HttpConnection(both.address()).Call("HEAD", target).status, 405);

  options.arguments = {"--base-path", "/town"};
  options.listen = socket + "2";
  Daemon hidden(options);
  MakeCat(hidden, "a1");
  Outcome path = Ticket(hidden, {"a1"});
  EXPECT_EQ(path.code, 0);
  EXPECT_THAT(path.out, StartsWith("/town/agents/a1/stream?ticket="));
  EXPECT_EQ(path.err,
            "reeve: the daemon listens on a Unix socket only: open this path at the address of its proxy\n");
  EXPECT_EQ(Ticket(hidden, {"a1", "--quiet"}).err, "");
}

TEST(TicketCommand, RefusesWhatCannotBe) {
  Daemon::Options options;
  TempDir folder;
  WriteFile(folder.path() + "/tokens",
            "view a-token-that-may-only-look\nadmin a-token-that-may-everything\n");
  options.arguments = {"--token-file", folder.path() + "/tokens"};
  Daemon daemon(options);
  const Strings admin = {"REEVE_TOKEN=a-token-that-may-everything"};
  const Strings viewer = {"REEVE_TOKEN=a-token-that-may-only-look"};
  for (const char* id : {"a1", "a2"}) {
    HttpConnection(daemon.address())
        .Call("POST", "/agents",
              JsonObject().Set("id", id).Set("kind", "process").SetRaw("command", R"(["cat"])").Take(),
              {{"Authorization", "Bearer a-token-that-may-everything"}});
  }
  EXPECT_EQ(Ticket(daemon, {"a1"}, viewer).code, 0);
  EXPECT_EQ(Ticket(daemon, {"a1", "--mode", "operate"}, viewer).code, 77);
  for (const Strings& words :
       {Strings{}, Strings{"--all", "a1"}, Strings{"a1", "--ttl", "2m"}, Strings{"a1", "--ttl", "soon"},
        Strings{"a1", "--mode", "all"}, Strings{"a1", "--after", "x"}, Strings{"a1", "a2", "--after", "1-1"},
        Strings{"--all", "--after", "0"}}) {
    Outcome refused = Ticket(daemon, words, admin);
    EXPECT_EQ(refused.code, 64) << testing::PrintToString(words) << refused.err;
    EXPECT_EQ(refused.out, "");
  }
  Outcome none = Ticket(daemon, {"none"}, admin);
  EXPECT_EQ(none.code, 66);
  EXPECT_THAT(none.err, HasSubstr("there is no agent none"));
  EXPECT_EQ(Ticket(daemon, {"a1", "--server", "http://127.0.0.1:1"}, admin).code, 69);
}

}  // namespace
}  // namespace reeve
