// Capture: the output of a child that has left its pipe and is not yet handled. splice(2) moves bytes from
// the pipe into a file in memory (memfd), within the kernel: at any moment each byte is in the pipe or in
// that file, and the file's size is the number of bytes that were ever taken. So a process that holds the
// pipe and the file knows all output that another process, which was killed, had not handled.
//
// Without such a file, where nothing outlives the daemon, it only reads the pipe.
//
// A member of a Child; on the loop's thread.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>

#include "process/fd.h"
#include "process/result.h"

namespace reeve {

class Capture {
 public:
  static constexpr size_t kTakeBytes = size_t{64} << 10;  // a pipe holds as much

  Capture() = default;
  // An empty file for a new Capture. Close-on-exec.
  static Result<Fd> MakeFile();
  // Takes a new file, or that of an earlier Capture, whose owner had handled `consumed` bytes, or none.
  static Result<Capture> Continue(Fd file, uint64_t consumed);

  // As read(2) from `pipe`; but bytes that wait here come first. At most kTakeBytes wait.
  ssize_t Read(int pipe, char* buffer, size_t size);
  // Bytes wait here, so the pipe need not be readable.
  [[nodiscard]] uint64_t waiting() const { return taken_ - consumed_; }
  // The number of bytes that Read has returned so far, also for earlier owners.
  [[nodiscard]] uint64_t consumed() const { return consumed_; }
  // Gives back the memory of consumed bytes, which then cannot be read again.
  void Release();
  [[nodiscard]] int fd() const { return file_.get(); }

 private:
  Fd file_;                // may be none
  uint64_t taken_ = 0;     // the file's size
  uint64_t consumed_ = 0;  // bytes that Read has returned
  uint64_t released_ = 0;  // a whole number of pages
};

}  // namespace reeve
