#include "control/gateway/delta_joiner.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "orchestrator/log/event_types.h"

namespace reeve {
namespace {

using Strings = std::vector<std::string>;

class DeltaJoinerTest : public ::testing::Test {
 protected:
  // The next event of a1's log.
  std::string Add(std::string_view type, const std::string& data, const std::string& run = "r1") {
    const Cursor id{3, ++seq_};
    std::string frame;
    const std::string time = "2026-01-31T08:00:00.00" + std::to_string(seq_) + "Z";
    AppendFrame(frame, {"a1", id, time, type, run}, data);
    size_t size = 0;
    const auto view = ParseFrame(frame, &size);
    EXPECT_TRUE(view);
    joiner_.Add(*view);
    return std::string(view->envelope);
  }
  std::string Delta(const std::string& text, const std::string& message = "m1") {
    return Add(event_type::kAssistantDelta,
               R"({"message_id":")" + message + R"(","text":")" + text + R"("})");
  }

  Strings taken_;
  DeltaJoiner joiner_{[this](std::string_view envelope) { taken_.emplace_back(envelope); }};
  uint64_t seq_ = 0;
};

TEST_F(DeltaJoinerTest, JoinsDeltasOfOneTextUntilTheFlush) {
  Delta("a");
  Delta("\\\"b\\n");
  Delta("c");
  EXPECT_TRUE(taken_.empty());
  joiner_.Flush();
  EXPECT_EQ(taken_, Strings{R"({"agent":"a1","epoch":3,"seq":3,"time":"2026-01-31T08:00:00.003Z",)"
                            R"("type":"assistant.delta","run":"r1","joined":3,)"
                            R"("data":{"message_id":"m1","text":"a\"b\nc"}})"});
  joiner_.Flush();
  EXPECT_EQ(taken_.size(), 1U) << "nothing is held";
}

TEST_F(DeltaJoinerTest, OneThatIsAloneStaysAsItIs) {
  const Strings alone = {Delta("a", "m1"), Delta("b", "m2")};
  joiner_.Flush();
  EXPECT_EQ(taken_, alone);
}

TEST_F(DeltaJoinerTest, ATextEndsWithAnotherMessageRunOrType) {
  Delta("a");
  Add(event_type::kAssistantDelta, R"({"message_id":"m1","text":"b"})", "r2");
  Add(event_type::kReasoningDelta, R"({"message_id":"m1","text":"c"})", "r2");
  Add(event_type::kReasoningDelta, R"({"text":"d"})", "r2");
  EXPECT_EQ(taken_.size(), 3U);
  joiner_.Flush();
  EXPECT_EQ(taken_.size(), 4U);
  for (const std::string& envelope : taken_) EXPECT_EQ(envelope.find("joined"), std::string::npos);
}

TEST_F(DeltaJoinerTest, EveryOtherEventStaysInItsPlace) {
  Delta("a");
  Delta("b");
  const std::string tool = Add("tool.started", R"({"call_id":"c1"})");
  const std::string odd = Add(event_type::kAssistantDelta, R"({"message_id":"m1","text":"x","more":1})");
  const std::string number = Add(event_type::kAssistantDelta, R"({"message_id":"m1","text":1})");
  const std::string last = Delta("c");
  joiner_.Flush();
  ASSERT_EQ(taken_.size(), 5U);
  EXPECT_NE(taken_[0].find(R"("seq":2,)"), std::string::npos);
  EXPECT_NE(taken_[0].find(R"("text":"ab")"), std::string::npos);
  EXPECT_EQ(Strings(taken_.begin() + 1, taken_.end()), (Strings{tool, odd, number, last}));
}

TEST_F(DeltaJoinerTest, WithoutAMessageOrARunThereIsNone) {
  Add(event_type::kAssistantDelta, R"({"text":"a"})", "");
  Add(event_type::kAssistantDelta, R"({"text":"b"})", "");
  joiner_.Flush();
  EXPECT_EQ(taken_, Strings{R"({"agent":"a1","epoch":3,"seq":2,"time":"2026-01-31T08:00:00.002Z",)"
                            R"("type":"assistant.delta","joined":2,"data":{"text":"ab"}})"});
}

}  // namespace
}  // namespace reeve
