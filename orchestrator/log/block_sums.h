// BlockSums: the checksums of one segment of an event log, a CRC-32C for each block of 4 KiB. Its file stands
// beside the segment (EVENT_LOG.md): `0000000000000001.sums`. Sums are advisory: bytes without a sum are
// believed, so a sum may be written late, or never. A value; the file is used by Load and Save only.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "process/result.h"

namespace reeve {

class BlockSums {
 public:
  // The unit of damage: all events with a byte in a damaged block are lost, and no others.
  static constexpr uint64_t kBlockBytes = 4096;

  BlockSums() = default;
  // The sums of a new segment.
  BlockSums(uint64_t first_seq, uint64_t epoch) : first_seq_(first_seq), epoch_(epoch) {}
  // Reads the sums of the segment at `path`. A record that is missing, or damaged itself, leaves its blocks
  // without sums.
  static BlockSums Load(const std::string& path, uint64_t first_seq);
  static std::string PathFor(const std::string& segment_path);

  // `bytes` have been added to the segment; they end with the event number `last`.
  void Add(std::string_view bytes, uint64_t last);
  // The segment consists of `bytes`, which end with the event number `last`: blocks without a sum get theirs.
  // Damaged blocks stay damaged. If the segment is shorter than it was, the last block gets a new sum: the
  // caller has checked that the part of it that stays is not damaged, because its old sum cannot tell.
  void Settle(std::string_view bytes, uint64_t epoch, uint64_t last);
  // Writes to the file what it lacks. After an error the file has the records that it had or new ones, and
  // the next Save writes all of them.
  Status Save(const std::string& path);
  [[nodiscard]] bool saved() const { return saved_ >= records_.size(); }
  // The sums of 1 MiB or more are not in the file yet. Opening it more often would cost some percent of the
  // time of an event.
  [[nodiscard]] bool save_due() const { return records_.size() > saved_ + 16; }

  // Whether `bytes`, which begin at a multiple of kBlockBytes and are one block or the part of it that the
  // segment has, are as they were written. Also true if that is not known.
  [[nodiscard]] bool Matches(uint64_t offset, std::string_view bytes) const;

  // The last record is valid, so bytes() is the size of the part of the segment that has sums, and last() is
  // the number of the event that ends there. If it is false, those two say nothing about where the sums end,
  // but sums of single blocks, and the epoch (0: it is not), may still be known.
  [[nodiscard]] bool complete() const;
  [[nodiscard]] uint64_t bytes() const { return records_.empty() ? 0 : records_.back().bytes; }
  [[nodiscard]] uint64_t last() const { return records_.empty() ? 0 : records_.back().last; }
  [[nodiscard]] uint64_t epoch() const { return epoch_; }

 private:
  static constexpr size_t kBlocks = 16;  // in a record
  static constexpr uint64_t kRecordBytes = kBlocks * kBlockBytes;
  // As in the file, little-endian.
  struct Record {
    uint64_t epoch = 0;  // of the segment
    uint64_t last = 0;   // the last event of the segment when this was written
    uint64_t bytes = 0;  // of the segment at that time; 0: the record is not valid
    std::array<uint32_t, kBlocks> sums{};
    uint32_t format = 1;
    uint32_t check = 0;  // of the record, its place and its segment
  };
  static_assert(sizeof(Record) == 96);

  [[nodiscard]] uint32_t Check(size_t index) const;
  // The number of bytes of this block that its sum covers; 0: it has none.
  [[nodiscard]] uint64_t Covered(uint64_t block) const;

  uint64_t first_seq_ = 0;
  uint64_t epoch_ = 0;
  std::vector<Record> records_;
  // The first so many records are in the file as they are here. The rest are not, or only in an earlier
  // state.
  size_t saved_ = 0;
};

// The damaged blocks that were found in one log. Each is written to the daemon's log once, however often it
// is read. Thread-safe, because pages are read on the pool.
class DamageReports {
 public:
  static constexpr size_t kMax = 1'000;  // later ones are not reported

  // The block at byte `offset` of the file at `path` is damaged.
  void Report(const std::string& path, uint64_t offset);
  [[nodiscard]] size_t count() const;

 private:
  mutable std::mutex mutex_;
  std::set<std::pair<std::string, uint64_t>> reported_;
};

// Bytes of a segment: either some that can be believed, or the number of bytes that cannot.
struct SegmentPart {
  std::string_view bytes;
  uint64_t damaged = 0;
};

// A segment that is open for reading.
struct SegmentFile {
  int fd;
  const std::string& path;
  const BlockSums& sums;
  uint64_t bytes;  // committed
  DamageReports& reports;

  // Reads about `size` bytes from `offset` on, at least one, into `buffer`. `flags` are those of preadv2.
  // Error "cold": RWF_NOWAIT was given, and the page cache does not have these bytes.
  Result<SegmentPart> Read(uint64_t offset, size_t size, int flags, std::string& buffer) const;
};

}  // namespace reeve
