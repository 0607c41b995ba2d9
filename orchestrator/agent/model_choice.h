// ModelChoice: the model of an agent's turns. The spec names one, or none for the program's own. A message
// may choose another, which then stays. A choice is on trial until the model has produced something; if a
// turn fails before that, the choice is taken back, so that a wrong name does not spoil all later turns.
//
// Owned by its Agent; on the loop's thread.
#pragma once

#include <string>
#include <utility>

namespace reeve {

class ModelChoice {
 public:
  // Empty: the program's own. `spec_model` must outlive the result.
  [[nodiscard]] const std::string& Or(const std::string& spec_model) const {
    return chosen_.empty() ? spec_model : chosen_;
  }
  // A turn begins whose message names a model.
  void Choose(const std::string& model, const std::string& spec_model) {
    if (model == Or(spec_model)) return;
    if (!on_trial_) before_ = chosen_;
    chosen_ = model;
    on_trial_ = true;
  }
  // Returns whether that changed the state.
  bool OnContent() { return std::exchange(on_trial_, false); }
  // The turn failed. Returns whether the choice was taken back.
  bool OnFailed() {
    if (!std::exchange(on_trial_, false)) return false;
    chosen_ = std::exchange(before_, {});
    return true;
  }
  // Somebody changed the spec's model. Returns whether there was a choice.
  bool Clear() {
    on_trial_ = false;
    before_.clear();
    return !std::exchange(chosen_, {}).empty();
  }

  // Also what the record in the store contains.
  static void Members(auto& self, auto& state) {
    state("chosen", self.chosen_);
    state("before", self.before_);
    state("on_trial", self.on_trial_);
  }

 private:
  std::string chosen_;  // empty: no message has chosen one
  std::string before_;  // the choice before the one on trial
  bool on_trial_ = false;
};

}  // namespace reeve
