// OpencodeCatchUp: asks an opencode or kilo server for everything that may have been missed while its event
// stream was broken, and delivers it at once. Made for one break by the adapter, which owns it and its calls.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "orchestrator/adapters/opencode/opencode_events.h"
#include "orchestrator/json/json.h"

namespace reeve {

class OpencodeCatchUp {
 public:
  using Keep = std::function<void(JsonDocument)>;
  // GETs `path` and calls `keep` with the answer later. If the call fails, this object is of no more use.
  using Ask = std::function<void(const std::string& path, Keep keep)>;

  OpencodeCatchUp(const OpencodeEvents& events, Ask ask, std::function<void()> done)
      : events_(events), ask_(std::move(ask)), done_(std::move(done)) {}

  void Begin();
  // Valid once it is done, as long as this object lives.
  [[nodiscard]] OpencodeEvents::Snapshot snapshot() const;
  [[nodiscard]] JsonValue statuses() const { return statuses_->root(); }

 private:
  void Get(const std::string& path, Keep keep);
  void GetSession(const std::string& session);
  void GetStatuses();
  void GetMessages(const std::string& session, size_t limit);

  const OpencodeEvents& events_;
  const Ask ask_;
  const std::function<void()> done_;
  int outstanding_ = 0;
  int sessions_ = 0;
  std::optional<JsonDocument> session_, statuses_, permissions_, questions_, todos_;
  std::vector<JsonDocument> children_;
  std::vector<std::pair<std::string, JsonDocument>> messages_;
};

}  // namespace reeve
