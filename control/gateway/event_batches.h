// EventBatches: stretches of event logs as WebSocket messages, each made once and sent to all viewers that
// are at the same place with the same subscription id. Connections count their subscriptions from 1, so most
// viewers share.
//
// A message is `{"jsonrpc":"2.0","method":"event","params":{"subscription":1,…}}`, where … is the event's
// envelope without its first brace.
//
// Owned by the Gateway, which forgets the batches at the end of each turn, because the next one has other
// events.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "control/streams/log_cursor.h"
#include "orchestrator/log/event.h"
#include "process/result.h"

namespace reeve {

class EventBatches {
 public:
  // Batches that are kept. Two that fall on one slot replace each other.
  static constexpr size_t kSlots = 1024;

  // Appends the messages of the next events, about LogCursor::kReadBytes of the log, and moves the cursor
  // behind them. Counts them in `*messages`. Returns how much of the log that was. Errors as
  // LogCursor::ReadEvents.
  Result<uint64_t> Append(LogCursor& cursor, uint64_t subscription, std::string& scratch, std::string& frames,
                          uint64_t* messages);
  void Forget();

  // The beginning of each message of a subscription, up to the envelope.
  static std::string Prefix(uint64_t subscription);
  // Appends one message.
  static void AppendEvent(std::string& frames, std::string_view prefix, std::string_view envelope);

 private:
  struct Batch {
    const EventLog* log = nullptr;  // null: the slot is free
    uint64_t subscription = 0;
    uint64_t from = 0, to = 0;  // positions
    Cursor last;
    uint64_t messages = 0;
    std::string frames;
  };
  Batch& SlotOf(const EventLog* log, uint64_t from, uint64_t subscription);

  std::vector<Batch> slots_;  // made at the first use
  std::vector<Batch*> used_;
};

}  // namespace reeve
