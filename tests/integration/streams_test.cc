// The live stream (control/api/API.md): where it starts, what it says between events, when it ends; and that
// what arrives is, byte for byte, what the log's files hold.
#include <gtest/gtest.h>

#include <csignal>
#include <map>

#include "tests/support/daemon.h"

namespace reeve {
namespace {

// An agent that prints `lines` numbered lines and then waits to be told to end.
std::string Counter(const std::string& id, int lines) {
  return R"({"id":")" + id + R"(","kind":"process","command":["/bin/sh","-c","seq 1 )" +
         std::to_string(lines) + R"(; read line"]})";
}

// The frames of each agent among events of several, in order.
std::map<std::string, std::string> ByAgent(const std::string& events) {
  std::map<std::string, std::string> by_agent;
  for (size_t at = 0; at < events.size();) {
    const size_t end = events.find("\n\n", at) + 2;
    const std::string frame = events.substr(at, end - at);
    by_agent[JsonField(frame.substr(frame.find("data: ") + 6), "agent")] += frame;
    at = end;
  }
  return by_agent;
}

std::string Shell(const std::string& id, const std::string& script) {
  return R"({"id":")" + id + R"(","kind":"process","command":["/bin/sh","-c",")" + script + "\"]}";
}

std::string Lines(const StreamClient& stream) {
  std::string lines;
  for (const StreamFrame& frame : stream.All("agent.output")) lines += frame.Field("data.text") + " ";
  return lines;
}

void Say(const Daemon& daemon, const std::string& agent, const std::string& line) {
  EXPECT_EQ(daemon.Post("/agents/" + agent + "/message", R"({"text":")" + line + "\"}").status, 202);
}

// ------------------------------------------------------------------------------------------ where it starts

TEST(Streams, BeginWithAHelloAndSayOnceWhenHistoryIsDone) {
  Daemon daemon;
  daemon.Create(Shell("a1", "echo 1; echo 2; cat"));
  ASSERT_TRUE(Eventually([&] { return daemon.Events("a1").size() == 5; }));
  auto stream = daemon.Stream("/agents/a1/stream?after=0");
  ASSERT_TRUE(stream->UntilEvent("stream.synced"));
  ASSERT_EQ(stream->frames().front().event, "stream.hello");
  const StreamFrame hello = stream->frames().front();
  EXPECT_EQ(hello.id, "");
  EXPECT_EQ(hello.Field("head"), daemon.Get("/agents/a1").Field("cursor"));
  EXPECT_EQ(hello.Field("head"), hello.Field("epoch") + "-5");
  EXPECT_EQ(hello.Field("oldest"), hello.Field("epoch") + "-0");
  EXPECT_NE(hello.Field("resume"), "");
  EXPECT_EQ(hello.Field("heartbeat_ms"), "15000");
  EXPECT_EQ(stream->frames()[1].id, hello.Field("oldest"));  // a block that only sets Last-Event-ID
  EXPECT_EQ(stream->frames()[1].event, "");
  Say(daemon, "a1", "3");
  ASSERT_TRUE(stream->Until([&] { return Lines(*stream) == "1 2 3 "; }));
  EXPECT_EQ(stream->All("stream.synced").size(), 1U);
  EXPECT_EQ(stream->All("stream.hello").size(), 1U);
  EXPECT_EQ(stream->malformed(), "");
}

TEST(Streams, StartLiveAfterACursorOrAtTheOldestAndLastEventIdWins) {
  Daemon daemon;
  daemon.Create(Shell("a1", "echo 1; echo 2; echo 3; cat"));
  ASSERT_TRUE(Eventually([&] { return daemon.Events("a1").size() == 6; }));
  const std::string epoch = daemon.Get("/agents/a1").Field("cursor").substr(0, 2);
  auto lines = [&](const std::string& query, const std::string& last_event_id) {
    StreamClient::Options options;
    if (!last_event_id.empty()) options.headers = {{"Last-Event-ID", last_event_id}};
    auto stream = daemon.Stream("/agents/a1/stream" + query, options);
    EXPECT_TRUE(stream->UntilEvent("stream.synced"));
    EXPECT_EQ(stream->last_id(), epoch + "6");
    return Lines(*stream);
  };
  EXPECT_EQ(lines("", ""), "");
  EXPECT_EQ(lines("?after=0", ""), "1 2 3 ");
  EXPECT_EQ(lines("?after=" + epoch + "4", ""), "2 3 ");
  EXPECT_EQ(lines("?after=" + epoch + "4", epoch + "5"), "3 ");
  EXPECT_EQ(lines("?after=0", epoch + "6"), "");
  EXPECT_EQ(lines("", epoch + "5"), "3 ");
}

TEST(Streams, ACursorFromNowhereIsToldSoAndGetsWhatThereIs) {
  Daemon daemon;
  daemon.Create(Shell("a1", "echo 1; cat"));
  ASSERT_TRUE(Eventually([&] { return daemon.Events("a1").size() == 4; }));
  auto future = daemon.Stream("/agents/a1/stream?after=99999-7");
  ASSERT_TRUE(future->UntilEvent("stream.synced"));
  ASSERT_NE(future->Find("stream.gap"), nullptr);
  EXPECT_EQ(future->Find("stream.gap")->Field("reason"), "lost");
  EXPECT_EQ(future->Find("stream.gap")->Field("from"), "99999-7");
  EXPECT_EQ(Lines(*future), "1 ");
  const std::string epoch = future->frames().front().Field("epoch");
  auto ahead = daemon.Stream("/agents/a1/stream?after=" + epoch + "-100");
  ASSERT_TRUE(ahead->UntilEvent("stream.synced"));
  ASSERT_NE(ahead->Find("stream.gap"), nullptr);
  EXPECT_EQ(ahead->Find("stream.gap")->Field("reason"), "lost");
}

TEST(Streams, TwoOfOneAgentGetTheSameBytes) {
  Daemon daemon;
  daemon.Create(Counter("a1", 5'000));
  auto one = daemon.Stream("/agents/a1/stream?after=0");
  auto two = daemon.Stream("/agents/a1/stream?after=0", {{}, 4096, true});
  ASSERT_TRUE(one->Until([&] { return one->count() >= 100; }));
  Say(daemon, "a1", "end");
  EXPECT_TRUE(one->UntilEnd());
  EXPECT_TRUE(two->UntilEnd());
  EXPECT_TRUE(one->events() == two->events());
  EXPECT_TRUE(one->events() == daemon.LogFiles("a1"));
}

// --------------------------------------------------------------------------------------------- filters,
// beats

TEST(Streams, AFilterLetsTypesThroughAndKeepsTheCursorRight) {
  Daemon::Options options;
  options.arguments = {"--heartbeat", "100ms"};
  Daemon daemon(options);
  daemon.Create(Shell("a1", "seq 1 200; cat"));
  ASSERT_TRUE(Eventually([&] { return daemon.Events("a1").size() == 203; }));
  auto stream = daemon.Stream("/agents/a1/stream?after=0&types=agent.starting,run.*");
  ASSERT_TRUE(stream->UntilEvent("stream.synced"));
  EXPECT_EQ(stream->count(), 2U);
  EXPECT_EQ(stream->All("agent.starting").size() + stream->All("run.started").size(), 2U);
  // The heartbeat sets the id to where this viewer is: behind what the filter held back.
  ASSERT_TRUE(stream->UntilEvent("stream.heartbeat"));
  const std::string head = daemon.Get("/agents/a1").Field("cursor");
  ASSERT_TRUE(stream->Until([&] { return stream->last_id() == head; }));
  Say(daemon, "a1", "more");  // filtered as well
  const std::string heard = daemon.Get("/agents/a1").Field("cursor");
  ASSERT_TRUE(stream->Until([&] { return stream->last_id() != head; }));
  EXPECT_EQ(stream->count(), 2U);
  EXPECT_EQ(daemon.Post("/agents/a1/stop", R"({"grace_ms":500})").status, 202);
  ASSERT_TRUE(stream->UntilEnd());
  EXPECT_EQ(stream->All("run.cancelled").size(), 1U);
  EXPECT_EQ(stream->malformed(), "");
}

TEST(Streams, HeartbeatsTellTheHeadWhereThereIsSilence) {
  Daemon::Options options;
  options.arguments = {"--heartbeat", "60ms"};
  Daemon daemon(options);
  daemon.Create(Shell("a1", "cat"));
  daemon.Create(Shell("a2", "cat"));
  for (const char* id : {"a1", "a2"}) daemon.WaitFor(id, "until=ready");
  auto one = daemon.Stream("/agents/a1/stream");
  ASSERT_TRUE(one->Until([&] { return one->All("stream.heartbeat").size() == 3; }));
  EXPECT_EQ(one->Find("stream.heartbeat")->Field("head"), daemon.Get("/agents/a1").Field("cursor"));
  EXPECT_EQ(one->last_id(), daemon.Get("/agents/a1").Field("cursor"));
  auto both = daemon.Stream("/stream?agents=a1,a2");
  ASSERT_TRUE(both->Until([&] { return both->All("stream.heartbeat").size() == 4; }));
  EXPECT_EQ(both->All("stream.heartbeat")[0].Field("agent"), "a1");
  EXPECT_EQ(both->All("stream.heartbeat")[1].Field("agent"), "a2");
  EXPECT_EQ(both->last_id(), "");  // there is no id for two logs
}

// ----------------------------------------------------------------------------------------------- how it ends

TEST(Streams, EndWithTheAgentAndComingBackToTheEndIsNoContent) {
  Daemon daemon;
  daemon.Create(Shell("a1", "echo 1; read line; echo 2"));
  auto stream = daemon.Stream("/agents/a1/stream?after=0");
  ASSERT_TRUE(stream->UntilEvent("stream.synced"));
  Say(daemon, "a1", "go");
  ASSERT_TRUE(stream->UntilEnd());
  EXPECT_EQ(stream->frames().back().event, "stream.bye");
  EXPECT_EQ(stream->frames().back().Field("reason"), "agent_exited");
  EXPECT_EQ(Lines(*stream), "1 2 ");
  EXPECT_EQ(stream->events(), daemon.LogFiles("a1"));

  auto status = [&](const std::string& last_event_id) {
    auto again = daemon.Stream("/agents/a1/stream", {{{"Last-Event-ID", last_event_id}}, 0, true});
    again->UntilHead();
    return again->status();
  };
  EXPECT_EQ(status(stream->last_id()), 204);
  EXPECT_EQ(status(stream->All("agent.output")[1].id), 200);  // there is something left
  auto live = daemon.Stream("/agents/a1/stream");             // asked for no cursor: hears why it ends
  EXPECT_TRUE(live->UntilEnd());
  EXPECT_EQ(live->status(), 200);
  EXPECT_EQ(live->frames().back().Field("reason"), "agent_exited");
}

TEST(Streams, ThatFollowStayForTheNextLifeAndEndWithTheDeletion) {
  Daemon daemon;
  daemon.Create(Shell("a1", "echo life"));
  auto stream = daemon.Stream("/agents/a1/stream?after=0&follow=1");
  ASSERT_TRUE(stream->UntilEvent("agent.exited"));
  EXPECT_EQ(daemon.Post("/agents/a1/start").status, 202);
  ASSERT_TRUE(stream->Until([&] { return stream->All("agent.exited").size() == 2; }));
  EXPECT_EQ(Lines(*stream), "life life ");
  EXPECT_EQ(stream->All("stream.bye").size(), 0U);
  EXPECT_EQ(daemon.Call("DELETE", "/agents/a1").status, 204);
  ASSERT_TRUE(stream->UntilEnd());
  EXPECT_EQ(stream->frames().back().Field("reason"), "agent_deleted");
}

TEST(Streams, OfATownWithoutAgentsBeginAtOnce) {
  Daemon daemon;
  auto all = daemon.Stream("/stream?agents=*");
  ASSERT_TRUE(all->UntilEvent("stream.hello"));
  daemon.Create(Shell("a1", "echo hi"));
  EXPECT_TRUE(all->Until([&] { return Lines(*all) == "hi "; }));
}

TEST(Streams, OfAnAgentThatIsPurgedSayGoodbye) {
  Daemon daemon;
  daemon.Create(Shell("a1", "cat"));
  daemon.Create(Shell("a2", "cat"));
  for (const char* id : {"a1", "a2"}) daemon.WaitFor(id, "until=ready");
  auto one = daemon.Stream("/agents/a1/stream?after=0&follow=1");
  auto all = daemon.Stream("/stream?agents=*&after=a1:0,a2:0");
  ASSERT_TRUE(one->UntilEvent("stream.synced"));
  ASSERT_TRUE(all->Until([&] { return all->All("stream.synced").size() == 2; }));
  EXPECT_EQ(daemon.Call("DELETE", "/agents/a1?purge=true").status, 202);
  ASSERT_TRUE(one->UntilEnd());
  EXPECT_EQ(one->All("agent.exited").size(), 1U);
  EXPECT_EQ(one->frames().back().Field("reason"), "agent_deleted");
  ASSERT_TRUE(all->UntilEvent("stream.bye"));
  EXPECT_EQ(all->Find("stream.bye")->Field("agent"), "a1");
  Say(daemon, "a2", "still here");
  EXPECT_TRUE(all->Until([&] { return Lines(*all) == "still here "; }));
}

TEST(Streams, ToAViewerThatTakesNothingEndAsTooSlow) {
  Daemon::Options options;
  options.arguments = {"--stall-timeout", "300ms"};
  Daemon daemon(options);
  auto metric = [&daemon](const std::string& name) {
    const std::string text = daemon.Get("/metrics").body;
    const size_t at = text.find("\n" + name + " ");
    return at == std::string::npos ? -1 : std::atoi(text.c_str() + at + name.size() + 2);
  };
  daemon.Create(Shell("a1", "seq 1 100000; cat"));
  auto stalled = daemon.Stream("/agents/a1/stream?after=0", {{}, 2048, true});
  EXPECT_TRUE(Eventually([&] { return metric("reeve_viewers_too_slow_total") == 1; }));
  // It reads what was under way, hears why, and goes on from there with its cursor.
  EXPECT_TRUE(stalled->UntilEnd());
  EXPECT_EQ(stalled->frames().back().event, "stream.bye");
  EXPECT_EQ(stalled->frames().back().Field("reason"), "too_slow");
  EXPECT_TRUE(Eventually([&] { return metric("reeve_viewers") == 0; }));
  // On a busy machine it may be too slow once more, and goes on once more.
  std::string got = stalled->events();
  std::string cursor = stalled->last_id();
  EXPECT_TRUE(Eventually([&] {
    auto again = daemon.Stream("/agents/a1/stream?after=" + cursor);
    const bool synced = again->UntilEvent("stream.synced");
    got += again->events();
    if (!again->last_id().empty()) cursor = again->last_id();
    return synced;
  }));
  EXPECT_TRUE(got == daemon.LogFiles("a1"));
}

// ------------------------------------------------------------------------------------------------- retention

TEST(Streams, ACursorOlderThanTheLogIsTold) {
  Daemon::Options options;
  options.arguments = {"--segment-bytes", "16384", "--retain-bytes", "65536"};
  Daemon daemon(options);
  daemon.Create(
      Shell("a1", "i=0; while test $i -lt 40; do seq 1 200; sleep 0.01; i=$((i+1)); done; echo end; cat"));
  ASSERT_TRUE(Eventually([&] { return daemon.LogFiles("a1").find("\"end\"") != std::string::npos; }));
  auto stream = daemon.Stream("/agents/a1/stream?after=1-10");
  ASSERT_TRUE(stream->UntilEvent("stream.synced"));
  ASSERT_NE(stream->Find("stream.gap"), nullptr);
  const StreamFrame gap = *stream->Find("stream.gap");
  EXPECT_EQ(gap.Field("reason"), "expired");
  EXPECT_EQ(gap.Field("from"), "1-10");
  EXPECT_EQ(gap.Field("to"), stream->frames().front().Field("oldest"));
  EXPECT_TRUE(stream->events() == daemon.LogFiles("a1"));
  HttpAnswer page = daemon.Get("/agents/a1/events?after=1-10&limit=1");
  EXPECT_EQ(page.Field("gap.reason"), "expired");
  EXPECT_EQ(page.Field("gap.to"), gap.Field("to"));
}

TEST(Streams, RetentionDoesNotWaitForAViewerWhichIsToldWhatItMissed) {
  Daemon::Options options;
  options.arguments = {"--segment-bytes", "65536", "--retain-bytes", "262144"};
  Daemon daemon(options);
  daemon.Create(Shell("a1", "read go; seq 1 60000; cat"));
  daemon.WaitFor("a1", "until=ready");
  auto slow = daemon.Stream("/agents/a1/stream?after=0", {{}, 2048, true});
  ASSERT_TRUE(slow->UntilEvent("stream.synced"));
  Say(daemon, "a1", "go");
  ASSERT_TRUE(Eventually([&] { return daemon.LogFiles("a1").find("\"60000\"") != std::string::npos; }));
  ASSERT_TRUE(slow->Until([&] { return slow->frames().back().Field("data.text") == "60000"; }));
  EXPECT_EQ(slow->malformed(), "");
  // Each number follows the one before it, or a gap that ends just before it.
  ASSERT_NE(slow->Find("stream.gap"), nullptr);
  uint64_t seq = 0;
  for (const StreamFrame& frame : slow->frames()) {
    if (frame.event == "stream.gap") {
      EXPECT_EQ(frame.Field("reason"), "expired");
      const std::string from = frame.Field("from");
      const std::string to = frame.Field("to");
      EXPECT_EQ(std::stoull(from.substr(from.find('-') + 1)), seq);
      seq = std::stoull(to.substr(to.find('-') + 1));
    } else if (!frame.id.empty() && !frame.event.empty()) {
      EXPECT_EQ(std::stoull(frame.id.substr(frame.id.find('-') + 1)), ++seq);
    }
  }
  EXPECT_EQ(seq, std::stoull(slow->last_id().substr(slow->last_id().find('-') + 1)));
}

// ---------------------------------------------------------------------------------------- several on one
// line

TEST(Streams, OfAllAgentsIncludeThoseToCome) {
  Daemon daemon;
  daemon.Create(Shell("a1", "echo 1; cat"));
  auto stream = daemon.Stream("/stream?agents=*&after=a1:0");
  ASSERT_TRUE(stream->UntilEvent("agent.output"));
  daemon.Create(Shell("a2", "echo 2"));
  ASSERT_TRUE(stream->UntilEvent("agent.exited"));
  std::map<std::string, std::string> hellos;
  for (const StreamFrame& hello : stream->All("stream.hello"))
    hellos[hello.Field("agent")] = hello.Field("resume");
  EXPECT_EQ(hellos.size(), 2U);
  EXPECT_NE(hellos["a1"], "");
  auto by_agent = ByAgent(stream->events());
  EXPECT_EQ(by_agent["a2"], daemon.LogFiles("a2"));  // from its first event
  EXPECT_FALSE(stream->ended());                     // more may come
  EXPECT_EQ(stream->malformed(), "");
}

TEST(Streams, OfSeveralAgentsStartEachWhereItWasLeft) {
  Daemon daemon;
  daemon.Create(Shell("a1", "echo 1; echo 2; cat"));
  daemon.Create(Shell("b2", "echo 3; echo 4; cat"));
  for (const char* id : {"a1", "b2"}) {
    ASSERT_TRUE(Eventually([&] { return daemon.Events(id).size() == 5; }));
  }
  const std::string a1 = daemon.Get("/agents/a1").Field("cursor");
  const std::string b2 = daemon.Get("/agents/b2").Field("cursor");
  auto stream = daemon.Stream("/stream?agents=a1,b2&after=a1:" + a1.substr(0, a1.find('-')) + "-4,b2:" + b2);
  ASSERT_TRUE(stream->Until([&] { return stream->All("stream.synced").size() == 2; }));
  EXPECT_EQ(Lines(*stream), "2 ");
  Say(daemon, "b2", "5");
  ASSERT_TRUE(stream->Until([&] { return Lines(*stream) == "2 5 "; }));
  for (const auto& [target, status] : {std::pair{"/stream", 400},
                                       {"/stream?agents=a1&after=0", 400},
                                       {"/stream?agents=a1&after=a1:x", 400},
                                       {"/stream?agents=a1,nobody", 404}}) {
    EXPECT_EQ(daemon.Get(target).status, status) << target;
  }
}

TEST(Streams, SeveralAgentsShareAConnectionWithoutCuttingIntoEachOther) {
  Daemon daemon;
  for (const char* id : {"a", "b", "c"}) {
    daemon.Create(Counter(id, 20'000));
  }
  // A socket so small that nearly every write is a partial one.
  auto stream = daemon.Stream("/stream?agents=a,b,c&after=a:0,b:0,c:0", {{}, 2048, true});
  for (const char* id : {"a", "b", "c"}) {
    EXPECT_EQ(daemon.Post(std::string("/agents/") + id + "/message", R"({"text":"end"})").status, 202);
  }
  EXPECT_TRUE(stream->UntilEnd());
  EXPECT_EQ(stream->malformed(), "");
  auto by_agent = ByAgent(stream->events());
  for (const char* id : {"a", "b", "c"}) {
    EXPECT_TRUE(by_agent[id] == daemon.LogFiles(id)) << id;
  }
}

}  // namespace
}  // namespace reeve
