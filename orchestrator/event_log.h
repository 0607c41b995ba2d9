// EventLog: one agent's numbered, append-only event log. The format of its files is EVENT_LOG.md's.
//
// It is one stream of bytes: frames (event.h), one after another. A *position* is an offset in that stream;
// the segment files hold the stream cut at frame ends, and the newest part of it also stands in memory, in
// 64 KiB chunks. A reader is a position and nothing else: Read() looks it up afresh each time, so a reader that
// stalls holds nothing.
//
// Append numbers and frames; Commit, at the end of the loop's turn, writes all that was appended with one
// write; only then do readers see it. When the disk is full Commit fails, nothing is dropped, what was appended
// waits in memory, writable() says no, and the owner stops reading its child until Commit has succeeded.
//
// Owned by its Agent; used on the loop's thread. Segments are read inline where the page cache has them.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "orchestrator/event.h"
#include "process/fd.h"
#include "process/result.h"

namespace reeve {

class Clock;

class EventLog {
 public:
  struct Limits {
    uint64_t segment_bytes = uint64_t{16} << 20;  // a segment is closed when it has grown past this
    uint64_t retain_bytes = uint64_t{1} << 30;    // of all segments; the oldest go first. 0: no limit
    int64_t retain_ms = 0;                        // since a segment's last write. 0: no limit
    size_t tail_bytes = size_t{1} << 20;          // of committed events kept in memory
  };
  static constexpr size_t kChunkBytes = size_t{64} << 10;
  // Above this much uncommitted the log is not writable(): back-pressure to the child begins.
  static constexpr size_t kMaxUncommitted = size_t{1} << 20;

  // Somebody who reads the log as it grows: told, never asked. A viewer.
  class Reader {
   public:
    // The log is about to delete everything before `position`.
    virtual void OnTrim(uint64_t position) = 0;

   protected:
    ~Reader() = default;
  };

  // Opens the log in folder `dir` (made if need be), cutting a torn tail. A new epoch begins in a new segment,
  // so each segment has one. `epoch` must be greater than any this log has seen.
  static Result<std::unique_ptr<EventLog>> Open(const Clock& clock, std::string dir, std::string agent,
                                                uint64_t epoch, Limits limits);
  ~EventLog();
  EventLog(const EventLog&) = delete;
  EventLog& operator=(const EventLog&) = delete;

  // Numbers and frames one event. `data` is a JSON object on one line. Never fails; see Commit.
  Cursor Append(std::string_view type, std::string_view run, std::string_view data);

  // Writes what was appended. On an error (a full disk) all of it stays to be written by the next Commit.
  Status Commit();
  [[nodiscard]] bool dirty() const { return written_ != end_; }
  [[nodiscard]] bool writable() const { return end_ - committed_ < kMaxUncommitted; }
  // A descriptor of the segment now written to, duplicated for an fdatasync off the loop; empty if nothing was
  // written since the last call.
  Fd TakeForSync();

  // Called once for each time the log goes from clean to dirty: how the town learns whom to commit.
  void OnDirty(std::function<void()> notify) { on_dirty_ = std::move(notify); }

  [[nodiscard]] uint64_t epoch() const { return epoch_; }
  // The last event appended, and the last one committed; {epoch, 0} or an earlier epoch's where there is none.
  [[nodiscard]] Cursor head() const { return head_; }
  [[nodiscard]] Cursor committed() const { return committed_head_; }
  // Of the oldest event still kept, less one: the cursor that gets everything.
  [[nodiscard]] Cursor oldest() const;

  [[nodiscard]] uint64_t begin_position() const;
  [[nodiscard]] uint64_t end_position() const { return committed_; }  // of what readers may see

  // --- reading
  // Where a reader that has seen up to `cursor` goes on, and what it lost.
  struct Start {
    uint64_t position = 0;
    struct Gap {
      Cursor from, to;
      const char* reason;  // "expired" or "lost"
    };
    std::optional<Gap> gap;
  };
  // Error only when the disk cannot be read.
  [[nodiscard]] Result<Start> Find(Cursor cursor) const;

  // Up to `max_bytes` of committed bytes from `position`, as pieces of memory in `iov`: shared chunks near the
  // head, else a buffer of this log's, good until the next Read of any log. At least one byte unless `position`
  // is the end. Positions that were trimmed away are an Error "expired"; "cold" says that the page cache has
  // not got it: Warm() it off the loop and read again.
  struct View {
    iovec iov[17];
    int count = 0;
    size_t bytes = 0;
  };
  Result<View> Read(uint64_t position, size_t max_bytes, bool allow_cold = false) const;
  // A function that reads the part around `position` from the disk, for the pool; it needs nothing of the log.
  std::function<void()> Warm(uint64_t position) const;

  // The end of the frame that `position` stands in; `position` itself when it is a frame's first byte.
  [[nodiscard]] Result<uint64_t> FrameEnd(uint64_t position) const;
  // The cursor of a reader at `position`, a frame's first byte: the event before it.
  [[nodiscard]] Result<Cursor> CursorAt(uint64_t position) const;

  void AddReader(Reader* reader) { readers_.push_back(reader); }
  void RemoveReader(Reader* reader);
  [[nodiscard]] const std::vector<Reader*>& readers() const { return readers_; }

  // --- retention and memory
  // Deletes the segments that the limits no longer cover, after telling the readers. Called at rotation, and by
  // the town now and then for age.
  void Trim();
  // Gives the memory of the tail back: all readers read from disk. For a log that has gone quiet.
  void ReleaseTail();
  // Deletes every file. The log is spent.
  Status Remove();

  struct Stats {
    uint64_t bytes_on_disk = 0;
    size_t tail_bytes = 0;
    size_t segments = 0;
    int64_t max_commit_us = 0;  // the slowest write since the log was opened
  };
  [[nodiscard]] Stats stats() const;

 private:
  struct Segment {
    uint64_t first_seq = 0;
    uint64_t epoch = 0;
    uint64_t position = 0;  // of its first byte in the stream
    uint64_t bytes = 0;     // committed
    int64_t last_write_ms = 0;  // wall clock
    Fd fd;                      // open for reading while somebody does, always for the last
  };

  EventLog(const Clock& clock, std::string dir, std::string agent, uint64_t epoch, Limits limits);
  Status Recover();
  Status OpenSegment(uint64_t first_seq);

  const Clock& clock_;
  std::string dir_;
  std::string agent_;
  uint64_t epoch_;
  Limits limits_;

  Cursor head_;
  Cursor committed_head_;
  uint64_t end_ = 0;        // of what was appended
  uint64_t written_ = 0;    // of what reached the file, perhaps in mid-frame after a short write
  uint64_t committed_ = 0;  // of what readers may see: a frame's end

  std::deque<Segment> segments_;
  std::deque<std::unique_ptr<char[]>> chunks_;  // the tail, kChunkBytes each
  uint64_t tail_begin_ = 0;                     // position of chunks_[0]'s first byte
};

}  // namespace reeve
