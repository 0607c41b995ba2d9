// The live stream (api.md §5): where it starts, what it says between events, when it ends; and that what
// arrives is, byte for byte, what the log's files hold.
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
