#include "orchestrator/agent/record_writer.h"

#include <utility>

namespace reeve {

namespace {
constexpr int64_t kDiskRetryMs = 1'000;  // a full disk may have room again
}  // namespace

RecordWriter::RecordWriter(Loop& loop, Store& store, Handlers handlers)
    : store_(store), handlers_(std::move(handlers)), retry_(loop, [this] {
        for (auto& write : std::exchange(unwritten_, {})) Try(write);
        handlers_.changed();
      }) {}

RecordWriter::~RecordWriter() {
  alive_.reset();
  for (const Done& done : std::exchange(next_, {})) {
    done(Error{"agent_deleted", "the agent has been deleted"});
  }
}

void RecordWriter::Save(Done done) {
  if (writing_) {
    next_.push_back(std::move(done));
  } else {
    Write(std::nullopt, {std::move(done)});
  }
}

void RecordWriter::SaveFirst(std::optional<MessageRecord> first, Done done) {
  Write(std::move(first), {std::move(done)});
}

void RecordWriter::SaveIfChanged() {
  if (writing_ || waits_for_room() || handlers_.state() == stored_state_) return;
  Write(std::nullopt, {});
}

void RecordWriter::SetStored(std::string state, bool alive) {
  stored_state_ = std::move(state);
  alive_on_disk_ = alive;
}

void RecordWriter::Write(std::optional<MessageRecord> first, std::vector<Done> dones) {
  writing_ = true;
  Content content = handlers_.content();
  stored_state_ = content.record.state;
  auto on_disk = [this, alive = std::weak_ptr<bool>(alive_), wish = content.alive,
                  dones = std::move(dones)](const Status& status) {
    if (!alive.expired()) OnWritten(status, wish);
    for (const Done& done : dones) done(status);  // even if the agent was destroyed meanwhile
    if (!alive.expired()) WriteNext();
  };
  // The end of an agent must be on disk even if that is full: it is what makes room.
  const Store::Room room = content.alive ? Store::Room::kFree : Store::Room::kReserve;
  if (first) {
    store_.PutAgent(std::move(content.record), std::move(*first), std::move(on_disk));
  } else {
    store_.PutAgent(std::move(content.record), std::move(on_disk), room);
  }
}

void RecordWriter::OnWritten(const Status& status, bool alive) {
  if (status) {
    alive_on_disk_ = alive;
    stored_ = true;
  } else {
    stored_state_.clear();
    RetryLater();
  }
}

// Runs after the callbacks of the last write, because they may change the content of the next one.
void RecordWriter::WriteNext() {
  writing_ = false;
  if (!next_.empty()) Write(std::nullopt, std::exchange(next_, {}));
  handlers_.changed();
}

void RecordWriter::WriteEventually(std::function<void(Store::Done)> write, std::function<void()> written) {
  ++eventual_;
  Try(std::make_shared<Eventual>(Eventual{std::move(write), std::move(written)}));
}

void RecordWriter::Try(const std::shared_ptr<Eventual>& eventual) {
  eventual->write([this, alive = std::weak_ptr<bool>(alive_), eventual](const Status& status) {
    if (alive.expired()) return;
    if (!status) {
      if (!std::exchange(eventual->refused, true)) ++refused_;
      unwritten_.push_back(eventual);
      return RetryLater();
    }
    --eventual_;
    if (eventual->refused) --refused_;
    if (eventual->written) eventual->written();
  });
}

void RecordWriter::RetryLater() {
  if (!retry_.active()) retry_.Start(kDiskRetryMs);
}

}  // namespace reeve
