// TurnEnd: how an agent says that its turn ended. A value; an error is only in kFailed.
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
