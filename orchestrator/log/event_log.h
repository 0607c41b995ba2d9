// Room log/: the event logs of agents and their transcripts, on disk and as they grow.
//
// EventLog: one agent's numbered, append-only event log. The format of its files is EVENT_LOG.md's.
//
// It is one stream of bytes: frames (event.h), one after another. A *position* is an offset in that stream;
// the segment files hold the stream cut at frame ends, and the newest part of it also stands in memory, in
// 64 KiB chunks. A reader is a position and nothing else: Read() looks it up afresh each time, so a reader
// that stalls holds nothing.
//
// Append numbers and frames; Commit, at the end of the loop's turn, writes all that was appended with one
// write; only then do readers see it. When the disk is full Commit fails, nothing is dropped, what was
// appended waits in memory, writable() says no, and the owner stops reading its child until Commit has
// succeeded.
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

#include "orchestrator/log/event.h"
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
    bool sync_always = false;  // fdatasync within each Commit; otherwise the owner syncs now and then
  };
  static constexpr size_t kChunkBytes = size_t{64} << 10;
  // Above this much uncommitted the log is not writable(): back-pressure to the child begins.
  static constexpr size_t kMaxUncommitted = size_t{1} << 20;

  // Somebody who reads the log as it grows: told, never asked. A viewer.
  class Reader {
   public:
    // The log is about to delete everything before `position`. The reader may leave the log in this call.
    virtual void OnTrim(uint64_t position) = 0;
    // There is more to read. Called for every commit: to be noted, not acted upon.
    virtual void OnCommit() = 0;

   protected:
    ~Reader() = default;
  };

  // Opens the log in folder `dir` (made if need be), cutting a torn tail. A new epoch begins in a new
  // segment, so each segment has one. `epoch` must be greater than any this log has seen.
  static Result<std::unique_ptr<EventLog>> Open(const Clock& clock, std::string dir, std::string agent,
                                                uint64_t epoch, Limits limits);
  ~EventLog();
  EventLog(const EventLog&) = delete;
  EventLog& operator=(const EventLog&) = delete;

  // Numbers and frames one event. `data` is a JSON object on one line. Never fails; see Commit.
  Cursor Append(std::string_view type, std::string_view run, std::string_view data);

  // Appends events and commits them: all are on disk, or none is in the log. On an Error (as of Commit) the
  // numbers of these events are free again. The last one's cursor.
  struct NewEvent {
    std::string_view type, run, data;
  };
  Result<Cursor> AppendNow(const std::vector<NewEvent>& events);

  // Writes what was appended. On an error (a full disk) all of it stays to be written by the next Commit.
  Status Commit();
  [[nodiscard]] bool dirty() const { return committed_ != end_; }
  [[nodiscard]] bool writable() const { return end_ - committed_ < kMaxUncommitted; }
  // Duplicates of the segments written to since the last call, for an fdatasync off the loop.
  std::vector<Fd> TakeForSync();

  // Called once for each time the log goes from clean to dirty: how the town learns whom to commit.
  void OnDirty(std::function<void()> notify) { on_dirty_ = std::move(notify); }

  [[nodiscard]] uint64_t epoch() const { return epoch_; }
  // The last event appended, and the last one committed; {epoch, 0} or an earlier epoch's where there is
  // none.
  [[nodiscard]] Cursor head() const { return head_; }
  [[nodiscard]] Cursor committed() const { return committed_head_; }
  // Of the oldest event still kept, less one: the cursor that gets everything.
  [[nodiscard]] Cursor oldest() const;

  [[nodiscard]] uint64_t begin_position() const;
  [[nodiscard]] uint64_t end_position() const { return committed_; }  // of what readers may see

  // --- reading. Errors: "expired" for a position that was trimmed away, else the disk's.
  // Where a reader that has seen up to `cursor` goes on, and what it lost (control/api/API.md).
  struct Start {
    uint64_t position = 0;
    struct Gap {
      Cursor from, to;     // the stream goes on after `to`
      const char* reason;  // "expired" or "lost"
    };
    std::optional<Gap> gap;
  };
  [[nodiscard]] Result<Start> Find(Cursor cursor) const;
  // The first byte of the first event after number `seq`.
  [[nodiscard]] Result<uint64_t> PositionAfter(uint64_t seq) const;

  // Up to `max_bytes` of committed bytes from `position`, as pieces of memory: the shared chunks near the
  // head, else `scratch`, read from the segment. None at the end. The view is good until the next Append or
  // Commit. Error "cold": the page cache has not got it; run Warm() off the loop and read again.
  struct View {
    static constexpr int kMaxPieces = 8;
    iovec pieces[kMaxPieces];
    int count = 0;
    size_t bytes = 0;
  };
  [[nodiscard]] bool InMemory(uint64_t position) const { return position >= tail_begin_; }
  Result<View> Read(uint64_t position, size_t max_bytes, std::string& scratch) const;
  // A function that brings the part of the disk at `position` into the page cache; it needs nothing of the
  // log.
  [[nodiscard]] std::function<void()> Warm(uint64_t position) const;

  // Calls visit(frame, its bytes) for each event from `position`, a frame's first byte, on, until it returns
  // false or the end. Returns the position after the last one visited. Reads cold parts too.
  Result<uint64_t> Scan(uint64_t position,
                        const std::function<bool(const FrameView&, std::string_view)>& visit) const;

  // The end of the frame that `position` stands in; `position` itself when it is a frame's first byte.
  [[nodiscard]] Result<uint64_t> FrameEnd(uint64_t position) const;
  // The cursor of a reader at `position`, a frame's first byte: the event before it.
  [[nodiscard]] Result<Cursor> CursorAt(uint64_t position) const;

  void AddReader(Reader* reader) { readers_.push_back(reader); }
  void RemoveReader(Reader* reader);
  [[nodiscard]] const std::vector<Reader*>& readers() const { return readers_; }

  // --- retention and memory
  // Deletes the segments that the limits no longer cover, after telling the readers. Called at rotation, and
  // by the town now and then for age.
  void Trim();
  // From the next commit on; Trim() makes it hold for what is there.
  void SetLimits(Limits limits) { limits_ = limits; }
  // Gives back the memory of the tail and the open files: all readers read from disk. For a log that has gone
  // quiet; the next Append and Commit go on with it.
  void ReleaseTail();
  // Deletes every file. The log is spent.
  Status Remove();

  struct Stats {
    uint64_t bytes_on_disk = 0;
    size_t tail_bytes = 0;
    size_t segments = 0;
    uint64_t appended = 0;      // events, since the log was opened
    int64_t max_commit_us = 0;  // the slowest write since the log was opened
  };
  [[nodiscard]] Stats stats() const;

 private:
  struct Segment {
    uint64_t first_seq = 0;
    uint64_t epoch = 0;
    uint64_t position = 0;      // of its first byte in the stream
    uint64_t bytes = 0;         // committed
    int64_t last_write_ms = 0;  // wall clock
  };

  EventLog(const Clock& clock, std::string dir, std::string agent, uint64_t epoch, Limits limits);
  Status Recover();
  Result<std::optional<Segment>> RecoverSegment(uint64_t first_seq);
  Status OpenSegment();
  Status ReopenSegment();
  void DropTail();
  Status TakeBack(Cursor head);
  [[nodiscard]] std::string PathOf(const Segment& segment) const;
  [[nodiscard]] const Segment& SegmentAt(uint64_t position) const;
  [[nodiscard]] uint64_t EndOf(const Segment& segment) const { return segment.position + segment.bytes; }
  [[nodiscard]] Error Expired() const;
  Result<int> ReadableFd(const Segment& segment) const;
  Result<size_t> ReadAt(uint64_t position, char* out, size_t size) const;
  Result<std::optional<uint64_t>> FrameStart(uint64_t from, uint64_t end) const;
  Result<Cursor> IdAt(uint64_t position) const;

  const Clock& clock_;
  const std::string dir_;
  const std::string agent_;
  const uint64_t epoch_;
  Limits limits_;

  Cursor head_;
  Cursor committed_head_;
  uint64_t end_ = 0;        // of what was appended
  uint64_t written_ = 0;    // of what reached the file: in mid-frame after a short write
  uint64_t committed_ = 0;  // of what readers may see: a frame's end

  std::deque<Segment> segments_;  // the last one is written to once fd_ is open
  uint64_t trimmed_epoch_ = 0;  // of the event before the oldest kept; 0: not known since the log was opened
  Fd fd_;                       // of the last segment, from this epoch's first commit on
  mutable Fd read_fd_;          // of the segment read last, an older one
  mutable uint64_t read_fd_seq_ = 0;
  std::vector<Fd> unsynced_;  // segments closed since the last TakeForSync
  bool needs_sync_ = false;   // fd_ was written to since then

  std::deque<std::unique_ptr<char[]>> chunks_;  // [tail_begin_, end_), kChunkBytes each
  uint64_t tail_begin_ = 0;

  std::string frame_;  // scratch of Append
  std::string time_;   // of time_ms_, formatted
  int64_t time_ms_ = -1;
  int64_t max_commit_us_ = 0;
  uint64_t appended_ = 0;
  std::vector<Reader*> readers_;
  std::function<void()> on_dirty_;
};

}  // namespace reeve
