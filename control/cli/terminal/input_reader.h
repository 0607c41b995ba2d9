// InputReader: stdin, whatever it is, read by a thread of its own: a descriptor that others share (a terminal
// mostly is one with stdout) may not be made non-blocking, and files cannot be waited for. Owned by a
// command, on its loop; may end while the thread waits.
#pragma once

#include <functional>
#include <memory>
#include <string>

namespace reeve {

class Loop;

class InputReader {
 public:
  // `take` is called on the loop with the next piece, empty at the end, once for each Read().
  InputReader(Loop& loop, std::function<void(std::string bytes)> take);
  ~InputReader();
  InputReader(const InputReader&) = delete;
  InputReader& operator=(const InputReader&) = delete;

  // Asks for one more piece. Only when the one before has come.
  void Read();

 private:
  struct Shared;
  std::shared_ptr<Shared> shared_;
};

}  // namespace reeve
