// SseParser: cuts a server-sent event stream into events (WHATWG HTML, section 9.2.6 "Interpreting an event
// stream"). A value. Bounded: an event beyond max_bytes is dropped, and Feed says so once.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "process/lines.h"

namespace reeve {

struct SseEvent {
  std::string event;  // "message" when the stream named none
  std::string data;   // lines joined by '\n'
  std::string id;     // the stream's last id so far
  bool has_id = false;  // this block set it
};

class SseParser {
 public:
  explicit SseParser(size_t max_bytes = size_t{16} << 20);

  // Calls on_event for each event dispatched; also for a block that only sets an id (data empty).
  // False when an event was dropped for its size.
  bool Feed(std::string_view bytes, const std::function<void(const SseEvent&)>& on_event);

 private:
  void TakeLine(std::string_view line, const std::function<void(const SseEvent&)>& on_event);

  size_t max_bytes_;
  std::string line_;
  bool last_was_return_ = false;  // a '\n' that follows belongs to the same line end
  bool at_start_ = true;          // one byte order mark is skipped
  bool too_large_ = false;        // the event being read is dropped at its end
  bool dropped_ = false;
  bool has_data_ = false;
  SseEvent event_;
};

}  // namespace reeve
