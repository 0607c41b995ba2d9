#include "orchestrator/log/event_log.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <utility>

#include "process/clock.h"
#include "process/log.h"
#include "process/regular_file.h"

namespace reeve {

namespace {

constexpr std::string_view kSuffix = ".sse";
constexpr std::string_view kSumsSuffix = ".sums";
constexpr const char* kDamaged = ".damaged";
constexpr std::string_view kFrameEnd = "\n\n";
// Large enough for "id: <20 digits>-<20 digits>\n".
constexpr size_t kIdBytes = 48;
// In a stretch of this length, a linear scan replaces the bisection.
constexpr uint64_t kScanBytes = uint64_t{64} << 10;
// No frame is longer than this, so we stop looking for a frame's end. A child's output is cut at 1 MiB per
// line, and the largest message is 1 MiB too.
constexpr size_t kMaxFrameBytes = size_t{64} << 20;

std::string SegmentName(uint64_t first_seq, std::string_view suffix = kSuffix) {
  std::string digits = std::to_string(first_seq);
  return std::string(digits.size() < 16 ? 16 - digits.size() : 0, '0') + digits + std::string(suffix);
}

// The first sequence number in the name of a segment, or of its sums; nothing for another file.
std::optional<uint64_t> ParseSegmentName(std::string_view name, std::string_view suffix) {
  uint64_t seq = 0;
  std::from_chars(name.data(), name.data() + name.size(), seq);
  if (seq == 0 || name != SegmentName(seq, suffix)) return std::nullopt;
  return seq;
}

std::optional<Cursor> ParseId(std::string_view bytes) {
  if (bytes.substr(0, 4) != "id: ") return std::nullopt;
  size_t line_end = bytes.find('\n');
  if (line_end == std::string_view::npos) return std::nullopt;
  return Cursor::Parse(bytes.substr(4, line_end - 4));
}

// Whether `bytes` begin as a frame does, or are too few to tell. It needs no whole line: damage may follow.
bool MayBeginFrame(std::string_view bytes) {
  constexpr std::string_view kBegin = "id: ";
  const size_t size = std::min(bytes.size(), kBegin.size());
  return bytes.substr(0, size) == kBegin.substr(0, size);
}

// The segments whose files with this suffix are in the folder.
Result<std::vector<uint64_t>> ListSegments(const std::string& dir, std::string_view suffix) {
  DIR* listing = opendir(dir.c_str());
  if (!listing) return OsError("open event log " + dir, errno);
  std::vector<uint64_t> found;
  while (const dirent* entry = readdir(listing)) {
    if (auto seq = ParseSegmentName(entry->d_name, suffix)) found.push_back(*seq);
  }
  closedir(listing);
  std::sort(found.begin(), found.end());
  return found;
}

// Reads `size` bytes of a file, which must contain all of them.
Result<std::string> ReadPart(const std::string& path, uint64_t offset, uint64_t size) {
  auto fd = OpenRegularFile(path, O_RDONLY);
  if (!fd) return fd.error();
  std::string bytes(size, '\0');
  size_t got = 0;
  while (got < bytes.size()) {
    ssize_t n = pread(fd->get(), bytes.data() + got, bytes.size() - got, static_cast<off_t>(offset + got));
    if (n <= 0) return OsError("read " + path, n < 0 ? errno : EIO);
    got += static_cast<size_t>(n);
  }
  return bytes;
}

// Saves `bytes` to `path` if possible. A failure, such as a full disk, must not prevent the log from being
// opened.
void KeepAside(const std::string& path, std::string_view bytes) {
  auto fd = OpenRegularFile(path, O_WRONLY | O_CREAT | O_TRUNC);
  if (!fd) return log::Failure("damaged events are not kept: {}", fd.error().message);
  if (write(fd->get(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size())) {
    log::Failure("{}: kept {} bytes of damaged events in this file", path, bytes.size());
  } else {
    log::Failure("{}", OsError("keep damaged events in " + path, errno).message);
  }
}

// The place in `bytes` at which the first frame begins, or npos. `may_begin`: the first byte may be a frame's
// first. No line within a frame begins as its first line does, so damage in front of `bytes` cannot mislead.
size_t FindFrame(std::string_view bytes, bool may_begin) {
  if (may_begin && ParseId(bytes)) return 0;
  for (size_t at = 0; (at = bytes.find("\nid: ", at)) != std::string_view::npos; ++at) {
    if (ParseId(bytes.substr(at + 1))) return at + 1;
  }
  return std::string_view::npos;
}

Status RemoveSegment(const std::string& path) {
  // The sums go last, because a segment that cannot be removed needs them. Those that a crash leaves behind
  // are removed when the log is opened.
  if (unlink(path.c_str()) != 0 && errno != ENOENT) return OsError("remove " + path, errno);
  (void)unlink(BlockSums::PathFor(path).c_str());
  return {};
}

// The length of the longest prefix of `bytes` that consists of complete, well-formed frames of one epoch, in
// order. *last is the id of the last one. The bytes after the prefix are torn or damaged.
size_t WholeFrames(std::string_view bytes, Cursor* last) {
  size_t whole = 0;
  size_t size = 0;
  while (auto frame = ParseFrame(bytes.substr(whole), &size)) {
    if (whole > 0 && frame->id != Cursor{last->epoch, last->seq + 1}) break;
    *last = frame->id;
    whole += size;
  }
  return whole;
}

// The id of the last event of a closed segment, or nothing if the segment does not end with a frame's end.
Result<std::optional<Cursor>> LastId(const std::string& path, uint64_t file_size) {
  for (uint64_t size = std::min(file_size, kScanBytes);; size = std::min(file_size, size * 4)) {
    auto bytes = ReadPart(path, file_size - size, size);
    if (!bytes) return bytes.error();
    std::string_view rest = *bytes;
    if (size < file_size) {
      size_t frame_end = rest.find(kFrameEnd);
      rest.remove_prefix(frame_end == std::string_view::npos ? rest.size() : frame_end + kFrameEnd.size());
    }
    Cursor last{};
    if (WholeFrames(rest, &last) == rest.size() && !rest.empty()) return std::optional<Cursor>(last);
    if (size == file_size || !rest.empty()) return std::optional<Cursor>();
  }
}

// A segment of an earlier daemon: the bytes of it that are kept, and its last event.
struct Extent {
  uint64_t bytes = 0;
  Cursor last;
};

// Reads the last segment, whose first event has the number `first_seq`: complete, well-formed frames of one
// epoch, in order. Numbers are missing only where `damaged` blocks are: their places, in order.
class ExtentReader {
 public:
  ExtentReader(std::string_view bytes, uint64_t first_seq, const BlockSums& sums,
               const std::vector<uint64_t>& damaged)
      : bytes_(bytes), sums_(sums), damaged_(damaged), extent_{0, {0, first_seq - 1}} {}

  Extent Read() {
    ReadFrom(0);
    // The events at the end of the part that has sums may be damaged, but the sums know the last one's
    // number.
    if (!damaged_.empty() &&
        damaged_.back() >= extent_.bytes / BlockSums::kBlockBytes * BlockSums::kBlockBytes &&
        sums_.complete() && sums_.bytes() <= bytes_.size() && sums_.last() > extent_.last.seq) {
      extent_ = {sums_.bytes(), {sums_.epoch(), sums_.last()}};
      ReadFrom(sums_.bytes());
    }
    return extent_;
  }

 private:
  void ReadFrom(uint64_t at) {
    auto next = damaged_.begin();
    bool behind_damage = false;
    for (;;) {
      while (next != damaged_.end() && *next + BlockSums::kBlockBytes <= at) ++next;
      const uint64_t limit = next == damaged_.end() ? bytes_.size() : std::max(at, *next);
      size_t size = 0;
      const auto frame = ParseFrame(bytes_.substr(at, limit - at), &size);
      if (frame && Follows(frame->id, at, behind_damage)) {
        at += size;
        extent_ = {at, frame->id};
        behind_damage = false;
        continue;
      }
      if (next == damaged_.end()) return;
      at = std::min<uint64_t>(*next + BlockSums::kBlockBytes, bytes_.size());
      behind_damage = true;
      const uint64_t stop = ++next == damaged_.end() ? bytes_.size() : *next;
      const size_t start = FindFrame(bytes_.substr(at, stop - at), true);
      at = start == std::string_view::npos ? stop : at + start;
    }
  }

  [[nodiscard]] bool Follows(Cursor id, uint64_t at, bool behind_damage) const {
    if (!behind_damage) {
      return id.seq == extent_.last.seq + 1 && (extent_.bytes == 0 || id.epoch == extent_.last.epoch);
    }
    return id.epoch == sums_.epoch() && id.seq > extent_.last.seq &&
           (!sums_.complete() || at >= sums_.bytes() || id.seq <= sums_.last());
  }

  const std::string_view bytes_;
  const BlockSums& sums_;
  const std::vector<uint64_t>& damaged_;
  Extent extent_;
};

std::vector<uint64_t> DamagedBlocks(std::string_view bytes, const BlockSums& sums) {
  std::vector<uint64_t> damaged;
  for (uint64_t at = 0; at < bytes.size(); at += BlockSums::kBlockBytes) {
    if (!sums.Matches(at, bytes.substr(at, BlockSums::kBlockBytes))) damaged.push_back(at);
  }
  return damaged;
}

// Calls visit(frame, its bytes) for each frame from `position` to `end`, until it returns false; then
// *stopped is true. Returns the position after the last visited frame. `read` gives at least one byte, or
// reports some as damaged: then the next whole frame behind them follows.
Result<uint64_t> ScanFrames(
    uint64_t position, uint64_t end,
    const std::function<Result<SegmentPart>(uint64_t at, size_t size, std::string& buffer)>& read,
    const std::function<bool(const FrameView&, std::string_view)>& visit, bool* stopped,
    const std::function<Error(uint64_t at)>& malformed) {
  std::string buffer;  // begins at `position`, which is a frame's first byte, unless it is behind damage
  std::string scratch;
  size_t want = EventLog::kChunkBytes;
  bool behind_damage = false;
  bool may_begin = false;
  while (position + buffer.size() < end) {
    const uint64_t at = position + buffer.size();
    const uint64_t size =
        std::min<uint64_t>(std::max(buffer.size() + 1, want), end - position) - buffer.size();
    auto part = read(at, size, scratch);
    if (!part) return part.error();
    if (part->damaged > 0) {
      position = at + part->damaged;
      buffer.clear();
      want = EventLog::kChunkBytes;
      behind_damage = may_begin = true;
      continue;
    }
    buffer += part->bytes;
    if (behind_damage) {
      size_t start = FindFrame(buffer, may_begin);
      behind_damage = start == std::string::npos;
      if (behind_damage) {  // all but what may be the beginning of a frame's first line is of no use
        start = buffer.size() > kIdBytes ? buffer.size() - kIdBytes : 0;
        may_begin = may_begin && start == 0;
      }
      buffer.erase(0, start);
      position += start;
      if (behind_damage) continue;
    }
    size_t done = 0;
    size_t frame_size = 0;
    while (auto frame = ParseFrame(std::string_view(buffer).substr(done), &frame_size)) {
      std::string_view bytes = std::string_view(buffer).substr(done, frame_size);
      done += frame_size;
      if (visit(*frame, bytes)) continue;
      *stopped = true;
      return position + done;
    }
    buffer.erase(0, done);
    position += done;
    const bool no_frame = buffer.find(kFrameEnd) != std::string::npos || buffer.size() > kMaxFrameBytes;
    if (no_frame || (!buffer.empty() && position + buffer.size() == end)) return malformed(position);
    if (buffer.size() >= want) want *= 2;  // the frame is longer than that
  }
  return behind_damage ? end : position;
}

Error Malformed(const std::string& agent, const std::string& path, uint64_t at) {
  return {"internal",
          "the log of agent " + agent + " is damaged at byte " + std::to_string(at) + " of " + path};
}

}  // namespace

EventLog::EventLog(const Clock& clock, std::string dir, std::string agent, uint64_t epoch, Limits limits)
    : clock_(clock),
      dir_(std::move(dir)),
      agent_(std::move(agent)),
      epoch_(epoch),
      limits_(limits),
      head_{epoch, 0} {}

EventLog::~EventLog() { SaveSums(); }

Result<std::unique_ptr<EventLog>> EventLog::Open(const Clock& clock, std::string dir, std::string agent,
                                                 uint64_t epoch, Limits limits,
                                                 std::optional<uint64_t> last) {
  if (mkdir(dir.c_str(), 0700) != 0 && errno != EEXIST) return OsError("make event log " + dir, errno);
  std::unique_ptr<EventLog> log(new EventLog(clock, std::move(dir), std::move(agent), epoch, limits));
  if (auto recovered = log->Recover(); !recovered) return recovered.error();
  if (last) {
    if (Status cut = log->CutAfter(*last); !cut) return cut.error();
  }
  return log;
}

// Called once the log is recovered, before anything is appended.
Status EventLog::CutAfter(uint64_t seq) {
  while (!segments_.empty() && segments_.back().first_seq > seq) {
    if (Status removed = RemoveSegment(segments_.back().path); !removed) return removed;
    committed_ = segments_.back().position;
    const uint64_t before = segments_.back().first_seq - 1;
    segments_.pop_back();
    committed_head_ = {segments_.empty() ? epoch_ : segments_.back().epoch, before};
    sums_ = {};
    if (!segments_.empty()) sums_ = BlockSums::Load(segments_.back().path, segments_.back().first_seq);
  }
  if (!segments_.empty() && committed_head_.seq > seq) {
    // The end of event `seq`, because the events behind it may be damaged. If that event is damaged itself,
    // no frame tells its end; the next whole event does.
    auto begin = PositionAfter(seq - 1);
    if (!begin) return begin.error();
    uint64_t end = *begin;
    auto read = Scan(*begin, [&end, seq](const FrameView& frame, std::string_view bytes) {
      if (frame.id.seq == seq) end += bytes.size();
      return false;
    });
    if (!read) return read.error();
    Segment& segment = segments_.back();
    segment.bytes = end - segment.position;
    if (truncate(segment.path.c_str(), static_cast<off_t>(segment.bytes)) != 0)
      return OsError("truncate " + segment.path, errno);
    auto kept = ReadPart(segment.path, 0, segment.bytes);
    if (!kept) return kept.error();
    sums_.Settle(*kept, segment.epoch, seq);
    committed_ = end;
    committed_head_ = {segment.epoch, seq};
  }
  read_fd_.Close();
  head_ = committed_head_;
  end_ = written_ = tail_begin_ = committed_;
  return {};
}

// Finds the segments, from the last one back. Cuts the torn tail of the last one. An earlier segment that
// does not lead up to the next one without a hole is set aside, with all segments before it. (A machine that
// lost power may keep a later segment and lose the end of an earlier one.) The log is then the newest stretch
// that is complete, and cursors into the rest get the gap "expired".
Status EventLog::Recover() {
  auto names = ListSegments(dir_, kSuffix);
  if (!names) return names.error();
  auto sums_names = ListSegments(dir_, kSumsSuffix);
  if (!sums_names) return sums_names.error();
  for (uint64_t first : *sums_names) {
    if (std::binary_search(names->begin(), names->end(), first)) continue;
    (void)unlink((dir_ + "/" + SegmentName(first, kSumsSuffix)).c_str());  // a crash left them behind
  }
  while (!names->empty()) {
    auto segment = RecoverSegment(names->back());
    if (!segment) return segment.error();
    if (!*segment) {
      if (!segments_.empty()) break;
    } else {
      segments_.push_front(**segment);
    }
    names->pop_back();
  }
  for (uint64_t first : *names) {
    std::string path = dir_ + "/" + SegmentName(first);
    log::Failure(
        "{}: its events are damaged, or the next segment does not follow them; set aside as *.damaged", path);
    if (rename(path.c_str(), (path + kDamaged).c_str()) != 0) return OsError("rename " + path, errno);
    const std::string sums = BlockSums::PathFor(path);
    (void)rename(sums.c_str(), (sums + kDamaged).c_str());  // they may be missing
  }
  for (Segment& segment : segments_) {
    segment.position = end_;
    end_ += segment.bytes;
  }
  written_ = committed_ = tail_begin_ = end_;
  committed_head_ = head_;
  if (!segments_.empty() && segments_.back().epoch >= epoch_) {
    return Error{"internal", dir_ + ": epoch " + std::to_string(epoch_) + " was already used in this log"};
  }
  return {};
}

// Reads one segment, without its place in the stream. Returns nothing if it holds no event that the later
// segments follow.
Result<std::optional<EventLog::Segment>> EventLog::RecoverSegment(uint64_t first_seq) {
  Segment segment;
  segment.path = dir_ + "/" + SegmentName(first_seq);
  segment.first_seq = first_seq;
  const std::string& path = segment.path;
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return OsError("stat " + path, errno);
  segment.bytes = static_cast<uint64_t>(info.st_size);
  segment.last_write_ms = int64_t{info.st_mtim.tv_sec} * 1000 + info.st_mtim.tv_nsec / 1'000'000;
  BlockSums sums = BlockSums::Load(path, first_seq);
  if (!segments_.empty()) {
    const Segment& next = segments_.front();
    if (sums.complete() && sums.bytes() == segment.bytes && sums.last() + 1 == next.first_seq &&
        sums.epoch() <= next.epoch) {  // then its ends need not be read, and may be damaged
      segment.epoch = sums.epoch();
      return std::optional<Segment>(segment);
    }
    auto head = ReadPart(path, 0, std::min<uint64_t>(segment.bytes, kIdBytes));
    if (!head) return head.error();
    auto last = LastId(path, segment.bytes);
    if (!last) return last.error();
    if (!*last || (*last)->seq + 1 != next.first_seq || (*last)->epoch > next.epoch ||
        ParseId(*head) != Cursor{(*last)->epoch, first_seq}) {
      return std::optional<Segment>();
    }
    segment.epoch = (*last)->epoch;
    return std::optional<Segment>(segment);
  }
  auto bytes = ReadPart(path, 0, segment.bytes);
  if (!bytes) return bytes.error();
  const std::vector<uint64_t> damaged = DamagedBlocks(*bytes, sums);
  for (const uint64_t block : damaged) reports_->Report(path, block);
  const Extent whole = ExtentReader(*bytes, first_seq, sums, damaged).Read();
  if (whole.bytes < bytes->size()) {
    std::string_view cut = std::string_view(*bytes).substr(whole.bytes);
    // A crash tears one frame. If complete frames follow the tear, something else damaged the file, and
    // somebody may want these bytes.
    if (cut.find(kFrameEnd) != std::string_view::npos) KeepAside(path + kDamaged, cut);
    log::Warning("{}: cutting a torn tail of {} bytes", path, cut.size());
    if (truncate(path.c_str(), static_cast<off_t>(whole.bytes)) != 0)
      return OsError("truncate " + path, errno);
  }
  if (whole.bytes == 0) {
    if (Status removed = RemoveSegment(path); !removed) return removed.error();
    return std::optional<Segment>();
  }
  sums.Settle(std::string_view(*bytes).substr(0, whole.bytes), whole.last.epoch, whole.last.seq);
  sums_ = std::move(sums);
  segment.bytes = whole.bytes;
  segment.epoch = whole.last.epoch;
  head_ = whole.last;
  return std::optional<Segment>(segment);
}

// ---------------------------------------------------------------------------------------------- writing

Cursor EventLog::Append(std::string_view type, std::string_view run, std::string_view data) {
  if (int64_t now = clock_.WallMs(); now != time_ms_) {
    time_ms_ = now;
    time_ = FormatTime(now);
  }
  head_ = {epoch_, head_.seq + 1};
  ++appended_;
  frame_.clear();
  AppendFrame(frame_, {agent_, head_, time_, type, run}, data);

  std::string_view rest = frame_;
  while (!rest.empty()) {
    size_t used = end_ - tail_begin_;
    if (used == chunks_.size() * kChunkBytes) chunks_.emplace_back(new char[kChunkBytes]);
    size_t offset = used % kChunkBytes;
    size_t size = std::min(rest.size(), kChunkBytes - offset);
    std::memcpy(chunks_.back().get() + offset, rest.data(), size);
    rest.remove_prefix(size);
    end_ += size;
  }
  return head_;
}

Result<Cursor> EventLog::AppendNow(const std::vector<NewEvent>& events) {
  if (Status before = Commit(); !before) return before.error();  // so that only these events can be refused
  const Cursor head = head_;
  for (const NewEvent& event : events) Append(event.type, event.run, event.data);
  Status committed = Commit();
  if (committed) return head_;
  Status taken_back = TakeBack(head);
  if (taken_back) return committed.error();
  // They cannot be taken out of the file again: they stay, to be written by the next Commit.
  log::Failure("{}", taken_back.error().message);
  return head_;
}

// Removes everything after `head`, the last committed event. Nobody has seen it. If the file cannot be cut,
// the events stay, and the next Commit writes them.
Status EventLog::TakeBack(Cursor head) {
  if (written_ != committed_ &&
      ftruncate(fd_.get(), static_cast<off_t>(committed_ - segments_.back().position)) != 0) {
    return OsError("cut the event log of agent " + agent_, errno);
  }
  appended_ -= head_.seq - head.seq;
  head_ = head;
  written_ = end_ = committed_;
  const uint64_t used = end_ - tail_begin_;
  while (chunks_.size() * kChunkBytes >= used + kChunkBytes) chunks_.pop_back();
  return {};
}

Status EventLog::OpenSegment() {
  Segment segment;
  segment.first_seq = committed_head_.seq + 1;
  segment.epoch = epoch_;
  segment.position = committed_;
  segment.path = dir_ + "/" + SegmentName(segment.first_seq);
  (void)unlink(BlockSums::PathFor(segment.path).c_str());  // an earlier daemon may have left them
  Fd fd(open(segment.path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600));
  if (!fd.valid()) return OsError("make segment " + segment.path, errno);
  if (fd_.valid()) unsynced_.push_back(std::move(fd_));
  fd_ = std::move(fd);
  SaveSums();
  if (!sums_.saved()) {
    if (unsaved_.size() == kMaxUnsaved) unsaved_.erase(unsaved_.begin());
    unsaved_.push_back({segments_.back().path, std::move(sums_)});
  }
  sums_ = BlockSums(segment.first_seq, epoch_);
  read_fd_.Close();  // the sums of the segment that was the last are elsewhere now
  segments_.push_back(std::move(segment));
  return {};
}

// Without them the log is complete, and reading it detects less.
void EventLog::SaveSums() {
  if (segments_.empty()) return;
  Status saved = sums_.Save(segments_.back().path);
  while (saved && !unsaved_.empty()) {
    saved = unsaved_.back().sums.Save(unsaved_.back().path);
    if (saved) unsaved_.pop_back();
  }
  if (!saved && !sums_failed_) log::Warning("{}; they are written later", saved.error().message);
  sums_failed_ = !saved.ok();
}

// After ReleaseTail: opens the segment of this epoch again, if there is one.
Status EventLog::ReopenSegment() {
  if (fd_.valid() || segments_.empty() || segments_.back().epoch != epoch_) return {};
  auto fd = OpenRegularFile(segments_.back().path, O_RDWR | O_APPEND);
  if (!fd) return fd.error();
  fd_ = std::move(*fd);
  return {};
}

Status EventLog::Commit() {
  if (!dirty()) return {};
  if (auto reopened = ReopenSegment(); !reopened) return reopened;
  const bool at_frame = written_ == committed_;
  if (!fd_.valid() || (at_frame && segments_.back().bytes >= limits_.segment_bytes)) {
    const bool rotated = fd_.valid();
    if (auto opened = OpenSegment(); !opened) return opened;
    if (rotated) Trim();
  }
  auto begin = std::chrono::steady_clock::now();
  while (written_ < end_) {
    iovec pieces[32];
    int count = 0;
    for (uint64_t at = written_; at < end_ && count < 32; ++count) {
      size_t offset = (at - tail_begin_) % kChunkBytes;
      size_t size = std::min<uint64_t>(kChunkBytes - offset, end_ - at);
      pieces[count] = {chunks_[(at - tail_begin_) / kChunkBytes].get() + offset, size};
      at += size;
    }
    ssize_t n = writev(fd_.get(), pieces, count);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return OsError("write event log of agent " + agent_, errno);
    written_ += static_cast<uint64_t>(n);
    needs_sync_ = true;
  }
  if (limits_.sync_always && fdatasync(fd_.get()) != 0)
    return OsError("sync event log of agent " + agent_, errno);
  auto took = std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - begin);
  max_commit_us_ = std::max<int64_t>(max_commit_us_, took.count());

  while (committed_ < end_) {
    const size_t offset = (committed_ - tail_begin_) % kChunkBytes;
    const size_t size = std::min<uint64_t>(kChunkBytes - offset, end_ - committed_);
    sums_.Add({chunks_[(committed_ - tail_begin_) / kChunkBytes].get() + offset, size}, head_.seq);
    committed_ += size;
  }
  committed_head_ = head_;
  if (sums_.save_due()) SaveSums();
  Segment& segment = segments_.back();
  segment.bytes = committed_ - segment.position;
  segment.last_write_ms = time_ms_;
  DropTail();
  for (Reader* reader : readers_) reader->OnCommit();
  return {};
}

// Frees the chunks that readers near the head no longer need. Only committed bytes are freed.
void EventLog::DropTail() {
  while (chunks_.size() > 1 && end_ - tail_begin_ > limits_.tail_bytes + kChunkBytes &&
         tail_begin_ + kChunkBytes <= committed_) {
    chunks_.pop_front();
    tail_begin_ += kChunkBytes;
  }
}

void EventLog::ReleaseTail() {
  if (dirty()) return;
  chunks_.clear();
  tail_begin_ = end_;
  frame_ = {};
  SaveSums();
  if (std::exchange(needs_sync_, false)) unsynced_.push_back(std::move(fd_));
  fd_.Close();
  read_fd_.Close();
}

std::vector<Fd> EventLog::TakeForSync() {
  std::vector<Fd> taken = std::move(unsynced_);
  unsynced_.clear();
  if (!needs_sync_) return taken;
  if (Fd copy(fcntl(fd_.get(), F_DUPFD_CLOEXEC, 0)); copy.valid()) {
    taken.push_back(std::move(copy));
    needs_sync_ = false;
  }
  return taken;
}

void EventLog::Trim() {
  uint64_t total = committed_ - begin_position();
  const int64_t now = clock_.WallMs();
  // The newest segment with events always stays, because the number of the next event follows from it.
  while (segments_.size() > 1 && segments_[1].bytes > 0) {
    const Segment& oldest = segments_.front();
    const bool too_much = limits_.retain_bytes != 0 && total > limits_.retain_bytes;
    const bool too_old = limits_.retain_ms != 0 && now - oldest.last_write_ms > limits_.retain_ms;
    if (!too_much && !too_old) return;
    const uint64_t kept_from = EndOf(oldest);
    // A reader may leave while it is notified.
    const std::vector<Reader*> told = readers_;
    for (Reader* reader : told) {
      if (std::find(readers_.begin(), readers_.end(), reader) != readers_.end()) reader->OnTrim(kept_from);
    }
    Status removed = RemoveSegment(oldest.path);
    if (!removed && access(oldest.path.c_str(), F_OK) == 0)
      return log::Failure("{}", removed.error().message);
    if (read_fd_seq_ == oldest.first_seq) read_fd_.Close();
    std::erase_if(unsaved_, [&oldest](const Unsaved& closed) { return closed.path == oldest.path; });
    total -= oldest.bytes;
    trimmed_epoch_ = oldest.epoch;
    segments_.pop_front();
  }
}

Status EventLog::Remove() {
  fd_.Close();
  read_fd_.Close();
  sums_ = {};
  unsaved_.clear();
  std::error_code error;
  std::filesystem::remove_all(dir_, error);
  if (error) return Error{"os_error", "remove " + dir_ + ": " + error.message()};
  return {};
}

void EventLog::RemoveReader(Reader* reader) {
  auto found = std::find(readers_.begin(), readers_.end(), reader);
  if (found == readers_.end()) return;
  *found = readers_.back();
  readers_.pop_back();
}

EventLog::Stats EventLog::stats() const {
  return {committed_ - begin_position(),
          chunks_.size() * kChunkBytes,
          segments_.size(),
          appended_,
          max_commit_us_,
          reports_->count()};
}

// ---------------------------------------------------------------------------------------------- reading

uint64_t EventLog::begin_position() const {
  return segments_.empty() ? committed_ : segments_.front().position;
}

Cursor EventLog::oldest() const {
  if (segments_.empty()) return committed_head_;
  return {segments_.front().epoch, segments_.front().first_seq - 1};
}

// The segment that holds the byte at `position`, which must lie within the log.
const EventLog::Segment& EventLog::SegmentAt(uint64_t position) const {
  auto after = std::upper_bound(segments_.begin(), segments_.end(), position,
                                [](uint64_t at, const Segment& segment) { return at < segment.position; });
  return *(after - 1);
}

Error EventLog::Expired() const {
  return {"expired", "these events of agent " + agent_ + " have been deleted"};
}

Error EventLog::DamagedAt(uint64_t position) const {
  const Segment& segment = SegmentAt(position);
  return {"damaged", Malformed(agent_, segment.path, position - segment.position).message};
}

// The sums of a segment that are newer than its file of sums.
std::optional<BlockSums> EventLog::SumsInMemory(const Segment& segment) const {
  if (&segment == &segments_.back()) return sums_;
  const auto closed = std::find_if(unsaved_.begin(), unsaved_.end(),
                                   [&segment](const Unsaved& one) { return one.path == segment.path; });
  return closed == unsaved_.end() ? std::nullopt : std::optional<BlockSums>(closed->sums);
}

Result<SegmentFile> EventLog::Readable(const Segment& segment) const {
  const bool last = &segment == &segments_.back();
  SegmentFile file{fd_.get(), segment.path, last ? sums_ : read_sums_, segment.bytes, *reports_};
  if (last && fd_.valid()) return file;
  if (!read_fd_.valid() || read_fd_seq_ != segment.first_seq) {
    auto fd = OpenRegularFile(segment.path, O_RDONLY);
    if (!fd) return fd.error();
    read_fd_ = std::move(*fd);
    read_fd_seq_ = segment.first_seq;
    if (!last) {
      auto sums = SumsInMemory(segment);
      read_sums_ = sums ? std::move(*sums) : BlockSums::Load(segment.path, segment.first_seq);
    }
  }
  file.fd = read_fd_.get();
  return file;
}

// At most `size` committed bytes, at least one unless the log ends there: in memory, or read into `buffer`.
Result<SegmentPart> EventLog::ReadAt(uint64_t position, size_t size, std::string& buffer) const {
  if (position < begin_position()) return Expired();
  if (position >= committed_) return SegmentPart{};
  if (position >= tail_begin_) {
    const uint64_t at = position - tail_begin_;
    size = std::min<uint64_t>({size, committed_ - position, kChunkBytes - at % kChunkBytes});
    return SegmentPart{{chunks_[at / kChunkBytes].get() + at % kChunkBytes, size}, 0};
  }
  const Segment& segment = SegmentAt(position);
  auto file = Readable(segment);
  if (!file) return file.error();
  auto part = file->Read(position - segment.position, size, 0, buffer);
  if (part) part->bytes = part->bytes.substr(0, size);
  return part;
}

Result<EventLog::View> EventLog::Read(uint64_t position, size_t max_bytes, std::string& scratch) const {
  View view;
  if (position < begin_position()) return Expired();
  if (position >= committed_ || max_bytes == 0) return view;
  if (position >= tail_begin_) {
    const uint64_t end = position + std::min<uint64_t>(max_bytes, committed_ - position);
    while (position < end && view.count < View::kMaxPieces) {
      size_t offset = (position - tail_begin_) % kChunkBytes;
      size_t size = std::min<uint64_t>(kChunkBytes - offset, end - position);
      view.pieces[view.count++] = {chunks_[(position - tail_begin_) / kChunkBytes].get() + offset, size};
      view.bytes += size;
      position += size;
    }
    return view;
  }
  const Segment& segment = SegmentAt(position);
  const uint64_t offset = position - segment.position;
  auto file = Readable(segment);
  if (!file) return file.error();
  auto part = file->Read(offset, kChunkBytes, RWF_NOWAIT, scratch);
  if (!part) return part.error();
  if (part->damaged > 0) return DamagedAt(position);
  size_t size = part->bytes.rfind(kFrameEnd);
  if (size != std::string_view::npos) {
    size += kFrameEnd.size();
  } else {
    // No event ends here. A reader must not get the beginning of one that has no end.
    size = part->bytes.front() == '\n' ? 1 : part->bytes.size();
    if (MayBeginFrame(part->bytes)) {
      Status whole = CheckRest(*file, offset + size, part->bytes.back());
      if (!whole) return whole.error().code == "damaged" ? DamagedAt(position) : whole.error();
    }
  }
  view.bytes = std::min(size, max_bytes);
  view.pieces[0] = {const_cast<char*>(part->bytes.data()), view.bytes};
  view.count = 1;
  return view;
}

// Whether the bytes from `offset` to the end of their frame can be read. `last` is the byte before them.
Status EventLog::CheckRest(const SegmentFile& file, uint64_t offset, char last) const {
  std::string buffer;
  while (offset < file.bytes) {
    auto part = file.Read(offset, kChunkBytes, RWF_NOWAIT, buffer);
    if (!part) return part.error();
    if (part->damaged > 0) return Error{"damaged", ""};
    if (last == '\n' && part->bytes.front() == '\n') return {};
    if (part->bytes.find(kFrameEnd) != std::string_view::npos) return {};
    last = part->bytes.back();
    offset += part->bytes.size();
  }
  return {};
}

Result<EventLog::Start> EventLog::Skip(uint64_t position) const {
  auto from = EventBefore(position);
  if (!from) return from.error();
  auto next = PositionAfter(from->seq);
  if (!next) return next.error();
  auto to = CursorAt(*next);
  if (!to) return to.error();
  return Start{*next, Start::Gap{*from, *to, "damaged"}};
}

// The event that ends at `position`. Error "damaged" if that cannot be read, or if none ends there.
Result<Cursor> EventLog::EventBefore(uint64_t position) const {
  const Segment& segment = SegmentAt(position);
  if (position == segment.position) {
    if (position == begin_position()) return oldest();
    return Cursor{SegmentAt(position - 1).epoch, segment.first_seq - 1};
  }
  std::string buffer;
  for (uint64_t size = kScanBytes;; size *= 4) {
    const uint64_t begin = position - segment.position > size ? position - size : segment.position;
    std::string bytes;  // those before `position` that can be read
    bool damaged = false;
    for (uint64_t at = begin; at < position;) {
      auto part = ReadAt(at, position - at, buffer);
      if (!part) return part.error();
      if (part->damaged > 0) bytes.clear();
      damaged = damaged || part->damaged > 0;
      bytes += part->bytes;
      at += part->bytes.size() + part->damaged;
    }
    const size_t line = bytes.rfind("\nid: ");
    const size_t start = line == std::string::npos ? 0 : line + 1;
    size_t frame_size = 0;
    const auto frame = ParseFrame(std::string_view(bytes).substr(start), &frame_size);
    if (frame && start + frame_size == bytes.size()) return frame->id;
    // The bytes further back cannot help if a frame begins here: `position` is within it.
    if (damaged || line != std::string::npos || begin == segment.position) return DamagedAt(position);
  }
}

std::function<void()> EventLog::Warm(uint64_t position) const {
  if (position < begin_position() || position >= committed_) return [] {};
  const Segment& segment = SegmentAt(position);
  return [path = segment.path, offset = static_cast<off_t>(position - segment.position)]() mutable {
    auto fd = OpenRegularFile(path, O_RDONLY);
    if (!fd) return;  // it was trimmed meanwhile: the reader learns that when it reads again
    std::string bytes(size_t{1} << 20, '\0');
    // To the end of an event at least, because only events that were read to their end are given out.
    for (ssize_t got = 1; got > 0; offset += got) {
      got = pread(fd->get(), bytes.data(), bytes.size(), offset);
      if (got > 0 &&
          std::string_view(bytes).substr(0, static_cast<size_t>(got)).find(kFrameEnd) != std::string::npos)
        return;
    }
  };
}

// The first frame that begins at or after `from` and can be identified. Returns nothing if no frame begins
// before `end`, which is a segment's end.
Result<std::optional<EventLog::Place>> EventLog::FrameStart(uint64_t from, uint64_t end) const {
  char window[kIdBytes + BlockSums::kBlockBytes];
  size_t have = 0;
  std::string buffer;
  bool may_begin = from == SegmentAt(from).position;
  uint64_t at = may_begin ? from : from - 1;  // the end of the window; a frame follows a line break
  while (at < end) {
    auto part = ReadAt(at, std::min<uint64_t>(BlockSums::kBlockBytes, end - at), buffer);
    if (!part) return part.error();
    at += part->damaged + part->bytes.size();
    if (part->damaged > 0) {
      have = 0;
      may_begin = true;
      continue;
    }
    std::memcpy(window + have, part->bytes.data(), part->bytes.size());
    have += part->bytes.size();
    const std::string_view bytes(window, have);
    const size_t start = FindFrame(bytes, may_begin);
    if (start != std::string_view::npos) {
      return std::optional<Place>({at - have + start, *ParseId(bytes.substr(start))});
    }
    if (have <= kIdBytes) continue;
    std::memmove(window, window + have - kIdBytes, kIdBytes);
    have = kIdBytes;
    may_begin = false;
  }
  return std::optional<Place>();
}

Result<uint64_t> EventLog::FrameEnd(uint64_t position) const {
  if (position < begin_position()) return Expired();
  if (position >= committed_) return committed_;
  uint64_t end = EndOf(SegmentAt(position));
  auto start = FrameStart(position, end);
  if (!start) return start.error();
  return *start ? (*start)->position : end;
}

Result<Cursor> EventLog::IdAt(uint64_t position) const {
  char line[kIdBytes];
  size_t have = 0;
  std::string buffer;
  while (have < sizeof line && !std::memchr(line, '\n', have)) {
    auto part = ReadAt(position + have, sizeof line - have, buffer);
    if (!part) return part.error();
    if (part->damaged > 0) return DamagedAt(position);
    if (part->bytes.empty()) break;
    std::memcpy(line + have, part->bytes.data(), part->bytes.size());
    have += part->bytes.size();
  }
  auto id = ParseId(std::string_view(line, have));
  if (!id) return Error{"internal", dir_ + ": no frame begins at position " + std::to_string(position)};
  return *id;
}

Result<Cursor> EventLog::CursorAt(uint64_t position) const {
  if (position >= committed_) return committed_head_;
  auto id = IdAt(position);
  if (!id) return id.error();
  const bool epoch_begins = position == SegmentAt(position).position && position > begin_position();
  return Cursor{epoch_begins ? SegmentAt(position - 1).epoch : id->epoch, id->seq - 1};
}

// A segment is its own index: frames carry their number and can be found from any byte. So an event is found
// by bisection, followed by a scan of at most kScanBytes.
Result<uint64_t> EventLog::PositionAfter(uint64_t seq) const {
  if (seq >= committed_head_.seq) return committed_;
  const uint64_t wanted = std::max(seq, oldest().seq) + 1;
  auto after =
      std::upper_bound(segments_.begin(), segments_.end(), wanted,
                       [](uint64_t number, const Segment& segment) { return number < segment.first_seq; });
  const Segment& segment = *(after - 1);
  if (wanted == segment.first_seq) {
    auto file = Readable(segment);
    if (!file) return file.error();
    if (file->sums.bytes() == 0) return segment.position;  // no block is known to be damaged
  }
  uint64_t low = segment.position;  // start of a frame whose event is not after the wanted one
  uint64_t high = wanted == segment.first_seq ? low : EndOf(segment);
  while (high - low > kScanBytes) {
    uint64_t middle = low + (high - low) / 2;
    auto start = FrameStart(middle, high);
    if (!start) return start.error();
    if (!*start) {
      high = middle;
      continue;
    }
    if ((*start)->id.seq <= wanted) {
      low = (*start)->position;
    } else {
      high = middle;
    }
  }
  std::optional<size_t> found;  // the size of the event's frame
  auto end = Scan(low, [&found, wanted](const FrameView& frame, std::string_view bytes) {
    if (frame.id.seq >= wanted) found = bytes.size();
    return !found;
  });
  if (!end) return end.error();
  return found ? *end - *found : committed_;
}

Result<EventLog::Start> EventLog::Find(Cursor cursor) const {
  std::optional<Start::Gap> gap = GapAfter(cursor);
  const Cursor seen = gap ? gap->to : cursor == Cursor{} ? oldest() : cursor;
  auto position = PositionAfter(seen.seq);
  if (!position) return position.error();
  auto before = CursorAt(*position);
  if (!before) return before.error();
  if (before->seq > seen.seq) {
    if (!gap) gap = Start::Gap{seen, seen, "damaged"};
    gap->to = *before;
  }
  return Start{*position, gap};
}

// The events that a reader with this cursor has missed because the log no longer has them.
std::optional<EventLog::Start::Gap> EventLog::GapAfter(Cursor cursor) const {
  const Cursor oldest_kept = oldest();
  if (cursor == Cursor{}) return std::nullopt;  // a reader that asks for the oldest event misses nothing
  // From the future: of a log that was lost, or invented.
  if (cursor.epoch > epoch_) return Start::Gap{cursor, oldest_kept, "lost"};
  if (cursor.seq <= oldest_kept.seq) {
    // At the edge nothing is missing if the last event that this reader saw is the one just before the
    // oldest, or if there was nothing to see. After the log was reopened, we do not know that about an epoch
    // that is gone entirely.
    const bool complete =
        cursor.seq == oldest_kept.seq &&
        (cursor.seq == 0 || cursor.epoch == oldest_kept.epoch || cursor.epoch == trimmed_epoch_);
    if (complete) return std::nullopt;
    return Start::Gap{cursor, oldest_kept, "expired"};
  }
  // Finds the segments of the cursor's epoch, and the first segment of a later epoch, which tells where the
  // cursor's epoch ended.
  auto first = std::lower_bound(segments_.begin(), segments_.end(), cursor.epoch,
                                [](const Segment& segment, uint64_t epoch) { return segment.epoch < epoch; });
  auto next = std::upper_bound(first, segments_.end(), cursor.epoch,
                               [](uint64_t epoch, const Segment& segment) { return epoch < segment.epoch; });
  if (first == next || cursor.seq < first->first_seq) {  // we never knew this epoch, or that event in it
    return Start::Gap{cursor, oldest_kept, "lost"};
  }
  const uint64_t last = next == segments_.end() ? committed_head_.seq : next->first_seq - 1;
  if (cursor.seq <= last) return std::nullopt;
  return Start::Gap{cursor, next == segments_.end() ? committed_head_ : Cursor{(next - 1)->epoch, last},
                    "lost"};
}

Result<uint64_t> EventLog::Scan(uint64_t position,
                                const std::function<bool(const FrameView&, std::string_view)>& visit) const {
  bool stopped = false;
  return ScanFrames(
      position, committed_,
      [this](uint64_t at, size_t size, std::string& buffer) { return ReadAt(at, size, buffer); }, visit,
      &stopped,
      [this](uint64_t at) { return Malformed(agent_, SegmentAt(at).path, at - SegmentAt(at).position); });
}

EventLog::Files EventLog::FilesFrom(uint64_t position, uint64_t max_bytes) const {
  Files part{{}, agent_, committed_, committed_head_, reports_};
  if (segments_.empty() || position >= committed_) return part;
  const auto first =
      std::upper_bound(segments_.begin(), segments_.end(), position,
                       [](uint64_t at, const Segment& segment) { return at < segment.position; });
  for (auto segment = first == segments_.begin() ? first : first - 1; segment != segments_.end(); ++segment) {
    if (segment->position >= position + max_bytes) break;
    part.files.push_back(
        {segment->path, segment->position, segment->bytes, segment->first_seq, SumsInMemory(*segment)});
  }
  return part;
}

Result<uint64_t> EventLog::Files::Scan(
    uint64_t position, const std::function<bool(const FrameView&, std::string_view)>& visit) const {
  bool stopped = false;
  for (const File& file : files) {
    const uint64_t end = file.position + file.bytes;
    if (position >= end) continue;
    auto fd = OpenRegularFile(file.path, O_RDONLY);
    if (!fd && access(file.path.c_str(), F_OK) != 0)
      return Error{"expired", "these events of agent " + agent + " have been deleted"};
    if (!fd) return fd.error();
    const BlockSums sums = file.sums ? *file.sums : BlockSums::Load(file.path, file.first_seq);
    const SegmentFile segment{fd->get(), file.path, sums, file.bytes, *reports};
    auto read = [&file, &segment](uint64_t at, size_t size, std::string& buffer) {
      auto part = segment.Read(at - file.position, size, 0, buffer);
      if (part) part->bytes = part->bytes.substr(0, size);
      return part;
    };
    auto reached = ScanFrames(position, end, read, visit, &stopped, [this, &file](uint64_t at) {
      return Malformed(agent, file.path, at - file.position);
    });
    if (!reached || stopped) return reached;
    position = *reached;
  }
  return position;
}

}  // namespace reeve
