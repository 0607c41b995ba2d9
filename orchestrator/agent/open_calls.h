// OpenCalls: the tool calls of the open run that have begun and not ended, so that an agent can say whether
// it waits for a tool or for its model.
//
// Owned by its Agent; on the loop's thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace reeve {

class OpenCalls {
 public:
  struct Call {
    std::string id;
    std::string name;
    int64_t since_ms = 0;  // wall clock

    static void Members(auto& self, auto& state) {
      state("id", self.id);
      state("name", self.name);
      state("since_ms", self.since_ms);
    }
  };
  // An event of the agent. Events that are not about calls cost nothing.
  void OnEvent(std::string_view type, std::string_view data, int64_t now_ms);
  void Clear() { calls_.clear(); }
  // The call that began last; null: none is open. A sub-agent's call is newer than the call that began it.
  [[nodiscard]] const Call* newest() const { return calls_.empty() ? nullptr : &calls_.back(); }

  static void Members(auto& self, auto& state) { state("calls", self.calls_); }

 private:
  static constexpr size_t kMost = 256;  // of a program that never ends its calls, the oldest are forgotten
  std::vector<Call> calls_;
};

}  // namespace reeve
