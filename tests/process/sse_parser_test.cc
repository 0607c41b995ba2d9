#include "process/sse_parser.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace reeve {
namespace {

using namespace std::string_literals;

// "event|data|id|has_id" of each event; "dropped" where Feed said so.
using Got = std::vector<std::string>;

Got Cut(const std::string& bytes, size_t step, size_t max_bytes = 1 << 20) {
  SseParser parser(max_bytes);
  Got got;
  size_t dropped = 0;
  for (size_t at = 0; at < bytes.size(); at += step) {
    bool fits = parser.Feed(std::string_view(bytes).substr(at, step), [&got](const SseEvent& event) {
      got.push_back(event.event + "|" + event.data + "|" + event.id + (event.has_id ? "|id" : "|"));
    });
    if (!fits) ++dropped;
  }
  if (dropped > 0) got.emplace_back("dropped");
  return got;
}

// The same events at whichever bytes the stream is cut.
void Expect(const std::string& bytes, const Got& expected, size_t max_bytes = 1 << 20) {
  for (size_t step = 1; step <= bytes.size(); ++step)
    EXPECT_EQ(Cut(bytes, step, max_bytes), expected) << step;
}

TEST(SseParser, TakesLineFeedsReturnsAndBothAsLineEnds) {
  Expect("data: a\n\ndata: b\r\rdata: c\r\n\r\ndata: d\r\n\ndata: e\n\r",
         {"message|a||", "message|b||", "message|c||", "message|d||", "message|e||"});
}

TEST(SseParser, JoinsDataLinesAndDropsOneSpaceOnly) {
  Expect("event: tick\ndata:one\ndata:  two\ndata\ndata: \n\n", {"tick|one\n two\n\n||"});
}

TEST(SseParser, KeepsTheLastIdAndTellsBlocksThatOnlySetOne) {
  Expect("id: 3-7\ndata: a\n\ndata: b\n\nid: 3-9\n\nid\ndata: c\n\n",
         {"message|a|3-7|id", "message|b|3-7|", "message||3-9|id", "message|c||id"});
}

TEST(SseParser, IgnoresAnIdWithANul) {
  Expect("id: 1\ndata: a\n\nid: 2\0\ndata: b\n\n"s, {"message|a|1|id", "message|b|1|"});
}

TEST(SseParser, SkipsCommentsUnknownFieldsAndEventsWithoutData) {
  Expect(": hello\n\n:\nretry: 10\nfoo: bar\nevent: none\n\ndata: a\n\n", {"message|a||"});
}

TEST(SseParser, SkipsOneByteOrderMarkAtTheVeryStart) {
  Expect(
      "\xEF\xBB\xBF"
      "data: a\n\n\xEF\xBB\xBF"
      "data: b\n\n",
      {"message|a||"});
}

TEST(SseParser, DispatchesAnEventWithEmptyData) { Expect("data\n\ndata:\n\n", {"message|||", "message|||"}); }

TEST(SseParser, DoesNotDispatchWhatNoBlankLineFollows) { Expect("data: a\n\ndata: b\n", {"message|a||"}); }

TEST(SseParser, DropsALineTooLongAndTakesTheNextEvent) {
  Expect("data: 123456789\n\ndata: a\n\n", {"message|a||", "dropped"}, 12);
  Expect("data: 123456\n\n", {"message|123456||"}, 12);
}

TEST(SseParser, DropsAnEventOfTooManyLinesWhole) {
  Expect("data: 12345\ndata: 12345\ndata: 12345\ndata: x\n\ndata: a\n\n", {"message|a||", "dropped"}, 12);
}

TEST(SseParser, KeepsUtf8WholeAcrossCuts) {
  Expect("data: \xC3\xA4\xF0\x9F\x98\x80\n\n", {"message|\xC3\xA4\xF0\x9F\x98\x80||"});
}

}  // namespace
}  // namespace reeve
