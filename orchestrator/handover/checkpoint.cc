#include "orchestrator/handover/checkpoint.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstddef>
#include <utility>

namespace reeve {

namespace {

constexpr uint64_t kMagic = 0x31706b6365766572;  // "reveckp1"
constexpr uint64_t kFirstPlace = 4096;           // the head has the first page for itself
constexpr uint64_t kLeastCapacity = 4096;

// The beginning of the file. `word` is written alone.
struct Head {
  uint64_t magic = kMagic;
  uint64_t offsets[Checkpoint::kParts][2] = {};
  uint64_t capacities[Checkpoint::kParts][2] = {};
  uint32_t word = 0;
  uint32_t unused = 0;
};

Error NotWritten(int error) { return OsError("write a checkpoint", error); }
Error Unreadable() { return {"handover_state", "a checkpoint is damaged"}; }

}  // namespace

Result<Checkpoint> Checkpoint::Make(ProcessParent& parent, ProcessParent::Purpose purpose) {
  Checkpoint made;
  made.file_ = Fd(memfd_create("reeve-checkpoint", MFD_CLOEXEC));
  if (!made.file_.valid()) return OsError("make a checkpoint", errno);
  made.end_ = kFirstPlace;
  if (Status written = made.WriteHead(); !written) return written.error();
  made.key_ = parent.Keep(made.file_.get(), purpose);
  return made;
}

Result<Checkpoint> Checkpoint::Open(Fd file, uint64_t key) {
  Head head;
  struct stat info {};
  if (pread(file.get(), &head, sizeof head, 0) != sizeof head || fstat(file.get(), &info) != 0 ||
      head.magic != kMagic) {
    return Error{"handover_state", "this file is no checkpoint"};
  }
  Checkpoint opened;
  opened.file_ = std::move(file);
  opened.key_ = key;
  opened.word_ = opened.next_word_ = head.word;
  for (size_t part = 0; part < kParts; ++part) {
    for (size_t i = 0; i < 2; ++i) {
      opened.places_[part][i] = {head.offsets[part][i], head.capacities[part][i]};
    }
  }
  opened.end_ = static_cast<uint64_t>(info.st_size);
  return opened;
}

Status Checkpoint::WriteHead() {
  Head head;
  for (size_t part = 0; part < kParts; ++part) {
    for (size_t i = 0; i < 2; ++i) {
      head.offsets[part][i] = places_[part][i].offset;
      head.capacities[part][i] = places_[part][i].capacity;
    }
  }
  head.word = word_;
  if (pwrite(file_.get(), &head, sizeof head, 0) != sizeof head) return NotWritten(errno);
  return {};
}

Status Checkpoint::Write(size_t part, std::string_view text, std::string_view more) {
  const uint32_t bit = uint32_t{1} << part;
  const size_t other = (word_ & bit) != 0 ? 0 : 1;
  Place& place = places_[part][other];
  uint64_t sizes[2] = {text.size(), more.size()};
  const uint64_t bytes = sizeof sizes + text.size() + more.size();
  if (bytes > place.capacity) {
    if (place.capacity != 0) {
      (void)fallocate(file_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                      static_cast<off_t>(place.offset), static_cast<off_t>(place.capacity));
    }
    // Twice as much: a state that grows seldom moves.
    place = {std::max(end_, kFirstPlace), std::max(kLeastCapacity, std::bit_ceil(2 * bytes))};
    end_ = place.offset + place.capacity;
    if (ftruncate(file_.get(), static_cast<off_t>(end_)) != 0) return NotWritten(errno);
    if (Status written = WriteHead(); !written) return written;
  }
  iovec pieces[3] = {{sizes, sizeof sizes},
                     {const_cast<char*>(text.data()), text.size()},
                     {const_cast<char*>(more.data()), more.size()}};
  const ssize_t put = pwritev(file_.get(), pieces, 3, static_cast<off_t>(place.offset));
  if (put != static_cast<ssize_t>(bytes)) return NotWritten(put < 0 ? errno : ENOSPC);
  next_word_ = (next_word_ & ~bit) | (other != 0 ? bit : 0U);
  return {};
}

Status Checkpoint::Commit() {
  const uint32_t word = next_word_ | kValid;
  if (pwrite(file_.get(), &word, sizeof word, offsetof(Head, word)) != sizeof word) return NotWritten(errno);
  word_ = next_word_ = word;
  return {};
}

Result<std::string> Checkpoint::Read(size_t part, std::string* more) const {
  const Place& place = places_[part][(word_ >> part) & 1U];
  if (!valid() || place.offset == 0) return std::string();
  uint64_t sizes[2] = {};
  const auto offset = static_cast<off_t>(place.offset);
  if (pread(file_.get(), sizes, sizeof sizes, offset) != sizeof sizes || sizes[0] > end_ || sizes[1] > end_)
    return Unreadable();
  std::string text(sizes[0] + sizes[1], '\0');
  if (pread(file_.get(), text.data(), text.size(), offset + static_cast<off_t>(sizeof sizes)) !=
      static_cast<ssize_t>(text.size()))
    return Unreadable();
  if (more) *more = text.substr(sizes[0]);
  text.resize(sizes[0]);
  return text;
}

}  // namespace reeve
