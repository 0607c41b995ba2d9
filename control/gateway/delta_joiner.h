// DeltaJoiner: joins the deltas of one text that follow each other (`assistant.delta`, `reasoning.delta`),
// for a viewer that is behind and asked for that (`coalesce`). The joined event has the number of the last
// one, and `joined`, how many it stands for. The log is unchanged.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "orchestrator/log/event.h"

namespace reeve {

class DeltaJoiner {
 public:
  using Take = std::function<void(std::string_view envelope)>;
  // `take` gets the envelopes of the events, in order.
  explicit DeltaJoiner(Take take) : take_(std::move(take)) {}

  void Add(const FrameView& frame);
  // Gives away what is held. To be called at the end.
  void Flush();

 private:
  const Take take_;
  // The deltas that are held.
  uint64_t count_ = 0;
  std::string first_;  // the envelope of the first one, which may stay alone
  std::string agent_, type_, run_, message_id_, text_;
  Cursor last_;
  std::string time_;  // of the last one
};

}  // namespace reeve
