#include "tests/support/log_model.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <utility>

#include "tests/support/loop_fixture.h"

namespace reeve {

namespace {

constexpr const char* kAgent = "a1";
constexpr const char* kType = "agent.output";

std::string Print(Cursor cursor) { return cursor.ToString(); }

}  // namespace

LogModel::LogModel(std::string dir, std::function<uint64_t(uint64_t)> choose)
    : dir_(std::move(dir)), choose_(std::move(choose)) {
  for (Viewer& viewer : viewers_) viewer.model = this;
  Open();
}

LogModel::~LogModel() = default;

bool LogModel::Demand(bool condition, const std::string& what) {
  if (!condition && complaint_.empty()) complaint_ = what;
  return condition;
}

bool LogModel::Step() {
  if (!complaint_.empty()) return false;
  clock_.ms += static_cast<int64_t>(choose_(3));
  switch (choose_(16)) {
    case 0:
    case 1:
    case 2:
    case 3:
      Append();
      break;
    case 4:
    case 5:
    case 6:
      Commit();
      break;
    case 7:
    case 8:
      for (Viewer& viewer : viewers_) Pump(viewer);
      break;
    case 9:
      CheckFind(SomeCursor());
      break;
    case 10:
      CheckRead();
      break;
    case 11:
      CheckScan();
      break;
    case 12:
      CheckPlaces();
      break;
    case 13:
      log_->ReleaseTail();
      break;
    case 14: {
      log_->Trim();
      const EventLog::Stats stats = log_->stats();
      Demand(limits_.retain_bytes == 0 || stats.segments <= 1 || stats.bytes_on_disk <= limits_.retain_bytes,
             "more is kept than the limit allows");
      break;
    }
    default:
      if (choose_(4) == 0) Crash();
  }
  if (const uint64_t first = log_->oldest().seq + 1; first != kept_) {
    Demand(first > kept_ && limits_.retain_bytes != 0,
           "events before " + std::to_string(first) + " are gone");
    kept_ = first;
    trimmed_since_open_ = true;
  }
  Demand(log_->end_position() == end_, "the end is not where it should be");
  Demand(log_->begin_position() == (kept_ > head() ? end_ : event(kept_).start), "nor is the beginning");
  Demand(log_->stats().bytes_on_disk == end_ - log_->begin_position(), "the bytes on disk are miscounted");
  Demand(log_->dirty() == !pending_.empty(), "dirty() is wrong");
  return complaint_.empty();
}

// ------------------------------------------------------------------------------------------------ writing

void LogModel::Append() {
  for (uint64_t count = 1 + choose_(8); count > 0; --count) {
    const uint64_t kind = choose_(64);
    const uint64_t bytes = kind == 0 ? choose_(150'000) : kind < 8 ? choose_(5'000) : choose_(300);
    const std::string data =
        "{\"text\":\"" + std::string(bytes, static_cast<char>('a' + choose_(26))) + "\"}";
    Event made{{epoch_, head() + pending_.size() + 1}, "", 0};
    const std::string run = choose_(2) == 0 ? "" : "r1";
    AppendFrame(made.frame, {kAgent, made.id, FormatTime(clock_.ms), kType, run}, data);
    Demand(log_->Append(kType, run, data) == made.id, "Append gave another number than " + Print(made.id));
    Demand(log_->head() == made.id, "head() is not what was appended last");
    pending_.push_back(std::move(made));
  }
}

void LogModel::Commit() {
  for (Viewer& viewer : viewers_) viewer.told = false;
  if (Status committed = log_->Commit(); !Demand(committed.ok(), "Commit failed")) return;
  for (const Viewer& viewer : viewers_) {
    Demand(!viewer.connected || viewer.told == !pending_.empty(), "OnCommit was not called, or in vain");
  }
  for (Event& event : pending_) {
    event.start = end_;
    end_ += event.frame.size();
    events_.push_back(std::move(event));
  }
  pending_.clear();
  Demand(log_->committed() == (events_.empty() ? Cursor{epoch_, 0} : events_.back().id),
         "committed() is wrong");
}

void LogModel::Open() {
  constexpr uint64_t kSegmentBytes[] = {1, 2'000, 20'000, 200'000};
  constexpr uint64_t kRetainBytes[] = {1, 4'000, 60'000, 400'000, 0};
  constexpr size_t kTailBytes[] = {0, size_t{64} << 10, size_t{256} << 10};
  limits_.segment_bytes = kSegmentBytes[choose_(std::size(kSegmentBytes))];
  limits_.retain_bytes = kRetainBytes[choose_(std::size(kRetainBytes))];
  limits_.tail_bytes = kTailBytes[choose_(std::size(kTailBytes))];
  epoch_ += 1 + choose_(3);
  auto opened = EventLog::Open(clock_, dir_, kAgent, epoch_, limits_);
  if (!opened) {
    Demand(false, "Open: " + opened.error().message);
    return;
  }
  log_ = std::move(*opened);
  end_ = 0;
  for (uint64_t seq = kept_; seq <= head(); ++seq) {
    events_[seq - 1].start = end_;
    end_ += events_[seq - 1].frame.size();
  }
  trimmed_since_open_ = false;
  CheckWhole();
}

// The daemon dies: what was not committed is gone, or part of it stands in the file; perhaps the machine died
// too, and what was committed is gone as well.
void LogModel::Crash() {
  for (const Event& event : pending_) lost_.push_back(event.id);
  for (Viewer& viewer : viewers_) {
    viewer.connected = false;
    viewer.partial.clear();
  }
  std::map<std::filesystem::path, std::string> sums;
  const bool killed = choose_(2) == 0;
  for (const auto& entry : std::filesystem::directory_iterator(dir_)) {
    if (entry.path().extension() == ".sums") sums[entry.path()] = ReadFile(entry.path());
  }
  log_.reset();
  if (killed) {  // then the sums that only a log writes which is closed are missing
    for (const auto& entry : std::filesystem::directory_iterator(dir_)) {
      if (entry.path().extension() == ".sums" && !sums.contains(entry.path()))
        std::filesystem::remove(entry.path());
    }
    for (const auto& [path, bytes] : sums) WriteFile(path, bytes);
  }
  Tear();
  pending_.clear();
  while (lost_.size() > 64) lost_.pop_front();
  Open();
}

void LogModel::Tear() {
  const std::vector<File> files = Files();
  switch (choose_(6)) {
    case 0: {  // in the middle of a write
      std::string bytes;
      for (const Event& event : pending_) bytes += event.frame;
      if (bytes.empty()) return;
      bytes.resize(choose_(bytes.size() + 1));
      const bool same = !files.empty() && event(files.back().first_seq).id.epoch == epoch_;
      const std::string path = same ? files.back().path : PathOf(head() + 1);
      std::ofstream(path, std::ios::binary | std::ios::app) << bytes;
      size_t whole = 0;
      for (Event& event : pending_) {
        whole += event.frame.size();
        if (whole > bytes.size()) break;
        lost_.erase(std::find(lost_.begin(), lost_.end(), event.id));
        events_.push_back(event);
      }
      return;
    }
    case 1: {  // the end was never synced
      if (files.empty()) return;
      const File& last = files.back();
      const uint64_t cut =
          choose_(2) == 0 ? choose_(last.bytes + 1) : choose_(std::min<uint64_t>(last.bytes, 400) + 1);
      CutFile(last, cut);
      uint64_t gone = 0;
      while (gone < cut) {
        gone += events_.back().frame.size();
        lost_.push_back(events_.back().id);
        events_.pop_back();
      }
      if (head() >= kept_) return;
      // Nothing is left, not even the number to go on with.
      for (const Event& event : events_) lost_.push_back(event.id);
      events_.clear();
      kept_ = 1;
      return;
    }
    case 2: {  // nor was the end of an earlier one
      if (files.size() < 2) return;
      const size_t damaged = choose_(files.size() - 1);
      CutFile(files[damaged], 1 + choose_(files[damaged].bytes));
      kept_ = files[damaged + 1].first_seq;
      return;
    }
    case 3: {  // garbage behind the end
      if (files.empty()) return;
      const char* garbage[] = {"id: ", "\n", "\n\n", "id: 1-1\nevent: a\ndata: {}\n\n"};
      std::ofstream(files.back().path, std::ios::binary | std::ios::app) << garbage[choose_(4)];
      return;
    }
    case 4:  // a file that was made and never written to
      std::ofstream(PathOf(head() + 1 + choose_(3)), std::ios::binary | std::ios::app);
      return;
    default:
      return;
  }
}

void LogModel::CutFile(const File& file, uint64_t bytes) const {
  std::filesystem::resize_file(file.path, file.bytes - bytes);
}

std::string LogModel::PathOf(uint64_t first_seq) const {
  const std::string digits = std::to_string(first_seq);
  return dir_ + "/" + std::string(16 - digits.size(), '0') + digits + ".sse";
}

std::vector<LogModel::File> LogModel::Files() const {
  std::vector<File> files;
  for (const auto& entry : std::filesystem::directory_iterator(dir_)) {
    if (entry.path().extension() == ".sums") continue;
    if (entry.path().extension() != ".sse") {
      std::filesystem::remove(entry.path());  // what was set aside: somebody has looked at it
      continue;
    }
    files.push_back({std::stoull(entry.path().stem().string()), entry.path().string(), entry.file_size()});
  }
  std::sort(files.begin(), files.end(),
            [](const File& a, const File& b) { return a.first_seq < b.first_seq; });
  return files;
}

// ------------------------------------------------------------------------------------------------ viewers

void LogModel::Connect(Viewer& viewer) {
  auto start = log_->Find(viewer.seen);
  if (!Demand(start.ok(), "Find for a viewer failed")) return;
  viewer.position = start->position;
  if (start->gap) {
    viewer.seen = start->gap->to;
  } else if (viewer.seen == Cursor{}) {
    viewer.seen = log_->oldest();
  } else if (viewer.seen.seq != 0) {
    // It is told that nothing is missing: then what it saw last is in the log, or the oldest follows it.
    Demand(IsReal(viewer.seen) || viewer.seen == log_->oldest(),
           "no gap was told after " + Print(viewer.seen));
  }
  viewer.connected = true;
  log_->AddReader(&viewer);
}

void LogModel::Pump(Viewer& viewer) {
  if (!viewer.connected) return Connect(viewer);
  if (choose_(16) == 0) {  // it leaves, perhaps in the middle of a frame
    viewer.connected = false;
    viewer.partial.clear();
    log_->RemoveReader(&viewer);
    return;
  }
  const uint64_t most = choose_(2) == 0 ? choose_(600) : choose_(200'000);
  Take(viewer, std::min(end_, viewer.position + most));
}

// Reads on to `until`. Each frame must be the one that follows what was seen last, byte by byte.
void LogModel::Take(Viewer& viewer, uint64_t until) {
  std::string scratch;
  while (viewer.position < until && complaint_.empty()) {
    auto view = log_->Read(viewer.position, until - viewer.position, scratch);
    if (!view && view.error().code == "cold") {
      log_->Warm(viewer.position)();
      continue;
    }
    if (!Demand(view.ok() && view->bytes > 0, "a viewer could not read")) return;
    for (int i = 0; i < view->count; ++i) {
      viewer.partial.append(static_cast<const char*>(view->pieces[i].iov_base), view->pieces[i].iov_len);
    }
    viewer.position += view->bytes;
  }
  size_t done = 0;
  while (viewer.seen.seq < head()) {
    const std::string& next = event(viewer.seen.seq + 1).frame;
    if (viewer.partial.compare(done, next.size(), next) != 0) break;
    done += next.size();
    viewer.seen = event(viewer.seen.seq + 1).id;
  }
  viewer.partial.erase(0, done);
  const bool fits =
      viewer.seen.seq < head()
          ? event(viewer.seen.seq + 1).frame.compare(0, viewer.partial.size(), viewer.partial) == 0
          : viewer.partial.empty();
  Demand(fits, "a viewer got something else than what follows " + Print(viewer.seen));
}

void LogModel::Viewer::OnTrim(uint64_t kept_from) {
  if (position >= kept_from) return;
  if (!partial.empty()) {
    auto frame_end = model->log_->FrameEnd(position);
    if (!model->Demand(frame_end.ok(), "a viewer could not finish its frame")) return;
    model->Take(*this, *frame_end);
    model->Demand(partial.empty(), "FrameEnd is not the end of the frame");
  }
  if (position >= kept_from) return;
  auto to = model->log_->CursorAt(kept_from);
  if (!model->Demand(to.ok(), "CursorAt failed while trimming")) return;
  seen = *to;
  position = kept_from;
}

// ------------------------------------------------------------------------------------------------- checks

uint64_t LogModel::PositionAfter(uint64_t seq) const {
  return seq >= head() ? end_ : event(std::max(seq + 1, kept_)).start;
}

bool LogModel::IsReal(Cursor cursor) const {
  return cursor.seq >= 1 && cursor.seq <= head() && event(cursor.seq).id == cursor;
}

std::string LogModel::Bytes(uint64_t begin, uint64_t end) const {
  auto after = std::upper_bound(events_.begin() + static_cast<std::ptrdiff_t>(kept_ - 1), events_.end(),
                                begin, [](uint64_t at, const Event& event) { return at < event.start; });
  std::string bytes;
  if (begin >= end) return bytes;
  for (auto event = after - 1; event != events_.end() && event->start < end; ++event) bytes += event->frame;
  return bytes.substr(begin - (after - 1)->start, end - begin);
}

Cursor LogModel::SomeCursor() {
  switch (choose_(6)) {
    case 0:
      return lost_.empty() ? Cursor{} : lost_[choose_(lost_.size())];
    case 1:
      return {choose_(epoch_ + 3), choose_(head() + 10)};
    case 2:
      return choose_(2) == 0 ? log_->oldest() : log_->committed();
    case 3:
      return {choose_(epoch_ + 1), 0};
    case 4:
      if (kept_ > 1 && choose_(2) == 0) return event(kept_ - 1).id;
      [[fallthrough]];
    default:
      return events_.empty() ? Cursor{} : event(1 + choose_(head())).id;
  }
}

// All of it, after an opening.
void LogModel::CheckWhole() {
  Demand(log_->oldest().seq + 1 == kept_, "opened with the oldest " + Print(log_->oldest()));
  Demand(log_->committed() == (events_.empty() ? Cursor{epoch_, 0} : events_.back().id),
         "opened with the head " + Print(log_->committed()));
  uint64_t seq = kept_;
  auto end = log_->Scan(0, [this, &seq](const FrameView& frame, std::string_view bytes) {
    Demand(seq <= head() && bytes == event(seq).frame && frame.id == event(seq).id && frame.type == kType,
           "opened with another event " + std::to_string(seq));
    ++seq;
    return complaint_.empty();
  });
  Demand(end.ok() && *end == end_ && seq == head() + 1, "opened with another number of events");
}

void LogModel::CheckFind(Cursor cursor) {
  auto found = log_->Find(cursor);
  if (!Demand(found.ok(), "Find failed")) return;
  const std::string name = "Find " + Print(cursor) + ": ";
  const Cursor oldest = log_->oldest();
  const auto& gap = found->gap;
  if (gap) {
    Demand(gap->from == cursor, name + "the gap begins elsewhere");
    auto at = log_->CursorAt(found->position);
    Demand(at.ok() && at->seq == gap->to.seq, name + "the gap ends elsewhere than the stream goes on");
    Demand(gap->to == oldest || IsReal(gap->to), name + "the gap ends nowhere");
  }
  if (cursor == Cursor{} || cursor == oldest) {
    Demand(!gap && found->position == log_->begin_position(), name + "not from the oldest");
  } else if (IsReal(cursor) && cursor.seq >= kept_) {
    Demand(!gap && found->position == PositionAfter(cursor.seq), name + "not after its event");
  } else if (IsReal(cursor) && cursor.seq + 1 == kept_) {
    Demand(found->position == log_->begin_position(), name + "not from the oldest");
    Demand(!gap || (!trimmed_since_open_ && cursor.epoch != oldest.epoch),
           name + "a gap where nothing is missing");
  } else if (IsReal(cursor)) {
    Demand(gap && std::string_view(gap->reason) == "expired" && gap->to == oldest,
           name + "no word of what expired");
  } else if (cursor.seq > 0 || (oldest.seq > 0 && cursor.epoch <= epoch_)) {
    Demand(gap.has_value(), name + "no word of what was lost");
    const bool was_given = std::find(lost_.begin(), lost_.end(), cursor) != lost_.end();
    auto same_epoch = std::find_if(events_.rbegin(), events_.rend(),
                                   [cursor](const Event& event) { return event.id.epoch == cursor.epoch; });
    if (gap && was_given && same_epoch != events_.rend() && same_epoch->id.seq >= kept_) {
      Demand(gap->to == same_epoch->id, name + "the stream does not go on after what is left of its epoch");
      Demand(std::string_view(gap->reason) == "lost", name + "not called lost");
    }
  }
}

void LogModel::CheckRead() {
  const uint64_t begin = log_->begin_position();
  const uint64_t from = begin + choose_(end_ - begin + 1);
  const uint64_t size = choose_(2) == 0 ? choose_(300) : choose_(300'000);
  std::string scratch;
  auto view = log_->Read(from, size, scratch);
  if (!view && view.error().code == "cold") {
    log_->Warm(from)();
    view = log_->Read(from, size, scratch);
  }
  if (!view && view.error().code == "cold") return;
  if (!Demand(view.ok(), "Read failed")) return;
  std::string bytes;
  for (int i = 0; i < view->count; ++i) {
    bytes.append(static_cast<const char*>(view->pieces[i].iov_base), view->pieces[i].iov_len);
  }
  Demand(bytes.size() == view->bytes && bytes.size() <= size, "Read gave more than was asked for");
  Demand(!bytes.empty() || size == 0 || from == end_, "Read gave nothing");
  Demand(bytes == Bytes(from, from + bytes.size()), "Read gave other bytes");
  if (begin > 0) {
    auto gone = log_->Read(choose_(begin), 1, scratch);
    Demand(!gone && gone.error().code == "expired", "what was trimmed could be read");
  }
}

void LogModel::CheckScan() {
  if (kept_ > head()) return;
  const uint64_t first = kept_ + choose_(head() - kept_ + 1);
  uint64_t left = 1 + choose_(50);
  uint64_t seq = first;
  auto end =
      log_->Scan(event(first).start, [this, &seq, &left](const FrameView& frame, std::string_view bytes) {
        Demand(seq <= head() && frame.id == event(seq).id && bytes == event(seq).frame,
               "Scan gave another event");
        ++seq;
        return --left > 0 && complaint_.empty();
      });
  if (!complaint_.empty()) return;
  Demand(end.ok() && *end == PositionAfter(seq - 1), "Scan ended elsewhere");
  Demand(left == 0 || seq == head() + 1, "Scan ended early");
}

void LogModel::CheckPlaces() {
  const uint64_t seq = choose_(head() + 2);
  auto position = log_->PositionAfter(seq);
  Demand(position.ok() && *position == PositionAfter(seq),
         "PositionAfter " + std::to_string(seq) + " is elsewhere");
  if (kept_ > head()) return;
  const Event& chosen = event(kept_ + choose_(head() - kept_ + 1));
  auto cursor = log_->CursorAt(chosen.start);
  Demand(cursor.ok() && *cursor == (chosen.id.seq == kept_ ? log_->oldest() : event(chosen.id.seq - 1).id),
         "CursorAt event " + Print(chosen.id) + " is another one");
  const uint64_t inside = choose_(chosen.frame.size());
  auto frame_end = log_->FrameEnd(chosen.start + inside);
  Demand(frame_end.ok() && *frame_end == chosen.start + (inside == 0 ? 0 : chosen.frame.size()),
         "FrameEnd " + std::to_string(inside) + " bytes into event " + Print(chosen.id) + " is elsewhere");
}

}  // namespace reeve
