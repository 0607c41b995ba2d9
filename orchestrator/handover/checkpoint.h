// Checkpoint: the state of one agent, or of the town, as of the end of its last turn, in a file in memory
// that the parent of processes keeps (ProcessParent::Keep). A daemon that was killed has left it, and the
// next one continues from it (KEEPER.md).
//
// A state has two parts, so that one that changes seldom is not written each time. The file has two places
// for each part, and one word that says which places are valid. Write fills the other place of a part; Commit
// makes all that was written valid, by one write of four bytes. So at any moment one whole state is valid.
//
// Owned by its Agent or by the Daemon; on the loop's thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "process/fd.h"
#include "process/process_parent.h"
#include "process/result.h"

namespace reeve {

class Checkpoint {
 public:
  static constexpr size_t kParts = 2;

  // Makes an empty one. Error: no memory or no descriptor.
  static Result<Checkpoint> Make(ProcessParent& parent, ProcessParent::Purpose purpose);
  // Takes that of an earlier daemon, kept under `key`. Error "handover_state": it is none.
  static Result<Checkpoint> Open(Fd file, uint64_t key);
  Checkpoint(Checkpoint&&) = default;
  Checkpoint& operator=(Checkpoint&&) = default;

  // Writes a part, which is not valid yet: `text` and then `more`.
  Status Write(size_t part, std::string_view text, std::string_view more = {});
  // Everything written since the last Commit is valid from now on.
  Status Commit();
  // Whether there has been a Commit.
  [[nodiscard]] bool valid() const { return (word_ & kValid) != 0; }
  // A valid part, and in `*more` what was written after it; empty: it was never written.
  [[nodiscard]] Result<std::string> Read(size_t part, std::string* more = nullptr) const;
  [[nodiscard]] uint64_t key() const { return key_; }

 private:
  // Bit i of the word is the number of the valid place of part i.
  static constexpr uint32_t kValid = uint32_t{1} << kParts;

  struct Place {
    uint64_t offset = 0;  // 0: none yet
    uint64_t capacity = 0;
  };
  Checkpoint() = default;
  Status WriteHead();

  Fd file_;
  uint64_t key_ = 0;
  std::array<std::array<Place, 2>, kParts> places_;
  uint32_t word_ = 0;
  uint32_t next_word_ = 0;  // after Commit
  uint64_t end_ = 0;        // of the file
};

}  // namespace reeve
