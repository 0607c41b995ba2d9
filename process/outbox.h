// Outbox: the bytes for a child's stdin, in a file in memory (memfd). The owner stages bytes at its end.
// splice(2) moves published bytes into the pipe, and the kernel moves the file's offset by as many. So at any
// moment each byte is in the file behind that offset or in the pipe, and a process that takes over both
// continues exactly where another one was killed.
//
// Without such a file, where nothing outlives the daemon, the bytes wait in this object.
//
// A member of a Child; on the loop's thread.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "process/fd.h"
#include "process/result.h"

namespace reeve {

class Outbox {
 public:
  Outbox() = default;
  // An empty file for a new Outbox. Close-on-exec.
  static Result<Fd> MakeFile();
  // Takes a new file, or that of an earlier Outbox, whose owner had published `staged` bytes, or none. Bytes
  // that the earlier owner staged after that are forgotten.
  static Result<Outbox> Continue(Fd file, uint64_t staged);

  // After an error none of these bytes is staged.
  Status Stage(std::string_view bytes);
  // Send may send all that was staged so far.
  void Publish() { published_ = staged_; }
  // Moves published bytes into `pipe`, as many as it takes. Returns false if nobody reads it any more.
  bool Send(int pipe);
  [[nodiscard]] uint64_t staged() const { return staged_; }           // bytes staged so far
  [[nodiscard]] uint64_t waiting() const { return staged_ - sent_; }  // of these, not sent
  [[nodiscard]] bool sendable() const { return published_ != sent_; }
  [[nodiscard]] int fd() const { return file_.get(); }

 private:
  [[nodiscard]] ssize_t Move(int pipe);

  Fd file_;            // may be none
  std::string bytes_;  // in place of the file: those that were not sent
  uint64_t staged_ = 0;
  uint64_t published_ = 0;
  uint64_t sent_ = 0;  // the file's offset
  uint64_t released_ = 0;
};

}  // namespace reeve
