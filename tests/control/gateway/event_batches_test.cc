#include "control/gateway/event_batches.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "control/http/web_socket_reader.h"
#include "orchestrator/agent/agent.h"
#include "tests/support/town_api.h"

namespace reeve {
namespace {

using Strings = std::vector<std::string>;

class EventBatchesTest : public ::testing::Test, public LogCursor::Owner {
 protected:
  void SetUp() override {
    log_ = *town_.MakeAgent(R"({"id":"a1","kind":"process","command":["sleep","600"]})").log();
    Append(3);
  }
  void Append(int events) {
    for (int i = 0; i < events; ++i) log_->Append("agent.output", "r1", R"({"text":"x"})");
    ASSERT_TRUE(log_->Commit().ok());
  }
  std::unique_ptr<LogCursor> FromTheBeginning() {
    auto place = LogCursor::Find(town_.town(), "a1", Cursor{});
    EXPECT_TRUE(place.ok());
    return std::make_unique<LogCursor>(*this, account_, *place);
  }
  // The frames of the next Append.
  std::string Next(LogCursor& cursor, uint64_t subscription) {
    std::string frames;
    const auto read = batches_.Append(cursor, subscription, scratch_, frames, &messages_);
    EXPECT_TRUE(read.ok());
    return frames;
  }
  // The messages of whole frames.
  static Strings Messages(const std::string& frames) {
    struct Sink final : WebSocketReader::Sink {
      void OnText(std::string_view message) override { messages.emplace_back(message); }
      void OnPing(std::string_view) override {}
      void OnClose(uint16_t, std::string_view) override {}
      Strings messages;
    } sink;
    WebSocketReader reader(WebSocketReader::Peer::kServer, size_t{1} << 20, sink);
    EXPECT_FALSE(reader.Feed(frames));
    return sink.messages;
  }
  Strings Expected(uint64_t subscription) {
    Strings messages;
    (void)log_->Scan(log_->begin_position(), [&](const FrameView& frame, std::string_view) {
      messages.push_back(R"({"jsonrpc":"2.0","method":"event","params":{"subscription":)" +
                         std::to_string(subscription) + "," + std::string(frame.envelope.substr(1)) + "}");
      return true;
    });
    return messages;
  }

  void OnCommit(LogCursor&) override {}
  void OnTrim(LogCursor&) override {}
  void OnGap(LogCursor&) override {}
  void OnLost(LogCursor&, const Error&) override {}

  TownApi town_;
  EventLog* log_ = nullptr;
  Deliveries account_;
  EventBatches batches_;
  std::string scratch_;
  uint64_t messages_ = 0;
};

TEST_F(EventBatchesTest, AMessageIsTheEnvelopeWithItsSubscription) {
  auto cursor = FromTheBeginning();
  EXPECT_EQ(Messages(Next(*cursor, 7)), Expected(7));
  EXPECT_TRUE(cursor->at_end());
  EXPECT_EQ(messages_, Expected(7).size());
}

TEST_F(EventBatchesTest, ViewersAtOnePlaceGetTheSameBytesAndMoveAlike) {
  auto one = FromTheBeginning();
  auto other = FromTheBeginning();
  const std::string frames = Next(*one, 1);
  const uint64_t delivered = account_.delivered;
  EXPECT_EQ(Next(*other, 1), frames);
  EXPECT_EQ(other->position, one->position);
  EXPECT_EQ(account_.delivered, 2 * delivered);
  EXPECT_EQ(messages_, 2 * Expected(1).size());
}

TEST_F(EventBatchesTest, AnotherSubscriptionOrPlaceHasABatchOfItsOwn) {
  auto one = FromTheBeginning();
  auto other = FromTheBeginning();
  (void)Next(*one, 1);
  EXPECT_EQ(Messages(Next(*other, 2)), Expected(2));
  Append(2);
  const Strings later = Expected(1);
  EXPECT_EQ(Messages(Next(*one, 1)), Strings(later.end() - 2, later.end()));
}

// A batch ends where the log ended when it was made, so a turn must not get those of an earlier one.
TEST_F(EventBatchesTest, TheNextTurnHasOtherEvents) {
  auto one = FromTheBeginning();
  auto other = FromTheBeginning();
  (void)Next(*one, 1);
  batches_.Forget();
  Append(1);
  EXPECT_EQ(Messages(Next(*other, 1)), Expected(1));
}

TEST_F(EventBatchesTest, ALongLogComesInParts) {
  Append(2'000);
  auto cursor = FromTheBeginning();
  Strings messages;
  int parts = 0;
  for (; !cursor->at_end(); ++parts) {
    for (std::string& message : Messages(Next(*cursor, 1))) messages.push_back(std::move(message));
  }
  EXPECT_GT(parts, 1);
  EXPECT_TRUE(messages == Expected(1));
}

// More places than there are slots replace each other, and everyone still gets its own.
TEST_F(EventBatchesTest, PlacesThatShareASlotKeepApart) {
  for (uint64_t subscription = 1; subscription <= 2 * EventBatches::kSlots; ++subscription) {
    auto cursor = FromTheBeginning();
    const std::string frames = Next(*cursor, subscription);
    const std::string head = EventBatches::Prefix(subscription);
    ASSERT_NE(frames.find(head), std::string::npos) << subscription;
  }
}

}  // namespace
}  // namespace reeve
