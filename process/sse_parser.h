// SseParser: cuts a server-sent event stream into events (WHATWG HTML, section 9.2.6 "Interpreting an event
// stream"). A value. Bounded: a line or an event beyond max_bytes is dropped, and Feed says so once.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

namespace reeve {

struct SseEvent {
  std::string event;    // "message" when the stream named none
  std::string data;     // lines joined by '\n'
  std::string id;       // the stream's last id so far
  bool has_id = false;  // this block set it
};

class SseParser {
 public:
  using OnEvent = std::function<void(const SseEvent&)>;

  explicit SseParser(size_t max_bytes = size_t{16} << 20) : max_bytes_(max_bytes) {}

  // Calls on_event for each event dispatched; also for a block that only sets an id (data empty). What
  // follows the last blank line waits for more. on_event must not destroy the parser. False when this piece
  // of the stream made an event too large.
  bool Feed(std::string_view bytes, const OnEvent& on_event);

 private:
  bool Keep(std::string_view piece);
  bool TakeLine(const OnEvent& on_event);
  bool TakeField(std::string_view name, std::string_view value);
  void Dispatch(const OnEvent& on_event);

  size_t max_bytes_;
  std::string line_;
  bool line_too_long_ = false;    // the rest of it is skipped, and all of it ignored
  bool last_was_return_ = false;  // a '\n' that follows belongs to the same line end
  bool at_start_ = true;          // one byte order mark is skipped
  bool too_large_ = false;        // the event being read is dropped at its end
  bool has_data_ = false;
  SseEvent event_;
};

}  // namespace reeve
