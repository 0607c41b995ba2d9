// OpenContent: the content of an agent that has begun and not ended: texts, tool calls and the plan. It
// follows the events of the log, so that a snapshot needs no scan of the log: the snapshot and the events
// after it are the whole picture. A value of its Agent.
//
// Events with a whole text or the end of a call replace what is here. So a limit here costs only a late
// viewer the beginning of a very long text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

namespace reeve {

class JsonValue;

class OpenContent {
 public:
  struct Call {
    std::string id;
    std::string name;
    std::string input;  // JSON
    std::string output;
    bool truncated = false;
    int64_t started_ms = 0;  // wall clock
    uint64_t seq = 0;        // of the event that began it
  };

  static constexpr size_t kMaxTexts = 64;
  static constexpr size_t kMaxCalls = 256;
  // Limit of one text or one call's output; the beginning of a longer one is cut.
  static constexpr size_t kMaxBytes = size_t{1} << 20;

  // An event of the log, and its number and time; `data` is a JSON object. Only events of content are read.
  void Take(std::string_view type, std::string_view data, uint64_t seq, int64_t now_ms);
  // The run has ended, and with it its texts and calls.
  void EndRun();
  // The process has ended.
  void EndProcess() { plan_.clear(); }

  // The call that began last; null: none is open. A sub-agent's call is newer than the call that began it.
  [[nodiscard]] const Call* newest_call() const { return calls_.empty() ? nullptr : &calls_.back(); }

  // {texts: [{message_id, kind, text, truncated?}], calls: [{call_id, name, input, output?, truncated?,
  // started_at}], plan}: the order of texts and calls is that in which they began. `plan` is the data of the
  // last plan.updated, or null.
  [[nodiscard]] std::string ToJson() const;

  // The log has the content itself. After a restore the events from `since` on are taken again, or those of
  // its last kMostAgain bytes.
  static void Members(auto& self, auto& state) {
    uint64_t since = self.since();
    state("since", since);
    self.TakeAgainFrom(since);
    state("plan", self.plan_);
  }
  static constexpr uint64_t kMostAgain = uint64_t{4} << 20;
  [[nodiscard]] uint64_t since() const;  // the number of the oldest event of what is open; 0: nothing is open

 private:
  struct Text {
    bool reasoning = false;
    std::string id;  // empty: the agent gives none
    std::string text;
    bool truncated = false;
    uint64_t seq = 0;  // of the event that began it
  };
  void TakeAgainFrom(uint64_t since) { since_ = since; }
  void TakeAgainFrom(uint64_t) const {}  // for Members, which only read
  void TakeDelta(bool reasoning, const JsonValue& data, uint64_t seq);
  void EndText(bool reasoning, std::string_view id);
  void StartCall(const JsonValue& data, uint64_t seq, int64_t now_ms);
  void EndCall(std::string_view id);

  std::deque<Text> texts_;
  std::deque<Call> calls_;
  std::string plan_;    // JSON, or empty
  uint64_t since_ = 0;  // what is open was restored, and its events are still to be taken again
};

}  // namespace reeve
