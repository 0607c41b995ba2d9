#include "process/sse_parser.h"

namespace reeve {

namespace {
// The memory of a long line shrinks to this; ordinary lines are shorter and reuse it.
constexpr size_t kKeptBytes = size_t{64} << 10;
}  // namespace

bool SseParser::Feed(std::string_view bytes, const OnEvent& on_event) {
  bool fits = true;
  while (!bytes.empty()) {
    if (last_was_return_) {
      last_was_return_ = false;
      if (bytes.front() == '\n') {
        bytes.remove_prefix(1);
        continue;
      }
    }
    size_t end = bytes.find_first_of("\r\n");
    if (end == std::string_view::npos) return Keep(bytes) && fits;
    fits &= Keep(bytes.substr(0, end));
    last_was_return_ = bytes[end] == '\r';
    bytes.remove_prefix(end + 1);
    fits &= TakeLine(on_event);
  }
  return fits;
}

bool SseParser::Keep(std::string_view piece) {
  if (line_too_long_) return true;
  if (piece.size() <= max_bytes_ - line_.size()) {
    line_.append(piece);
    return true;
  }
  line_too_long_ = true;
  line_.clear();
  too_large_ = true;
  return false;
}

bool SseParser::TakeLine(const OnEvent& on_event) {
  std::string_view line = line_;
  if (at_start_) {
    at_start_ = false;
    if (line.starts_with("\xEF\xBB\xBF")) line.remove_prefix(3);
  }
  bool fits = true;
  if (line_too_long_) {
    line_too_long_ = false;
  } else if (line.empty()) {
    Dispatch(on_event);
  } else if (size_t colon = line.find(':'); colon != 0) {  // a colon at the start makes the line a comment
    std::string_view value = colon == std::string_view::npos ? std::string_view() : line.substr(colon + 1);
    if (value.starts_with(' ')) value.remove_prefix(1);
    fits = TakeField(line.substr(0, colon), value);
  }
  line_.clear();
  if (line_.capacity() > kKeptBytes) line_.shrink_to_fit();
  return fits;
}

bool SseParser::TakeField(std::string_view name, std::string_view value) {
  if (name == "data") {
    if (too_large_) return true;
    if (value.size() + 1 > max_bytes_ - event_.data.size()) {
      too_large_ = true;
      event_.data.clear();
      return false;
    }
    if (has_data_) event_.data += '\n';
    event_.data += value;
    has_data_ = true;
  } else if (name == "event") {
    event_.event = value;
  } else if (name == "id" && value.find('\0') == std::string_view::npos) {
    event_.id = value;
    event_.has_id = true;
  }
  return true;  // "retry" and unknown fields do not concern us
}

void SseParser::Dispatch(const OnEvent& on_event) {
  if (!too_large_ && (has_data_ || event_.has_id)) {
    if (event_.event.empty()) event_.event = "message";
    on_event(event_);
  }
  event_.event.clear();
  event_.data.clear();
  event_.has_id = false;
  has_data_ = false;
  too_large_ = false;
}

}  // namespace reeve
