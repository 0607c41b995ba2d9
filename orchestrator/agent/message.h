// Message: one prompt for an agent, or one line of its input (control/api/API.md). A value.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "orchestrator/log/event_data.h"

namespace reeve {

struct Message {
  enum class Mode { kFollowUp, kSteer, kInterrupt };
  static constexpr const char* kModes[] = {"followup", "steer", "interrupt"};

  std::string id;
  std::string text;
  Mode mode = Mode::kFollowUp;
  std::string model = {};      // for its turn and all later ones; empty: no change
  int64_t run_at_ms = 0;       // wall clock; the message is due then. 0: it is due
  int64_t queued_ms = 0;       // wall clock; when it arrived or became due
  uint64_t through_pause = 0;  // the pause during which it arrived, which does not hold it
  bool started = false;        // a process was started for it, which has not taken it yet
  uint64_t taken_seq = 0;      // if claimed: the event that shows its start comes after this one
  std::string by = std::string(kUnnamedCaller);  // the sender, as events name it

  // The body of its record in the store, and the inverse, which returns nothing for an invalid body.
  [[nodiscard]] std::string ToJson() const;
  static std::optional<Message> FromJson(const std::string& id, const std::string& body);
  // The message as the API shows it.
  [[nodiscard]] std::string Describe(std::string_view state, const std::string& run) const;

  static void Members(auto& self, auto& state) {
    state("id", self.id);
    state("text", self.text);
    state.Enum("mode", self.mode, kModes);
    state("model", self.model);
    state("run_at_ms", self.run_at_ms);
    state("queued_ms", self.queued_ms);
    state("through_pause", self.through_pause);
    state("started", self.started);
    state("taken_seq", self.taken_seq);
    state("by", self.by);
  }
};

const char* NameOf(Message::Mode mode);
std::optional<Message::Mode> ParseMode(std::string_view name);

}  // namespace reeve
