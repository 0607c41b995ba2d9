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
constexpr const char* kDamaged = ".damaged";
constexpr std::string_view kFrameEnd = "\n\n";
// Large enough for "id: <20 digits>-<20 digits>\n".
constexpr size_t kIdBytes = 48;
// In a stretch of this length, a linear scan replaces the bisection.
constexpr uint64_t kScanBytes = uint64_t{64} << 10;
// No frame is longer than this, so we stop looking for a frame's end. A child's output is cut at 1 MiB per
// line, and the largest message is 1 MiB too.
constexpr size_t kMaxFrameBytes = size_t{64} << 20;

std::string SegmentName(uint64_t first_seq) {
  std::string digits = std::to_string(first_seq);
  return std::string(digits.size() < 16 ? 16 - digits.size() : 0, '0') + digits + std::string(kSuffix);
}

// The first sequence number in a segment's file name, or nothing for another file.
std::optional<uint64_t> ParseSegmentName(std::string_view name) {
  uint64_t seq = 0;
  std::from_chars(name.data(), name.data() + name.size(), seq);
  if (seq == 0 || name != SegmentName(seq)) return std::nullopt;
  return seq;
}

std::optional<Cursor> ParseId(std::string_view bytes) {
  if (bytes.substr(0, 4) != "id: ") return std::nullopt;
  size_t line_end = bytes.find('\n');
  if (line_end == std::string_view::npos) return std::nullopt;
  return Cursor::Parse(bytes.substr(4, line_end - 4));
}

Result<std::vector<uint64_t>> ListSegments(const std::string& dir) {
  DIR* listing = opendir(dir.c_str());
  if (!listing) return OsError("open event log " + dir, errno);
  std::vector<uint64_t> found;
  while (const dirent* entry = readdir(listing)) {
    if (auto seq = ParseSegmentName(entry->d_name)) found.push_back(*seq);
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

// Calls visit(frame, its bytes) for each frame from `position` to `end`, until it returns false; then
// *stopped is true. Returns the position after the last visited frame. `read` copies bytes, at least one.
Result<uint64_t> ScanFrames(uint64_t position, uint64_t end,
                            const std::function<Result<size_t>(uint64_t at, char* out, size_t size)>& read,
                            const std::function<bool(const FrameView&, std::string_view)>& visit,
                            bool* stopped, const std::function<Error(uint64_t at)>& damaged) {
  std::string buffer;  // begins at `position`
  size_t want = EventLog::kChunkBytes;
  while (position + buffer.size() < end) {
    size_t have = buffer.size();
    buffer.resize(std::min<uint64_t>(std::max(have + 1, want), end - position));
    auto got = read(position + have, buffer.data() + have, buffer.size() - have);
    if (!got) return got.error();
    buffer.resize(have + *got);
    size_t done = 0;
    size_t size = 0;
    while (auto frame = ParseFrame(std::string_view(buffer).substr(done), &size)) {
      std::string_view bytes = std::string_view(buffer).substr(done, size);
      done += size;
      if (visit(*frame, bytes)) continue;
      *stopped = true;
      return position + done;
    }
    buffer.erase(0, done);
    position += done;
    const bool no_frame = buffer.find(kFrameEnd) != std::string::npos || buffer.size() > kMaxFrameBytes;
    if (no_frame || (!buffer.empty() && position + buffer.size() == end)) return damaged(position);
    if (buffer.size() >= want) want *= 2;  // the frame is longer than that
  }
  return position;
}

Error Damaged(const std::string& agent, const std::string& path, uint64_t at) {
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

EventLog::~EventLog() = default;

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
    const std::string path = PathOf(segments_.back());
    if (unlink(path.c_str()) != 0) return OsError("remove " + path, errno);
    committed_ = segments_.back().position;
    const uint64_t before = segments_.back().first_seq - 1;
    segments_.pop_back();
    committed_head_ = {segments_.empty() ? epoch_ : segments_.back().epoch, before};
  }
  if (!segments_.empty() && committed_head_.seq > seq) {
    auto end = PositionAfter(seq);
    if (!end) return end.error();
    Segment& segment = segments_.back();
    const std::string path = PathOf(segment);
    segment.bytes = *end - segment.position;
    if (truncate(path.c_str(), static_cast<off_t>(segment.bytes)) != 0)
      return OsError("truncate " + path, errno);
    committed_ = *end;
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
  auto names = ListSegments(dir_);
  if (!names) return names.error();
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
  segment.first_seq = first_seq;
  const std::string path = PathOf(segment);
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return OsError("stat " + path, errno);
  segment.bytes = static_cast<uint64_t>(info.st_size);
  segment.last_write_ms = int64_t{info.st_mtim.tv_sec} * 1000 + info.st_mtim.tv_nsec / 1'000'000;
  if (!segments_.empty()) {
    const Segment& next = segments_.front();
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
  Cursor last{};
  size_t whole = WholeFrames(*bytes, &last);
  if (auto first = ParseId(*bytes); whole > 0 && first->seq != first_seq) whole = 0;
  if (whole < bytes->size()) {
    std::string_view cut = std::string_view(*bytes).substr(whole);
    // A crash tears one frame. If complete frames follow the tear, something else damaged the file, and
    // somebody may want these bytes.
    if (cut.find(kFrameEnd) != std::string_view::npos) KeepAside(path + kDamaged, cut);
    log::Warning("{}: cutting a torn tail of {} bytes", path, cut.size());
    if (truncate(path.c_str(), static_cast<off_t>(whole)) != 0) return OsError("truncate " + path, errno);
  }
  if (whole == 0) {
    if (unlink(path.c_str()) != 0) return OsError("remove empty " + path, errno);
    return std::optional<Segment>();
  }
  segment.bytes = whole;
  segment.epoch = last.epoch;
  head_ = last;
  return std::optional<Segment>(segment);
}

std::string EventLog::PathOf(const Segment& segment) const {
  return dir_ + "/" + SegmentName(segment.first_seq);
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
  std::string path = PathOf(segment);
  Fd fd(open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600));
  if (!fd.valid()) return OsError("make segment " + path, errno);
  if (fd_.valid()) unsynced_.push_back(std::move(fd_));
  fd_ = std::move(fd);
  segments_.push_back(segment);
  return {};
}

// After ReleaseTail: opens the segment of this epoch again, if there is one.
Status EventLog::ReopenSegment() {
  if (fd_.valid() || segments_.empty() || segments_.back().epoch != epoch_) return {};
  const std::string path = PathOf(segments_.back());
  auto fd = OpenRegularFile(path, O_RDWR | O_APPEND);
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

  committed_ = end_;
  committed_head_ = head_;
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
    std::string path = PathOf(oldest);
    if (unlink(path.c_str()) != 0 && errno != ENOENT) {
      log::Failure("{}", OsError("remove " + path, errno).message);
      return;
    }
    if (read_fd_seq_ == oldest.first_seq) read_fd_.Close();
    total -= oldest.bytes;
    trimmed_epoch_ = oldest.epoch;
    segments_.pop_front();
  }
}

Status EventLog::Remove() {
  fd_.Close();
  read_fd_.Close();
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
  return {committed_ - begin_position(), chunks_.size() * kChunkBytes, segments_.size(), appended_,
          max_commit_us_};
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

Result<int> EventLog::ReadableFd(const Segment& segment) const {
  if (fd_.valid() && &segment == &segments_.back()) return fd_.get();
  if (!read_fd_.valid() || read_fd_seq_ != segment.first_seq) {
    std::string path = PathOf(segment);
    auto fd = OpenRegularFile(path, O_RDONLY);
    if (!fd) return fd.error();
    read_fd_ = std::move(*fd);
    read_fd_seq_ = segment.first_seq;
  }
  return read_fd_.get();
}

// Copies `size` committed bytes, or fewer if the log ends before that or, for a read from disk, the segment
// does.
Result<size_t> EventLog::ReadAt(uint64_t position, char* out, size_t size) const {
  if (position < begin_position()) return Expired();
  if (position >= committed_) return size_t{0};
  if (position >= tail_begin_) {
    size = std::min<uint64_t>(size, committed_ - position);
    for (size_t copied = 0; copied < size;) {
      size_t at = position - tail_begin_ + copied;
      size_t part = std::min(size - copied, kChunkBytes - at % kChunkBytes);
      std::memcpy(out + copied, chunks_[at / kChunkBytes].get() + at % kChunkBytes, part);
      copied += part;
    }
    return size;
  }
  const Segment& segment = SegmentAt(position);
  auto fd = ReadableFd(segment);
  if (!fd) return fd.error();
  size = std::min<uint64_t>(size, EndOf(segment) - position);
  ssize_t n = pread(*fd, out, size, static_cast<off_t>(position - segment.position));
  if (n <= 0) return OsError("read " + PathOf(segment), n < 0 ? errno : EIO);
  return static_cast<size_t>(n);
}

Result<EventLog::View> EventLog::Read(uint64_t position, size_t max_bytes, std::string& scratch) const {
  View view;
  if (position < begin_position()) return Expired();
  if (position >= committed_ || max_bytes == 0) return view;
  const uint64_t end = position + std::min<uint64_t>(max_bytes, committed_ - position);
  if (position >= tail_begin_) {
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
  auto fd = ReadableFd(segment);
  if (!fd) return fd.error();
  scratch.resize(kChunkBytes);
  iovec into = {scratch.data(), std::min<uint64_t>(scratch.size(), std::min(end, EndOf(segment)) - position)};
  auto offset = static_cast<off_t>(position - segment.position);
  ssize_t n = preadv2(*fd, &into, 1, offset, RWF_NOWAIT);
  if (n < 0 && errno == EAGAIN) return Error{"cold", ""};
  if (n < 0 && errno == EOPNOTSUPP)
    n = preadv(*fd, &into, 1, offset);  // not every file system supports RWF_NOWAIT
  if (n <= 0) return OsError("read " + PathOf(segment), n < 0 ? errno : EIO);
  view.pieces[0] = {scratch.data(), static_cast<size_t>(n)};
  view.count = 1;
  view.bytes = static_cast<size_t>(n);
  return view;
}

std::function<void()> EventLog::Warm(uint64_t position) const {
  if (position < begin_position() || position >= committed_) return [] {};
  const Segment& segment = SegmentAt(position);
  return [path = PathOf(segment), offset = static_cast<off_t>(position - segment.position)] {
    auto fd = OpenRegularFile(path, O_RDONLY);
    if (!fd) return;  // it was trimmed meanwhile: the reader learns that when it reads again
    std::string bytes(size_t{1} << 20, '\0');
    (void)!pread(fd->get(), bytes.data(), bytes.size(), offset);
  };
}

// The first frame that begins at or after `from`, which is a frame's first byte or lies within a frame.
// Returns nothing if no frame begins before `end`, which is a segment's end.
Result<std::optional<uint64_t>> EventLog::FrameStart(uint64_t from, uint64_t end) const {
  if (from == SegmentAt(from).position) return std::optional<uint64_t>(from);
  // Starts one or two bytes earlier, because the blank line may lie just before `from`.
  uint64_t at = from - SegmentAt(from).position >= 2 ? from - 2 : from - 1;
  char buffer[4096];
  while (at < end) {
    auto got = ReadAt(at, buffer, std::min<uint64_t>(sizeof buffer, end - at));
    if (!got) return got.error();
    size_t found = std::string_view(buffer, *got).find(kFrameEnd);
    if (found != std::string_view::npos) {
      uint64_t start = at + found + kFrameEnd.size();
      return start < end ? std::optional<uint64_t>(start) : std::nullopt;
    }
    if (*got == 1) break;
    at += *got - 1;  // its first newline may be the last byte read
  }
  return std::optional<uint64_t>();
}

Result<uint64_t> EventLog::FrameEnd(uint64_t position) const {
  if (position < begin_position()) return Expired();
  if (position >= committed_) return committed_;
  uint64_t end = EndOf(SegmentAt(position));
  auto start = FrameStart(position, end);
  if (!start) return start.error();
  return start->value_or(end);
}

Result<Cursor> EventLog::IdAt(uint64_t position) const {
  char buffer[kIdBytes];
  size_t have = 0;
  while (have < sizeof buffer && !std::memchr(buffer, '\n', have)) {
    auto got = ReadAt(position + have, buffer + have, sizeof buffer - have);
    if (!got) return got.error();
    if (*got == 0) break;
    have += *got;
  }
  auto id = ParseId(std::string_view(buffer, have));
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
  if (seq <= oldest().seq) return begin_position();
  const uint64_t wanted = seq + 1;
  auto after =
      std::upper_bound(segments_.begin(), segments_.end(), wanted,
                       [](uint64_t number, const Segment& segment) { return number < segment.first_seq; });
  const Segment& segment = *(after - 1);
  uint64_t low = segment.position;  // start of a frame whose event is not after the wanted one
  uint64_t high = EndOf(segment);
  while (high - low > kScanBytes) {
    uint64_t middle = low + (high - low) / 2;
    auto start = FrameStart(middle, high);
    if (!start) return start.error();
    if (!*start) {
      high = middle;
      continue;
    }
    auto id = IdAt(**start);
    if (!id) return id.error();
    if (id->seq <= wanted) {
      low = **start;
    } else {
      high = middle;
    }
  }
  uint64_t found = low;
  auto end = Scan(low, [&found, &low, wanted](const FrameView& frame, std::string_view bytes) {
    found = low;
    low += bytes.size();
    return frame.id.seq < wanted;
  });
  if (!end) return end.error();
  return found;
}

Result<EventLog::Start> EventLog::Find(Cursor cursor) const {
  Start start;
  auto gap = [&start, cursor](Cursor to, const char* reason) { start.gap = {cursor, to, reason}; };
  const Cursor oldest_kept = oldest();
  start.position = begin_position();
  if (cursor == Cursor{}) return start;  // a reader that asks for the oldest event misses nothing
  if (cursor.epoch > epoch_) {           // from the future: of a log that was lost, or invented
    gap(oldest_kept, "lost");
    return start;
  }
  if (cursor.seq <= oldest_kept.seq) {
    // At the edge nothing is missing if the last event that this reader saw is the one just before the
    // oldest, or if there was nothing to see. After the log was reopened, we do not know that about an epoch
    // that is gone entirely.
    const bool complete =
        cursor.seq == oldest_kept.seq &&
        (cursor.seq == 0 || cursor.epoch == oldest_kept.epoch || cursor.epoch == trimmed_epoch_);
    if (!complete) gap(oldest_kept, "expired");
    return start;
  }
  // Finds the segments of the cursor's epoch, and the first segment of a later epoch, which tells where the
  // cursor's epoch ended.
  auto first = std::lower_bound(segments_.begin(), segments_.end(), cursor.epoch,
                                [](const Segment& segment, uint64_t epoch) { return segment.epoch < epoch; });
  auto next = std::upper_bound(first, segments_.end(), cursor.epoch,
                               [](uint64_t epoch, const Segment& segment) { return epoch < segment.epoch; });
  if (first == next || cursor.seq < first->first_seq) {  // we never knew this epoch, or that event in it
    gap(oldest_kept, "lost");
    return start;
  }
  const uint64_t last = next == segments_.end() ? committed_head_.seq : next->first_seq - 1;
  if (cursor.seq > last) {
    start.position = next == segments_.end() ? committed_ : next->position;
    gap(next == segments_.end() ? committed_head_ : Cursor{(next - 1)->epoch, last}, "lost");
    return start;
  }
  auto position = PositionAfter(cursor.seq);
  if (!position) return position.error();
  start.position = *position;
  return start;
}

Result<uint64_t> EventLog::Scan(uint64_t position,
                                const std::function<bool(const FrameView&, std::string_view)>& visit) const {
  bool stopped = false;
  return ScanFrames(
      position, committed_, [this](uint64_t at, char* out, size_t size) { return ReadAt(at, out, size); },
      visit, &stopped,
      [this](uint64_t at) { return Damaged(agent_, PathOf(SegmentAt(at)), at - SegmentAt(at).position); });
}

EventLog::Files EventLog::FilesFrom(uint64_t position, uint64_t max_bytes) const {
  Files part{{}, agent_, committed_};
  if (segments_.empty() || position >= committed_) return part;
  const auto first =
      std::upper_bound(segments_.begin(), segments_.end(), position,
                       [](uint64_t at, const Segment& segment) { return at < segment.position; });
  for (auto segment = first == segments_.begin() ? first : first - 1; segment != segments_.end(); ++segment) {
    if (segment->position >= position + max_bytes) break;
    part.files.push_back({PathOf(*segment), segment->position, segment->bytes});
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
    auto read = [&file, &fd](uint64_t at, char* out, size_t size) -> Result<size_t> {
      const ssize_t got = pread(fd->get(), out, size, static_cast<off_t>(at - file.position));
      if (got <= 0) return OsError("read " + file.path, got < 0 ? errno : EIO);
      return static_cast<size_t>(got);
    };
    auto reached = ScanFrames(position, end, read, visit, &stopped, [this, &file](uint64_t at) {
      return Damaged(agent, file.path, at - file.position);
    });
    if (!reached || stopped) return reached;
    position = *reached;
  }
  return position;
}

}  // namespace reeve
