#include "control/gateway/event_batches.h"

#include <cstddef>
#include <functional>

#include "control/http/web_socket_reader.h"

namespace reeve {

namespace {

// A batch that grew beyond this does not keep its memory.
constexpr size_t kKeptBytes = size_t{4} << 10;

}  // namespace

std::string EventBatches::Prefix(uint64_t subscription) {
  return R"({"jsonrpc":"2.0","method":"event","params":{"subscription":)" + std::to_string(subscription) +
         ",";
}

void EventBatches::AppendEvent(std::string& frames, std::string_view prefix, std::string_view envelope) {
  envelope.remove_prefix(1);
  AppendTextFrameHead(frames, prefix.size() + envelope.size() + 1);
  frames.append(prefix).append(envelope).push_back('}');
}

EventBatches::Batch& EventBatches::SlotOf(const EventLog* log, uint64_t from, uint64_t subscription) {
  if (slots_.empty()) slots_.resize(kSlots);
  const size_t hash =
      std::hash<const EventLog*>()(log) / alignof(std::max_align_t) + from * 31 + subscription;
  return slots_[hash % kSlots];
}

Result<uint64_t> EventBatches::Append(LogCursor& cursor, uint64_t subscription, std::string& scratch,
                                      std::string& frames, uint64_t* messages) {
  const EventLog* log = &cursor.log();
  Batch& batch = SlotOf(log, cursor.position, subscription);
  if (batch.log == log && batch.from == cursor.position && batch.subscription == subscription) {
    frames += batch.frames;
    *messages += batch.messages;
    cursor.position = batch.to;
    cursor.Delivered(batch.last);
    return batch.to - batch.from;
  }
  if (!batch.log) used_.push_back(&batch);
  batch.log = log;
  batch.subscription = subscription;
  batch.from = cursor.position;
  batch.messages = 0;
  batch.frames.clear();
  const std::string prefix = Prefix(subscription);
  auto read = cursor.ReadEvents(TypeFilter(), scratch, [&](const FrameView& frame, std::string_view) {
    AppendEvent(batch.frames, prefix, frame.envelope);
    batch.last = frame.id;
    ++batch.messages;
  });
  if (read) {
    frames += batch.frames;
    *messages += batch.messages;
    batch.to = cursor.position;
  }
  // Each viewer must notice a gap by itself.
  if (!read || cursor.has_gap() || batch.messages == 0) batch.subscription = 0;
  return read;
}

void EventBatches::Forget() {
  for (Batch* batch : used_) {
    batch->log = nullptr;
    if (batch->frames.capacity() > kKeptBytes) std::string().swap(batch->frames);
  }
  used_.clear();
}

}  // namespace reeve
