// LineWriter: writes lines to a descriptor, and never waits for its reader. A line that the descriptor does
// not take is dropped and counted; a line with the count precedes the next one that it takes.
//
// Owned by the daemon's log. Not safe for threads: the owner holds a lock.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "process/fd.h"

namespace reeve {

class LineWriter {
 public:
  // Makes the line that tells of `dropped` lines.
  using Note = std::function<std::string(uint64_t dropped)>;

  // `fd` stays the caller's, who may share it with other processes.
  LineWriter(int fd, Note note);

  void Write(std::string_view line);  // with its newline

  [[nodiscard]] uint64_t dropped() const { return dropped_; }  // since the beginning

 private:
  enum class Type { kFile, kSocket, kOther };
  bool Flush();
  [[nodiscard]] ssize_t WriteNow(std::string_view bytes) const;

  const int fd_;
  const Note note_;
  Type type_ = Type::kOther;
  Fd own_;               // the same pipe or terminal, not blocking; invalid: it could not be opened once more
  std::string pending_;  // the part of the last line that was not taken yet
  uint64_t dropped_ = 0;
  uint64_t untold_ = 0;  // of those, the ones that no line has told of
};

}  // namespace reeve
