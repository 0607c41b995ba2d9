// GET /agents/{id}/wait and GET /wait for agents that are being deleted, that are not there yet, and for any
// agent.
#include <gtest/gtest.h>

#include <string>

#include "process/proc.h"
#include "tests/support/daemon.h"
#include "tests/support/raw_client.h"

namespace reeve {
namespace {

Headers Bearer(const Daemon& daemon) { return {{"Authorization", "Bearer " + daemon.token()}}; }

std::string Spec(const std::string& id, const std::string& script, const std::string& more = "") {
  return R"({"id":")" + id + R"(","kind":"process","command":["/bin/sh","-c",")" + script + "\"]" + more +
         "}";
}

TEST(Wait, ForTheEndOfAnAgentThatIsBeingDeleted) {
  Daemon daemon;
  daemon.Create(Spec(
      "a1", "trap '' TERM INT; echo up; until [ -e " + daemon.data_dir() + "/gate ]; do sleep 0.05; done"));
  ASSERT_TRUE(Eventually([&] { return daemon.LogFiles("a1").find("up") != std::string::npos; }));
  for (const char* target : {"/agents/a1", "/agents/a1?purge=true"}) {
    HttpAnswer deleted = daemon.Call("DELETE", target);
    EXPECT_EQ(deleted.status, 202) << deleted.wire;
    EXPECT_EQ(deleted.Field("state"), "stopping");
    EXPECT_EQ(daemon.Get("/agents/a1/wait?until=exited&timeout_ms=20").status, 204) << "its process lives";
    EXPECT_EQ(daemon.Get("/agents/a1/wait?until=idle&timeout_ms=20").status, 410);
  }
  HttpConnection waits(daemon.address());
  waits.Send("GET", "/agents/a1/wait?until=exited", "", Bearer(daemon));
  WriteFile(daemon.data_dir() + "/gate", "");
  HttpAnswer ended = waits.Receive();
  EXPECT_EQ(ended.status, 200) << ended.wire;
  EXPECT_EQ(ended.Field("state"), "exited");
  EXPECT_TRUE(Eventually([&] { return daemon.Get("/agents/a1/wait?until=exited").status == 404; }));
}

TEST(Wait, ForAnAgentThatIsNotThereYet) {
  Daemon daemon;
  EXPECT_EQ(daemon.Get("/agents/a1/wait?until=made&timeout_ms=20").status, 204);
  EXPECT_EQ(daemon.Get("/agents/A1/wait?until=made").status, 400);
  HttpConnection waits(daemon.address());
  waits.Send("GET", "/agents/a1/wait?until=made", "", Bearer(daemon));
  HttpConnection other(daemon.address());
  other.Send("GET", "/agents/a2/wait?until=made&timeout_ms=500", "", Bearer(daemon));
  // The wait is open before the agent is made.
  ASSERT_TRUE(
      Eventually([&] { return daemon.Get("/metrics").body.find("\nreeve_waits 2\n") != std::string::npos; }));
  daemon.Create(Spec("a1", "sleep 600"));
  HttpAnswer made = waits.Receive();
  EXPECT_EQ(made.status, 200) << made.wire;
  EXPECT_EQ(made.Field("id"), "a1");
  EXPECT_EQ(daemon.Get("/agents/a1/wait?until=made&timeout_ms=0").status, 200);
  EXPECT_EQ(other.Receive().status, 204);
}

// The client closes its connection, before or behind bytes that the daemon does not read yet.
TEST(Wait, EndsWithItsClient) {
  Daemon daemon;
  daemon.Create(Spec("a1", "sleep 600"));
  const auto waits = [&daemon](const char* count) {
    return daemon.Get("/metrics").body.find(std::string("\nreeve_waits ") + count + "\n") !=
           std::string::npos;
  };
  for (const size_t more : {size_t{0}, size_t{90'000}}) {
    RawClient client(daemon.address());
    const std::string head =
        " HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + daemon.token() + "\r\n\r\n";
    std::string bytes = "GET /agents/a1/wait?until=exited" + head;
    for (const size_t end = bytes.size() + more; bytes.size() < end;) bytes += "GET /health" + head;
    client.Send(bytes);
    ASSERT_TRUE(Eventually([&] { return client.Poll(), client.unsent() == 0 && waits("1"); }));
    client.Close();
    EXPECT_TRUE(Eventually([&] { return waits("0"); }, 10'000)) << more;
  }
}

TEST(Wait, ForAnyAgentWithALabel) {
  Daemon daemon;
  const std::string red = R"(,"labels":{"team":"red"})";
  daemon.Create(Spec("blue", "exit 0", R"(,"labels":{"team":"blue"})"));
  daemon.WaitFor("blue");
  EXPECT_EQ(daemon.Get("/wait?until=terminal&label=team:red&timeout_ms=20").status, 204);
  HttpConnection ready(daemon.address());
  ready.Send("GET", "/wait?until=ready&label=team:red", "", Bearer(daemon));
  HttpConnection terminal(daemon.address());
  terminal.Send("GET", "/wait?label=team:red", "", Bearer(daemon));
  ASSERT_TRUE(
      Eventually([&] { return daemon.Get("/metrics").body.find("\nreeve_waits 2\n") != std::string::npos; }));
  daemon.Create(Spec("red1", "read line; exit 3", red));
  daemon.Create(Spec("red2", "sleep 600", red));
  EXPECT_EQ(ready.Receive().Field("labels.team"), "red");
  EXPECT_EQ(daemon.Post("/agents/red1/message", R"({"text":"go"})").status, 202);
  HttpAnswer run = terminal.Receive();
  EXPECT_EQ(run.status, 200) << run.wire;
  EXPECT_EQ(run.Field("agent"), "red1");
  EXPECT_EQ(run.Field("exit_code"), "3");
  // It goes on after the end of that run.
  EXPECT_EQ(daemon.Get("/wait?label=team:red&timeout_ms=0").Field("agent"), "red1");
  const std::string after = "&since=" + run.Field("ended_at");
  EXPECT_EQ(daemon.Get("/wait?label=team:red&timeout_ms=20" + after).status, 204);
  EXPECT_EQ(daemon.Post("/agents/red2/stop").status, 202);
  EXPECT_EQ(daemon.Get("/wait?label=team:red" + after).Field("agent"), "red2");

  EXPECT_EQ(daemon.Get("/wait?until=exited").status, 400);
  EXPECT_EQ(daemon.Get("/wait?label=red").status, 400);
  EXPECT_EQ(daemon.Get("/wait?since=now").status, 400);
  EXPECT_EQ(daemon.Get("/wait?until=ready&since=2026-01-01T00:00:00Z").status, 400);
}

}  // namespace
}  // namespace reeve
