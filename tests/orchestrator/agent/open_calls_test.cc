#include "orchestrator/agent/open_calls.h"

#include <gtest/gtest.h>

#include <string>

namespace reeve {
namespace {

std::string Newest(const OpenCalls& calls) { return calls.newest() ? calls.newest()->id : ""; }

TEST(OpenCalls, TheNewestOpenCallIsWaitedFor) {
  OpenCalls calls;
  calls.OnEvent("assistant.message", R"({"call_id":"x"})", 1);
  EXPECT_EQ(Newest(calls), "");
  calls.OnEvent("tool.started", R"({"call_id":"c1","name":"task"})", 1);
  calls.OnEvent("tool.started", R"({"call_id":"c2","name":"bash"})", 2);
  ASSERT_NE(calls.newest(), nullptr);
  EXPECT_EQ(calls.newest()->name, "bash");
  EXPECT_EQ(calls.newest()->since_ms, 2);
  calls.OnEvent("tool.output", R"({"call_id":"c2"})", 3);
  calls.OnEvent("tool.failed", R"({"call_id":"c2"})", 3);
  EXPECT_EQ(Newest(calls), "c1");
  calls.OnEvent("tool.completed", R"({"call_id":"c1"})", 4);
  EXPECT_EQ(Newest(calls), "");
}

TEST(OpenCalls, AProgramThatNeverEndsItsCallsFillsNoMemory) {
  OpenCalls calls;
  for (int i = 0; i < 10'000; ++i)
    calls.OnEvent("tool.started", R"({"call_id":")" + std::to_string(i) + "\"}", i);
  int open = 0;
  for (; calls.newest(); ++open) calls.OnEvent("tool.failed", R"({"call_id":")" + Newest(calls) + "\"}", 0);
  EXPECT_LE(open, 256);
}

}  // namespace
}  // namespace reeve
