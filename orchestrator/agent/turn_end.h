// TurnEnd: how an agent reported the end of its turn. A value; `error` is set only for kFailed.
#pragma once

#include "process/result.h"

namespace reeve {

struct TurnEnd {
  enum class Outcome { kCompleted, kFailed, kCancelled };
  Outcome outcome = Outcome::kCompleted;
  Error error{};  // code and message as the agent gave them

  static constexpr const char* kOutcomes[] = {"completed", "failed", "cancelled"};
  static void Members(auto& self, auto& state) {
    state.Enum("outcome", self.outcome, kOutcomes);
    state("error", self.error);
  }
};

}  // namespace reeve
