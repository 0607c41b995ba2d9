// InputReader: reads stdin, of any type, on a thread of its own. A descriptor that other processes share must
// not be made non-blocking (a terminal is usually the same as stdout), and a loop cannot wait for files.
// Owned by a command, on its loop; may be destroyed while the thread waits.
#pragma once

#include <functional>
#include <memory>
#include <string>

namespace reeve {

class Loop;

class InputReader {
 public:
  // Calls `take` on the loop once per Read(), with the next bytes; empty at the end of stdin.
  InputReader(Loop& loop, std::function<void(std::string bytes)> take);
  ~InputReader();
  InputReader(const InputReader&) = delete;
  InputReader& operator=(const InputReader&) = delete;

  // Call only after the previous Read has been answered.
  void Read();

  // Reads no further, for good. The next program on the terminal gets what is typed from now on.
  void Stop();

 private:
  struct Shared;
  std::shared_ptr<Shared> shared_;
};

}  // namespace reeve
