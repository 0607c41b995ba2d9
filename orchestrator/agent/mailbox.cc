#include "orchestrator/agent/mailbox.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "orchestrator/config/units.h"

namespace reeve {

// ------------------------------------------------------------------------------------------------ contents

size_t Mailbox::depth() const {
  return count(Stage::kClaimed) + count(Stage::kSteering) + count(Stage::kWaiting);
}

const Mailbox::Entry* Mailbox::Find(const std::string& id) const {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : &*found->second;
}

bool Mailbox::Has(const std::string& id, Stage stage) const {
  const Entry* entry = Find(id);
  return entry && entry->stage == stage;
}

const Message* Mailbox::claimed() const {
  return count(Stage::kClaimed) == 0 ? nullptr : &entries_.front().message;
}

bool Mailbox::ArrivingNow() const {
  return std::any_of(BeginOf(Stage::kArriving), entries_.end(),
                     [](const Entry& entry) { return entry.message.run_at_ms == 0; });
}

std::vector<std::string> Mailbox::Arriving() const {
  std::vector<std::string> ids;
  for (const Entry& entry : entries_) {
    if (entry.stage == Stage::kArriving) ids.push_back(entry.message.id);
  }
  return ids;
}

std::vector<const Mailbox::Entry*> Mailbox::All() const {
  std::vector<const Entry*> all;
  for (auto at = entries_.begin(), end = BeginOf(Stage::kArriving); at != end; ++at) all.push_back(&*at);
  return all;
}

int64_t Mailbox::next_due_ms() const {
  return count(Stage::kScheduled) == 0 ? 0 : BeginOf(Stage::kScheduled)->message.run_at_ms;
}

// ------------------------------------------------------------------------------------------------- stages

Result<const Message*> Mailbox::Accept(Message message) {
  auto full = [](const std::string& limit) { return Error{"queue_full", limit}; };
  const bool later = message.run_at_ms != 0;
  size_t alike = count(later ? Stage::kScheduled : Stage::kWaiting);
  size_t steers = count(Stage::kSteering);
  auto steers_by = [](const Entry& entry) {
    return entry.message.run_at_ms == 0 && entry.message.mode == Message::Mode::kSteer;
  };
  for (auto at = BeginOf(Stage::kArriving); at != entries_.end(); ++at) {
    if ((at->message.run_at_ms != 0) == later) ++alike;
    if (steers_by(*at)) ++steers;
  }
  for (auto at = BeginOf(Stage::kWaiting); at != BeginOf(Stage::kScheduled); ++at) {
    if (steers_by(*at)) ++steers;
  }
  if (alike >= (later ? kMaxScheduled : kMaxWaiting)) {
    return full(later ? std::to_string(kMaxScheduled) + " messages are already scheduled"
                      : std::to_string(kMaxWaiting) + " messages already wait");
  }
  if (bytes_ + message.text.size() > kMaxBytes) {
    return full("with this message, more than " + FormatSize(kMaxBytes) + " would wait");
  }
  if (message.mode == Message::Mode::kSteer && steers >= kMaxSteers) {
    return full(std::to_string(kMaxSteers) + " steering messages already wait");
  }
  message.through_pause = paused_ ? pauses_ : 0;
  Insert(std::move(message));
  return &entries_.back().message;
}

void Mailbox::Insert(Message message) {
  bytes_ += message.text.size();
  ++counts_[static_cast<size_t>(Stage::kArriving)];
  entries_.push_back({std::move(message), Stage::kArriving});
  by_id_.emplace(entries_.back().message.id, std::prev(entries_.end()));
}

void Mailbox::Restore(Message message) {
  const bool later = message.run_at_ms != 0;
  message.started = false;  // the daemon's end was not the program's
  Insert(std::move(message));
  later ? EnterSchedule(std::prev(entries_.end())) : Enqueue(std::prev(entries_.end()));
}

void Mailbox::Queue(const std::string& id) {
  const auto entry = At(id);
  if (entry->stage == Stage::kArriving) entry->message.through_pause = paused_ ? pauses_ : 0;
  Enqueue(entry);
}

void Mailbox::Enqueue(Entries::iterator entry) {
  auto before = BeginOf(Stage::kScheduled);
  if (HasPrecedence(entry->message)) {
    before = std::find_if(BeginOf(Stage::kWaiting), before, [&](const Entry& other) {
      return &other != &*entry && !HasPrecedence(other.message);
    });
  }
  Move(entry, before, Stage::kWaiting);
}

void Mailbox::Schedule(const std::string& id) { EnterSchedule(At(id)); }

void Mailbox::EnterSchedule(Entries::iterator entry) {
  // From behind: most are made in the order of their times.
  const auto first = BeginOf(Stage::kScheduled);
  auto before = BeginOf(Stage::kArriving);
  while (before != first && std::prev(before)->message.run_at_ms > entry->message.run_at_ms) --before;
  Move(entry, before, Stage::kScheduled);
}

const Message* Mailbox::TakeDue(int64_t now_ms) {
  if (count(Stage::kScheduled) == 0 || next_due_ms() > now_ms) return nullptr;
  const auto first = At(BeginOf(Stage::kScheduled)->message.id);
  Message& message = first->message;
  message.queued_ms = std::exchange(message.run_at_ms, 0);  // it has waited since then
  message.through_pause = paused_ ? pauses_ : 0;
  Move(first, entries_.end(), Stage::kArriving);
  return &message;
}

bool Mailbox::HasNext() const { return Next() != entries_.end(); }

bool Mailbox::WantsProcess() const {
  const Message* one = claimed();
  if (one && !one->started) return true;
  const auto next = Next();
  return next != entries_.end() && !next->message.started;
}

void Mailbox::OnProcessStart() {
  if (const auto next = Next(); next != entries_.end()) At(next->message.id)->message.started = true;
}

std::vector<std::string> Mailbox::NotTaken() const {
  std::vector<std::string> ids;
  for (auto at = BeginOf(Stage::kWaiting), end = BeginOf(Stage::kScheduled); at != end; ++at) {
    if (at->message.started && !IsHeld(at->message)) ids.push_back(at->message.id);
  }
  return ids;
}

// The first interrupting message that the pause does not hold, otherwise the first one of any mode.
Mailbox::Entries::const_iterator Mailbox::Next() const {
  auto next = entries_.end();
  for (auto at = BeginOf(Stage::kWaiting), end = BeginOf(Stage::kScheduled); at != end; ++at) {
    if (IsHeld(at->message)) continue;
    if (at->message.mode == Message::Mode::kInterrupt) return at;
    if (next == entries_.end()) next = at;
  }
  return next;
}

const Message* Mailbox::Claim(uint64_t taken_seq) {
  const auto next = Next();
  if (next == entries_.end() || claimed()) return nullptr;
  const auto entry = At(next->message.id);
  entry->message.taken_seq = taken_seq;
  Move(entry, entries_.begin(), Stage::kClaimed);
  return &entry->message;
}

bool Mailbox::Overtaken() const {
  const Message* one = claimed();
  const auto next = Next();
  return one && one->mode != Message::Mode::kInterrupt && next != entries_.end() &&
         next->message.mode == Message::Mode::kInterrupt;
}

void Mailbox::GiveBack() {
  const auto entry = entries_.begin();
  entry->message.taken_seq = 0;
  auto before = BeginOf(Stage::kWaiting);
  if (!HasPrecedence(entry->message)) {
    before = std::find_if(before, BeginOf(Stage::kScheduled),
                          [this](const Entry& other) { return !HasPrecedence(other.message); });
  }
  Move(entry, before, Stage::kWaiting);
}

void Mailbox::Steer(const std::string& id) { Move(At(id), BeginOf(Stage::kWaiting), Stage::kSteering); }

bool Mailbox::Remove(const std::string& id) {
  const auto entry = At(id);
  if (entry == entries_.end()) return false;
  --counts_[static_cast<size_t>(entry->stage)];
  bytes_ -= entry->message.text.size();
  by_id_.erase(id);
  entries_.erase(entry);
  return true;
}

Mailbox::Entries::iterator Mailbox::At(const std::string& id) {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? entries_.end() : found->second;
}

void Mailbox::Move(Entries::iterator entry, Entries::const_iterator before, Stage stage) {
  --counts_[static_cast<size_t>(entry->stage)];
  ++counts_[static_cast<size_t>(stage)];
  entry->stage = stage;
  if (before != entry) entries_.splice(before, entries_, entry);
}

Mailbox::Entries::const_iterator Mailbox::BeginOf(Stage stage) const {
  // Skips the few steering, claimed and waiting entries from the front and the arriving ones from the back,
  // because thousands may be scheduled.
  size_t before = 0;
  for (size_t i = 0; i < static_cast<size_t>(stage); ++i) before += counts_[i];
  return before <= entries_.size() / 2
             ? std::next(entries_.begin(), static_cast<ptrdiff_t>(before))
             : std::prev(entries_.end(), static_cast<ptrdiff_t>(entries_.size() - before));
}

Mailbox::Entries Mailbox::NotInStore() const {
  const bool few = count(Stage::kWaiting) <= kMaxWaiting;
  Entries entries;
  for (const Entry& entry : entries_) {
    if (entry.stage != Stage::kScheduled && (few || entry.stage != Stage::kWaiting)) entries.push_back(entry);
  }
  return entries;
}

void Mailbox::TakeEntries(Entries entries) {
  entries_ = std::move(entries);
  Recount();
}

void Mailbox::Recount() {
  counts_ = {};
  bytes_ = 0;
  by_id_.clear();
  for (auto entry = entries_.begin(); entry != entries_.end(); ++entry) {
    ++counts_[static_cast<size_t>(entry->stage)];
    bytes_ += entry->message.text.size();
    by_id_.emplace(entry->message.id, entry);
  }
}

// ---------------------------------------------------------------------------------------------- the pause

// This pause holds the messages that an earlier pause did not hold.
void Mailbox::Pause() {
  paused_ = true;
  ++pauses_;
}

void Mailbox::OnStop(bool in_run) {
  if ((in_run && has_turns_) || depth() > 0) Pause();
}

void Mailbox::OnInterrupt() {
  if (has_turns_) Pause();
}

void Mailbox::OnRunEnded(const Run& run, bool stopped) {
  if (!has_turns_ || run.error.code == kDaemonRestarted) return;
  if (run.status == Run::Status::kFailed) Pause();
  if (run.status == Run::Status::kCompleted && !stopped) paused_ = false;
}

}  // namespace reeve
