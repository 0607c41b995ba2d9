// Several messages in one request, and messages for an agent that must be idle (control/api/API.md,
// "Messages").
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/support/daemon.h"

namespace reeve {
namespace {

using Strings = std::vector<std::string>;

// A jsonl program with turns: each line is one, over at once, or when `gate` is there if it says "gated".
std::string Worker(const Daemon& daemon) {
  WriteFile(daemon.data_dir() + "/worker.sh", R"(
while read -r line; do
  echo '{"type":"run.started"}'
  case "$line" in *gated*) until [ -e )" + daemon.data_dir() +
                                                  R"(/gate ]; do sleep 0.02; done ;; esac
  echo '{"type":"run.completed"}'
done
)");
  return R"({"id":"a1","kind":"jsonl","kind_options":{"turns":true},"command":["/bin/bash",")" +
         daemon.data_dir() + R"(/worker.sh"]})";
}

Strings Texts(const Daemon& daemon) {
  Strings texts;
  for (const std::string& event : daemon.Events("a1", "after=0&types=user.message"))
    texts.push_back(JsonField(event, "data.text"));
  return texts;
}

HttpAnswer Send(const Daemon& daemon, const std::string& body, const std::string& key = "") {
  Headers headers;
  if (!key.empty()) headers.emplace_back("Idempotency-Key", key);
  return daemon.Call("POST", "/agents/a1/message", body, headers);
}

TEST(MessageBatches, AreAcceptedInOrderAndOnce) {
  Daemon daemon;
  daemon.Create(Worker(daemon));
  const std::string body =
      R"({"messages":[{"text":"one"},{"text":"two"},{"text":"later","delay_ms":600000}]})";
  HttpAnswer first = Send(daemon, body, "k1");
  EXPECT_EQ(first.status, 202) << first.wire;
  auto json = JsonDocument::Parse(first.body);
  ASSERT_EQ((*json)["messages"].size(), 3U) << first.body;
  EXPECT_EQ((*json)["messages"].At(2)["disposition"].StringOr(""), "scheduled");
  HttpAnswer again = Send(daemon, body, "k1");
  EXPECT_EQ(again.body, first.body);
  EXPECT_EQ(Send(daemon, R"({"messages":[{"text":"other"}]})", "k1").status, 422);
  ASSERT_TRUE(Eventually([&] { return Texts(daemon) == Strings{"one", "two"}; }));
  EXPECT_EQ(daemon.Get("/agents/a1").Field("scheduled"), "1");
}

TEST(MessageBatches, AreAcceptedAllOrNone) {
  Daemon daemon;
  daemon.Create(Worker(daemon));
  daemon.WaitFor("a1", "until=ready");
  for (const auto& [body, why] : std::vector<std::pair<std::string, std::string>>{
           {R"({"messages":[{"text":"good"},{"text":""}]})", "messages[1].text"},
           {R"({"messages":[{"text":"good"},{"text":"x","mode":"later"}]})", "messages[1].mode"},
           {R"({"messages":[{"text":"good"},{"txt":"x"}]})", "messages[1]: unknown field txt"},
           {R"({"messages":[{"text":"good"},7]})", "messages[1]"},
           {R"({"messages":[]})", "messages"},
           {R"({"messages":{"text":"good"}})", "messages"},
           {R"({"messages":[{"text":"good"}],"text":"x"})", "text"}}) {
    HttpAnswer refused = Send(daemon, body);
    EXPECT_EQ(refused.status, 400) << body << refused.wire;
    EXPECT_NE(refused.Field("detail").find(why), std::string::npos) << refused.body;
  }
  // The kind has no models.
  EXPECT_EQ(Send(daemon, R"({"messages":[{"text":"good"},{"text":"x","model":"m"}]})").status, 422);
  // The queue has room for 100.
  EXPECT_EQ(Send(daemon, R"({"text":"gated"})").status, 202);
  ASSERT_TRUE(Eventually([&] { return daemon.Get("/agents/a1").Field("state") == "running"; }));
  std::string sixty = R"({"messages":[)";
  for (int i = 0; i < 60; ++i) sixty += std::string(i == 0 ? "" : ",") + R"({"text":"x"})";
  sixty += "]}";
  EXPECT_EQ(Send(daemon, sixty).status, 202);
  EXPECT_EQ(Send(daemon, sixty).Field("code"), "queue_full");
  EXPECT_EQ(daemon.Get("/agents/a1").Field("queue_depth"), "60");
  WriteFile(daemon.data_dir() + "/gate", "");
  ASSERT_TRUE(Eventually([&] { return Texts(daemon).size() == 61; }));
}

TEST(MessageBatches, OfAnIdleAgentAreRefusedWhileItIsBusy) {
  Daemon daemon;
  daemon.Create(Worker(daemon));
  daemon.WaitFor("a1", "until=ready");
  const std::string gated = R"({"text":"gated","mode":"if_idle"})";
  HttpAnswer first = Send(daemon, gated, "k1");
  EXPECT_EQ(first.status, 202) << first.wire;
  EXPECT_EQ(Send(daemon, gated, "k1").body, first.body) << "its own run is no reason to refuse it";
  for (const char* body : {R"({"text":"more","mode":"if_idle"})",
                           R"({"messages":[{"text":"more","mode":"if_idle"},{"text":"after"}]})"}) {
    HttpAnswer busy = Send(daemon, body);
    EXPECT_EQ(busy.status, 409) << busy.wire;
    EXPECT_EQ(busy.Field("code"), "busy");
  }
  EXPECT_EQ(Send(daemon, R"({"text":"x","mode":"if_idle","delay_ms":9})").status, 400);
  WriteFile(daemon.data_dir() + "/gate", "");
  daemon.WaitFor("a1", "until=idle");
  EXPECT_EQ(Send(daemon, R"({"messages":[{"text":"more","mode":"if_idle"},{"text":"after"}]})").status, 202);
  ASSERT_TRUE(Eventually([&] { return Texts(daemon) == Strings{"gated", "more", "after"}; }));
}

// Two at the same instant: one begins, the other one is refused.
TEST(MessageBatches, OnlyOneOfTwoFindsTheAgentIdle) {
  Daemon daemon;
  daemon.Create(Worker(daemon));
  daemon.WaitFor("a1", "until=ready");
  const Headers token = {{"Authorization", "Bearer " + daemon.token()}};
  HttpConnection one(daemon.address());
  HttpConnection two(daemon.address());
  one.Send("POST", "/agents/a1/message", R"({"text":"gated 1","mode":"if_idle"})", token);
  two.Send("POST", "/agents/a1/message", R"({"text":"gated 2","mode":"if_idle"})", token);
  const int first = one.Receive().status;
  const int second = two.Receive().status;
  EXPECT_EQ(std::min(first, second), 202);
  EXPECT_EQ(std::max(first, second), 409);
  WriteFile(daemon.data_dir() + "/gate", "");
}

}  // namespace
}  // namespace reeve
