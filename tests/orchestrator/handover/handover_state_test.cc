#include "orchestrator/handover/handover_state.h"

#include <gtest/gtest.h>

#include <string>

#include "orchestrator/json/json.h"

namespace reeve {
namespace {

HandoverState Full() {
  HandoverState state;
  state.version = "1.2.3";
  state.handovers = 4;
  state.started_ms = 5'000;
  state.listeners = {{7, "tcp://127.0.0.1:0", "http://127.0.0.1:4711", "", 0, 0},
                     {8, "unix:///run/r.sock", "/run/r.sock", "/run/r.sock", UINT64_MAX, UINT64_MAX - 1}};
  TicketStore::Saved ticket;
  ticket.hash = std::string(31, '\xff') + '\0';
  ticket.resume = true;
  ticket.expires_at = 60'000;
  ticket.url = std::string(32, '\1');
  ticket.grant = {true,           true,       {"a", "b"}, TicketMode::kTerminal, "https://x.example",
                  {{"a", "1-2"}}, UINT64_MAX, "c1"};
  state.tickets = {ticket};
  state.agents = {R"({"id":"a"})", R"({"id":"b"})"};
  return state;
}

TEST(HandoverStateText, CarriesEverything) {
  const std::string text = Full().ToText();
  auto read = HandoverState::Parse(text);
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(read->ToText(), text);
  EXPECT_EQ(read->listeners[1].device, UINT64_MAX);
  EXPECT_EQ(read->tickets[0].hash, Full().tickets[0].hash);
  EXPECT_EQ(read->tickets[0].grant.token, UINT64_MAX);
  EXPECT_EQ(read->tickets[0].grant.mode, TicketMode::kTerminal);
  EXPECT_EQ(read->agents, Full().agents);
}

TEST(HandoverStateText, GoesThroughMemory) {
  HandoverState state = Full();
  state.agents.assign(3, std::string(1'500'000, 'x'));  // more than one read
  auto memory = PutInMemory(state.ToText());
  ASSERT_TRUE(memory.ok());
  auto read = ReadState(memory->Release());
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_TRUE(read->agents == state.agents);
}

TEST(HandoverStateText, IgnoresUnknownMembersAndKeepsDefaultsOfMissingOnes) {
  auto read = HandoverState::Parse("{\"format\":3,\"later\":[1,{}]}\n");
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_TRUE(read->agents.empty());
}

TEST(HandoverStateText, SaysWhatItDoesNotUnderstand) {
  auto reason = [](const std::string& text) {
    auto read = HandoverState::Parse(text);
    return read ? "" : read.error().code + ": " + read.error().message;
  };
  EXPECT_EQ(reason("{}"), "handover_state: the state has no format");
  for (const char* other : {"0", "2", "4"}) {
    EXPECT_EQ(
        reason(std::string("{\"format\":") + other + "}"),
        std::string("handover_state: the state has format ") + other + "; this reeve reads format 3 only");
  }
  EXPECT_EQ(reason(R"({"format":3,"listeners":[{"inode":5}]})"),
            "handover_state: listeners.0.inode: not a string");
  EXPECT_EQ(reason(R"({"format":3,"tickets":[{"grant":{"mode":"all"}}]})"),
            "handover_state: tickets.0.grant.mode: out of bounds");
  EXPECT_EQ(reason("{\"format\":3,\"agents\":2}\n{}\n"),
            "handover_state: the state names 2 agents and contains 1");
  // Cut anywhere, it is an error and nothing worse.
  const std::string text = Full().ToText();
  for (size_t size = 0; size + 12 < text.size(); ++size) {
    EXPECT_FALSE(HandoverState::Parse(text.substr(0, size)).ok()) << size;
  }
}

}  // namespace
}  // namespace reeve
