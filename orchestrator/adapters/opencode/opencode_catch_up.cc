#include "orchestrator/adapters/opencode/opencode_catch_up.h"

namespace reeve {

namespace {

// The number of messages to ask for: a few, then four times as many, until they reach back to the known ones,
// up to the largest number.
constexpr size_t kFewMessages = 20;
constexpr size_t kManyMessages = 1'280;
constexpr int kMaxSessions = 64;  // sub-agents included

}  // namespace

// Session ids need no escaping: the server made them, or recognised them when they were escaped.
void OpencodeCatchUp::Begin() {
  const std::string session = "/session/" + events_.session();
  Get("/permission", [this](JsonDocument json) { permissions_ = std::move(json); });
  Get("/question", [this](JsonDocument json) { questions_ = std::move(json); });
  Get(session, [this](JsonDocument json) { session_ = std::move(json); });
  Get(session + "/todo", [this](JsonDocument json) { todos_ = std::move(json); });
  GetSession(events_.session());
}

void OpencodeCatchUp::Get(const std::string& path, Keep keep) {
  ++outstanding_;
  ask_(path, [this, keep = std::move(keep)](JsonDocument json) {
    keep(std::move(json));  // may ask for more
    if (--outstanding_ != 0) return;
    if (!statuses_) return GetStatuses();
    const auto done = done_;  // the call may destroy this object
    done();
  });
}

// Asked for last: everything that a session said before it was idle then is in the earlier answers.
void OpencodeCatchUp::GetStatuses() {
  Get("/session/status", [this](JsonDocument json) { statuses_ = std::move(json); });
}

void OpencodeCatchUp::GetSession(const std::string& session) {
  if (++sessions_ > kMaxSessions) return;
  GetMessages(session, kFewMessages);
  Get("/session/" + session + "/children", [this](JsonDocument json) {
    for (const JsonValue& child : json.root().Elements()) {
      if (events_.Follows(child)) GetSession(std::string(child["id"].StringOr("")));
    }
    children_.push_back(std::move(json));
  });
}

void OpencodeCatchUp::GetMessages(const std::string& session, size_t limit) {
  Get("/session/" + session + "/message?limit=" + std::to_string(limit),
      [this, session, limit](JsonDocument json) {
        const bool all = json.root().size() < limit;
        if (!all && limit < kManyMessages && !events_.ReachesBack(json.root()))
          return GetMessages(session, limit * 4);
        messages_.emplace_back(session, std::move(json));
      });
}

OpencodeEvents::Snapshot OpencodeCatchUp::snapshot() const {
  OpencodeEvents::Snapshot snapshot;
  snapshot.session = session_->root();
  snapshot.permissions = permissions_->root();
  snapshot.questions = questions_->root();
  snapshot.todos = todos_->root();
  for (const JsonDocument& list : children_) {
    for (const JsonValue& child : list.root().Elements()) snapshot.children.push_back(child);
  }
  for (const auto& [session, messages] : messages_) snapshot.messages.emplace_back(session, messages.root());
  return snapshot;
}

}  // namespace reeve
