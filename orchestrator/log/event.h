// The envelope of an event, and its frame. Append encodes an event once; after that it is only bytes
// (control/api/API.md).
//
//   id: 3-1042\n
//   event: tool.started\n
//   data: {"agent":"a1","epoch":3,"seq":1042,"time":"…","type":"tool.started","run":"r3","data":{…}}\n
//   \n
//
// The data is one line, and a frame contains no blank line except its last, so the end of a frame can be
// found from any byte.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "process/result.h"

namespace reeve {

// A position in an agent's log: "after event <seq>, which was written in <epoch>". Its text is
// "<epoch>-<seq>". {0, 0} is the position before all events; its text may also be "0".
struct Cursor {
  uint64_t epoch = 0;
  uint64_t seq = 0;
  bool operator==(const Cursor&) const = default;
  auto operator<=>(const Cursor&) const = default;

  [[nodiscard]] std::string ToString() const;
  // Reads "3-1042" or "0". Returns nothing for any other text (with signs, spaces, leading zeros, or an
  // overflow).
  static std::optional<Cursor> Parse(std::string_view text);
};

// The parts of the envelope that differ between the events of one log.
struct EventHead {
  std::string_view agent;
  Cursor id;
  std::string_view time;  // FormatTime
  std::string_view type;
  std::string_view run;  // empty: none
};

// Appends the frame to `out`. `data` must be one JSON object, which is not checked; its line breaks become
// spaces.
void AppendFrame(std::string& out, const EventHead& head, std::string_view data);

// A frame's id, type and envelope, for readers that filter or page. The views point into the frame.
struct FrameView {
  Cursor id;
  std::string_view type;
  std::string_view envelope;  // the JSON after "data: "
};
// `bytes` starts at a frame's first byte. Returns nothing if that is not a complete, well-formed frame;
// otherwise sets `*size` to the frame's length.
std::optional<FrameView> ParseFrame(std::string_view bytes, size_t* size);

// The filter of `types=`: "tool.started", "assistant.*", "*", separated by commas. An empty filter matches
// every type.
class TypeFilter {
 public:
  TypeFilter() = default;
  explicit TypeFilter(std::string_view list) : list_(list) {}
  // The same for a list from outside. Error "invalid_request" for a type that cannot exist; it names the
  // nearest one that does.
  static Result<TypeFilter> Parse(std::string_view list);
  [[nodiscard]] bool all() const { return list_.empty(); }
  [[nodiscard]] bool Matches(std::string_view type) const;

 private:
  std::string list_;
};

}  // namespace reeve
