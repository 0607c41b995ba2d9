// SseParser: cuts a server-sent event stream into events (WHATWG HTML, section 9.2.6 "Interpreting an event
// stream"). A value. Its memory is bounded: it drops a line or an event longer than max_bytes, and Feed
// reports that once.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

namespace reeve {

struct SseEvent {
  std::string event;    // "message" when the stream named no type
  std::string data;     // lines joined by '\n'
  std::string id;       // the stream's last id so far
  bool has_id = false;  // this event's block set the id
};

class SseParser {
 public:
  using OnEvent = std::function<void(const SseEvent&)>;

  explicit SseParser(size_t max_bytes = size_t{16} << 20) : max_bytes_(max_bytes) {}

  // Calls on_event for each dispatched event, and for a block that only sets an id (data is empty then).
  // Bytes after the last blank line wait for more. on_event must not destroy the parser. Returns false when
  // these bytes made an event too large.
  bool Feed(std::string_view bytes, const OnEvent& on_event);

 private:
  bool Keep(std::string_view piece);
  bool TakeLine(const OnEvent& on_event);
  bool TakeField(std::string_view name, std::string_view value);
  void Dispatch(const OnEvent& on_event);

  size_t max_bytes_;
  std::string line_;
  bool line_too_long_ = false;    // this line is ignored, and the rest of it is skipped
  bool last_was_return_ = false;  // a '\n' that follows belongs to the same line end
  bool at_start_ = true;          // one byte order mark may follow, and is skipped
  bool too_large_ = false;        // the event being read will be dropped at its end
  bool has_data_ = false;
  SseEvent event_;
};

}  // namespace reeve
