// The envelope of an event, and its frame: encoded once, in Append, and from then on only bytes
// (control/api/API.md).
//
//   id: 3-1042\n
//   event: tool.started\n
//   data: {"agent":"a1","epoch":3,"seq":1042,"time":"…","type":"tool.started","run":"r3","data":{…}}\n
//   \n
//
// The data line is one line: a frame holds no other blank line, so its end can be found from anywhere.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace reeve {

// A position in an agent's log: "after event <seq>, which was written in <epoch>". Written "<epoch>-<seq>";
// {0, 0}, which is also read from "0", is before everything.
struct Cursor {
  uint64_t epoch = 0;
  uint64_t seq = 0;
  bool operator==(const Cursor&) const = default;
  auto operator<=>(const Cursor&) const = default;

  [[nodiscard]] std::string ToString() const;
  // "3-1042" or "0"; nothing for anything else (no signs, no spaces, no leading zeros, no overflow).
  static std::optional<Cursor> Parse(std::string_view text);
};

// What varies between the events of one log.
struct EventHead {
  std::string_view agent;
  Cursor id;
  std::string_view time;  // FormatTime
  std::string_view type;
  std::string_view run;  // empty: none
};

// Appends the frame to `out`. `data` is one JSON object, trusted to be so; its line breaks become spaces.
void AppendFrame(std::string& out, const EventHead& head, std::string_view data);

// What a frame says of itself, for readers that filter or page. Views into the frame.
struct FrameView {
  Cursor id;
  std::string_view type;
  std::string_view envelope;  // the JSON after "data: "
};
// `frame` begins at a frame's first byte. Nothing if it is not a whole, well-formed frame; `*size` is set to
// the frame's length otherwise.
std::optional<FrameView> ParseFrame(std::string_view bytes, size_t* size);

// Filters of `types=`: "tool.started", "assistant.*", "*", comma-separated; empty lets all through.
class TypeFilter {
 public:
  TypeFilter() = default;
  explicit TypeFilter(std::string_view list) : list_(list) {}
  [[nodiscard]] bool all() const { return list_.empty(); }
  [[nodiscard]] bool Matches(std::string_view type) const;

 private:
  std::string list_;
};

}  // namespace reeve
