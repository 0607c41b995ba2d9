// Room log/: the event logs of agents and their transcripts, on disk and as they grow.
//
// EventLog: one agent's numbered, append-only event log. EVENT_LOG.md describes the format of its files.
//
// The log is one stream of bytes: frames (event.h), one after another. A *position* is an offset in that
// stream. The segment files hold the stream, cut at frame ends. The newest part of it is also in memory, in
// 64 KiB chunks. A reader is only a position: Read() looks it up each time, so a stalled reader holds no
// memory.
//
// Append numbers and frames an event. Commit, at the end of the loop's turn, writes all appended events with
// one write; only then do readers see them. When the disk is full, Commit fails and nothing is dropped: the
// appended events wait in memory, writable() returns false, and the owner stops reading its child until
// Commit has succeeded.
//
// Owned by its Agent; used on the loop's thread. It reads segments inline where the page cache has them.
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

#include "orchestrator/log/block_sums.h"
#include "orchestrator/log/event.h"
#include "process/fd.h"
#include "process/result.h"

namespace reeve {

class Clock;

class EventLog {
 public:
  struct Limits {
    uint64_t segment_bytes = uint64_t{16} << 20;  // a segment is closed when it has grown past this
    uint64_t retain_bytes = uint64_t{1} << 30;  // of all segments; the oldest are deleted first. 0: no limit
    int64_t retain_ms = 0;                      // since a segment's last write. 0: no limit
    size_t tail_bytes = size_t{1} << 20;        // of committed events kept in memory
    bool sync_always = false;  // fdatasync within each Commit; false: the owner syncs now and then
  };
  static constexpr size_t kChunkBytes = size_t{64} << 10;
  // With more uncommitted bytes than this the log is not writable(): back-pressure to the child begins.
  static constexpr size_t kMaxUncommitted = size_t{1} << 20;

  // A reader of the log as it grows, such as a viewer. The log only notifies it, and never waits for it.
  class Reader {
   public:
    // The log is about to delete everything before `position`. The reader may leave the log in this call.
    virtual void OnTrim(uint64_t position) = 0;
    // There is more to read. Called for every commit: the reader should only note it, and read later.
    virtual void OnCommit() = 0;

   protected:
    ~Reader() = default;
  };

  // Opens the log in folder `dir` (created if necessary), and cuts a torn tail. A new epoch begins in a new
  // segment, so each segment has one epoch. `epoch` must be greater than any epoch this log has seen. `last`:
  // later events are removed, because the daemon that wrote them died before anybody could see them.
  static Result<std::unique_ptr<EventLog>> Open(const Clock& clock, std::string dir, std::string agent,
                                                uint64_t epoch, Limits limits,
                                                std::optional<uint64_t> last = {});
  ~EventLog();
  EventLog(const EventLog&) = delete;
  EventLog& operator=(const EventLog&) = delete;

  // Numbers and frames one event. `data` is a JSON object on one line. Never fails; Commit reports errors.
  Cursor Append(std::string_view type, std::string_view run, std::string_view data);

  // Appends events and commits them: either all of them are on disk, or none of them is in the log. After an
  // Error (as from Commit) the numbers of these events are free again. Returns the last event's cursor.
  struct NewEvent {
    std::string_view type, run, data;
  };
  Result<Cursor> AppendNow(const std::vector<NewEvent>& events);

  // Writes the appended events. After an error (a full disk) the next Commit writes all of them.
  Status Commit();
  [[nodiscard]] bool dirty() const { return committed_ != end_; }
  [[nodiscard]] uint64_t appended_position() const { return end_; }  // end of the appended bytes
  [[nodiscard]] bool writable() const { return end_ - committed_ < kMaxUncommitted; }
  // Duplicates of the descriptors of all segments written to since the last call, for an fdatasync off the
  // loop.
  std::vector<Fd> TakeForSync();
  // Writes the sums that are not in their files yet. A failure is logged, and they are written later.
  void SaveSums();

  [[nodiscard]] uint64_t epoch() const { return epoch_; }
  // The last appended event, and the last committed one. If there is none in this epoch: {epoch, 0}, or the
  // last event of an earlier epoch.
  [[nodiscard]] Cursor head() const { return head_; }
  [[nodiscard]] Cursor committed() const { return committed_head_; }
  // The cursor just before the oldest event that is kept. A reader with this cursor gets everything.
  [[nodiscard]] Cursor oldest() const;

  [[nodiscard]] uint64_t begin_position() const;
  [[nodiscard]] uint64_t end_position() const { return committed_; }  // end of the bytes that readers may see

  // --- reading. Errors: "expired" for a position that was trimmed away, otherwise the disk's. Bytes from
  // disk are compared with their sums (block_sums.h) before they are used. Events with a byte in a damaged
  // block are left out: a reader sees that by their numbers, which otherwise have no hole.

  // Find tells where a reader continues that has seen everything up to `cursor`, and which events it lost
  // (control/api/API.md).
  struct Start {
    uint64_t position = 0;
    struct Gap {
      Cursor from, to;     // the stream continues after `to`
      const char* reason;  // "expired", "lost" or "damaged"
    };
    std::optional<Gap> gap;
  };
  [[nodiscard]] Result<Start> Find(Cursor cursor) const;
  // The first byte of the first event after number `seq` that is not damaged.
  [[nodiscard]] Result<uint64_t> PositionAfter(uint64_t seq) const;

  // Returns up to `max_bytes` of committed bytes from `position`, as pieces of memory: the shared chunks near
  // the head, otherwise `scratch`, filled from the segment. Returns none at the end. The view is valid until
  // the next Append or Commit. From disk it ends at the end of an event, unless `max_bytes` or the size of
  // the event prevents that, and it has the first byte of an event only if the whole event can be read. Error
  // "cold": the page cache does not have these bytes; run Warm() off the loop and read again. Error
  // "damaged": the event at `position` is damaged; Skip() tells what follows.
  struct View {
    static constexpr int kMaxPieces = 8;
    iovec pieces[kMaxPieces];
    int count = 0;
    size_t bytes = 0;
  };
  [[nodiscard]] bool InMemory(uint64_t position) const { return position >= tail_begin_; }
  Result<View> Read(uint64_t position, size_t max_bytes, std::string& scratch) const;
  // A function that brings the part of the disk at `position` into the page cache. It does not use the log,
  // so it may outlive it.
  [[nodiscard]] std::function<void()> Warm(uint64_t position) const;

  // Where a reader continues that has read up to `position`, the first byte of a damaged event. Error
  // "damaged": it is within an event, or the event before it cannot be read either; then only a cursor helps.
  [[nodiscard]] Result<Start> Skip(uint64_t position) const;

  // Calls visit(frame, its bytes) for each event, from the frame that begins at `position` until it returns
  // false or the log ends. Returns the position after the last visited event. Also reads parts that are not
  // in the page cache.
  Result<uint64_t> Scan(uint64_t position,
                        const std::function<bool(const FrameView&, std::string_view)>& visit) const;

  // The same on another thread: the files with at least `max_bytes` of committed bytes from `position` on.
  // The value does not use the log, so it may outlive it. Scan visits at least that much, unless it is
  // stopped. Error "expired" if a file was deleted meanwhile.
  struct Files {
    struct File {
      std::string path;
      uint64_t position;  // of its first byte in the stream
      uint64_t bytes;     // committed
      uint64_t first_seq;
      std::optional<BlockSums> sums;  // nothing: they are in its file
    };
    std::vector<File> files;
    std::string agent;
    uint64_t log_end = 0;  // end of the log's committed bytes
    Cursor log_head;       // the event that ends there
    std::shared_ptr<DamageReports> reports;

    Result<uint64_t> Scan(uint64_t position,
                          const std::function<bool(const FrameView&, std::string_view)>& visit) const;
  };
  [[nodiscard]] Files FilesFrom(uint64_t position, uint64_t max_bytes) const;

  // The end of the frame that contains `position`; `position` itself if it is a frame's first byte. If the
  // frame is damaged, the next one's first byte.
  [[nodiscard]] Result<uint64_t> FrameEnd(uint64_t position) const;
  // The cursor of a reader at `position`, which is a frame's first byte: the event before it, if that was not
  // damaged. Error "damaged" if the frame at `position` is.
  [[nodiscard]] Result<Cursor> CursorAt(uint64_t position) const;

  void AddReader(Reader* reader) { readers_.push_back(reader); }
  void RemoveReader(Reader* reader);
  [[nodiscard]] const std::vector<Reader*>& readers() const { return readers_; }

  // --- retention and memory
  // Deletes the segments that the limits no longer cover, after notifying the readers. Called at rotation,
  // and by the town now and then because of their age.
  void Trim();
  // Applies to segments from the next commit on; call Trim() to apply it to the existing ones.
  void SetLimits(Limits limits) { limits_ = limits; }
  // Frees the memory of the tail and closes the open files, so all readers read from disk. For a log without
  // recent events; the next Append and Commit reopen it.
  void ReleaseTail();
  // Deletes every file. The log must not be used afterwards.
  Status Remove();

  struct Stats {
    uint64_t bytes_on_disk = 0;
    size_t tail_bytes = 0;
    size_t segments = 0;
    uint64_t appended = 0;      // events, since the log was opened
    int64_t max_commit_us = 0;  // the slowest write since the log was opened
    size_t damaged_blocks = 0;  // that were found since the log was opened
  };
  [[nodiscard]] Stats stats() const;

 private:
  struct Segment {
    std::string path;
    uint64_t first_seq = 0;
    uint64_t epoch = 0;
    uint64_t position = 0;      // position of its first byte in the stream
    uint64_t bytes = 0;         // committed
    int64_t last_write_ms = 0;  // wall clock
  };

  EventLog(const Clock& clock, std::string dir, std::string agent, uint64_t epoch, Limits limits);
  Status Recover();
  Status CutAfter(uint64_t seq);
  Result<std::optional<Segment>> RecoverSegment(uint64_t first_seq);
  Status OpenSegment();
  Status ReopenSegment();
  void DropTail();
  Status TakeBack(Cursor head);
  [[nodiscard]] const Segment& SegmentAt(uint64_t position) const;
  [[nodiscard]] uint64_t EndOf(const Segment& segment) const { return segment.position + segment.bytes; }
  [[nodiscard]] std::optional<BlockSums> SumsInMemory(const Segment& segment) const;
  [[nodiscard]] Error Expired() const;
  [[nodiscard]] Error DamagedAt(uint64_t position) const;
  Result<SegmentFile> Readable(const Segment& segment) const;
  Result<SegmentPart> ReadAt(uint64_t position, size_t size, std::string& buffer) const;
  // A frame's place, and its number.
  struct Place {
    uint64_t position;
    Cursor id;
  };
  Result<std::optional<Place>> FrameStart(uint64_t from, uint64_t end) const;
  Result<Cursor> IdAt(uint64_t position) const;
  Result<Cursor> EventBefore(uint64_t position) const;
  Status CheckRest(const SegmentFile& file, uint64_t offset, char last) const;
  [[nodiscard]] std::optional<Start::Gap> GapAfter(Cursor cursor) const;

  const Clock& clock_;
  const std::string dir_;
  const std::string agent_;
  const uint64_t epoch_;
  Limits limits_;

  Cursor head_;
  Cursor committed_head_;
  uint64_t end_ = 0;        // end of the appended bytes
  uint64_t written_ = 0;    // end of the bytes in the file: within a frame after a short write
  uint64_t committed_ = 0;  // end of the bytes that readers may see: a frame's end

  std::deque<Segment> segments_;  // once fd_ is open, the last one is being written
  uint64_t trimmed_epoch_ =
      0;            // epoch of the event before the oldest kept; 0: not known since the log was opened
  Fd fd_;           // the last segment, from this epoch's first commit on
  BlockSums sums_;  // of the last segment
  // Sums of closed segments that the disk has not taken yet, the newest last. If there are more, the oldest
  // are given up: their segments keep the sums that are in the file.
  struct Unsaved {
    std::string path;
    BlockSums sums;
  };
  static constexpr size_t kMaxUnsaved = 8;
  std::vector<Unsaved> unsaved_;
  bool sums_failed_ = false;  // a failure to save them is logged once
  mutable Fd read_fd_;        // the older segment that was read last
  mutable uint64_t read_fd_seq_ = 0;
  mutable BlockSums read_sums_;
  const std::shared_ptr<DamageReports> reports_ = std::make_shared<DamageReports>();
  std::vector<Fd> unsynced_;  // segments closed since the last TakeForSync
  bool needs_sync_ = false;   // fd_ was written to since TakeForSync

  std::deque<std::unique_ptr<char[]>> chunks_;  // [tail_begin_, end_), kChunkBytes each
  uint64_t tail_begin_ = 0;

  std::string frame_;  // scratch space of Append
  std::string time_;   // time_ms_ as text
  int64_t time_ms_ = -1;
  int64_t max_commit_us_ = 0;
  uint64_t appended_ = 0;
  std::vector<Reader*> readers_;
};

}  // namespace reeve
