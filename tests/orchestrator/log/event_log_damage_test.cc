// Flipped bits in the files of an event log. Each reader gets exactly the events that have no byte in a
// damaged block, in order, with a gap exactly where others are missing, and never a changed byte.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "orchestrator/log/block_sums.h"
#include "orchestrator/log/event_log.h"
#include "process/log.h"
#include "tests/support/loop_fixture.h"
#include "tests/support/small_disk.h"

namespace reeve {
namespace {

constexpr const char* kOutputType = "agent.output";
constexpr uint64_t kBlockBytes = BlockSums::kBlockBytes;

class EventLogDamage : public testing::Test {
 protected:
  EventLogDamage() {
    log::SetLevel(log::Level::kOff);
    limits_.tail_bytes = 0;
  }
  ~EventLogDamage() override { log::SetLevel(log::Level::kInfo); }

  struct Event {
    Cursor id;
    std::string frame;
    std::string path;
    uint64_t offset;  // in the file
  };

  void Open(std::optional<uint64_t> last = {}) {
    log_.reset();
    auto opened = EventLog::Open(clock_, dir_.path(), "a1", ++epoch_, limits_, last);
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    log_ = std::move(*opened);
  }
  // One event in a commit of its own.
  void Add(size_t bytes) {
    const std::string data = "{\"text\":\"" + std::string(bytes, 'x') + "\"}";
    const Cursor id = log_->Append(kOutputType, "r1", data);
    std::string frame;
    AppendFrame(frame, {"a1", id, FormatTime(clock_.wall_ms), kOutputType, "r1"}, data);
    ASSERT_TRUE(log_->Commit().ok());
    // It is at the end of the newest segment.
    const std::string path = Segments().back();
    events_.push_back({id, frame, path, std::filesystem::file_size(path) - frame.size()});
  }
  void AddUntil(uint64_t position, size_t bytes) {
    while (log_->end_position() < position) Add(bytes);
  }
  [[nodiscard]] std::vector<std::string> FilesOf(const std::string& extension) const {
    std::vector<std::string> files;
    for (const auto& entry : std::filesystem::directory_iterator(dir_.path())) {
      if (entry.path().extension() == extension) files.push_back(entry.path());
    }
    std::sort(files.begin(), files.end());
    return files;
  }
  [[nodiscard]] std::vector<std::string> Segments() const { return FilesOf(".sse"); }

  static void FlipBit(const std::string& path, uint64_t offset, unsigned bit) {
    std::string bytes = ReadFile(path);
    bytes[offset] = static_cast<char>(bytes[offset] ^ (1 << bit));
    WriteFile(path, bytes);
  }
  void Damage(const std::string& path, uint64_t offset, unsigned bit) {
    FlipBit(path, offset, bit);
    damaged_[path].insert(offset / kBlockBytes);
  }
  void Repair(const std::string& path, uint64_t offset, unsigned bit) {
    FlipBit(path, offset, bit);
    damaged_.clear();
  }
  [[nodiscard]] bool Lost(const Event& event) const {
    const auto file = damaged_.find(event.path);
    if (file == damaged_.end()) return false;
    const auto block = file->second.lower_bound(event.offset / kBlockBytes);
    return block != file->second.end() && *block <= (event.offset + event.frame.size() - 1) / kBlockBytes;
  }
  [[nodiscard]] static std::string Gap(Cursor from, Cursor to) {
    return "gap " + from.ToString() + " " + to.ToString() + "\n";
  }

  // The items that a reader gets that has had the first `seen` events.
  [[nodiscard]] std::string Expected(size_t seen = 0, bool with_gaps = true) const {
    std::string items;
    Cursor from = seen == 0 ? log_->oldest() : events_[seen - 1].id;
    bool lost = false;
    for (size_t i = seen; i < events_.size(); ++i) {
      if (Lost(events_[i])) {
        lost = true;
        continue;
      }
      if (lost && with_gaps) items += Gap(from, events_[i - 1].id);
      lost = false;
      items += events_[i].frame;
      from = events_[i].id;
    }
    if (lost && with_gaps) items += Gap(from, events_.back().id);
    return items;
  }

  // Reads as a live viewer does, which has had everything up to `seen`, in steps of `step` bytes.
  [[nodiscard]] std::string Viewer(Cursor seen, size_t step) const {
    auto start = log_->Find(seen);
    if (!start) return "<" + start.error().message + ">";
    std::string items;
    if (start->gap) items += Gap(start->gap->from, start->gap->to);
    std::string scratch;
    for (uint64_t at = start->position; at < log_->end_position();) {
      auto view = log_->Read(at, step, scratch);
      if (!view && view.error().code == "cold") {
        log_->Warm(at)();
        continue;
      }
      if (!view && view.error().code == "damaged") {
        auto next = log_->Skip(at);
        if (!next) return items + "<" + next.error().message + ">";
        EXPECT_STREQ(next->gap->reason, "damaged");
        items += Gap(next->gap->from, next->gap->to);
        EXPECT_GT(next->position, at);
        at = next->position;
        continue;
      }
      if (!view) return items + "<" + view.error().message + ">";
      for (int i = 0; i < view->count; ++i) {
        items.append(static_cast<const char*>(view->pieces[i].iov_base), view->pieces[i].iov_len);
      }
      at += view->bytes;
    }
    return items;
  }

  template <typename Scan>
  [[nodiscard]] std::string Scanned(Scan scan) const {
    std::string items;
    auto end = scan([&items](const FrameView&, std::string_view bytes) {
      items += bytes;
      return true;
    });
    EXPECT_EQ(end ? *end : 0, log_->end_position());
    return items;
  }

  // Every way of reading.
  void CheckAll(const std::string& what) {
    const std::string expected = Expected();
    for (const size_t step :
         {log_->end_position() < 60'000 ? size_t{177} : size_t{30'001}, size_t{1} << 20}) {
      ASSERT_TRUE(Viewer({}, step) == expected) << what << ", in steps of " << step;
    }
    const std::string scanned =
        Scanned([this](auto visit) { return log_->Scan(log_->begin_position(), visit); });
    ASSERT_TRUE(scanned == Expected(0, false)) << what;
    const EventLog::Files files = log_->FilesFrom(log_->begin_position(), UINT64_MAX / 2);
    ASSERT_TRUE(Scanned([&](auto visit) { return files.Scan(log_->begin_position(), visit); }) == scanned)
        << what;
    // Cursors of lost events, of those beside them, and of some others.
    for (size_t seen = 1; seen <= events_.size(); ++seen) {
      const bool beside = Lost(events_[seen - 1]) || (seen < events_.size() && Lost(events_[seen]));
      if (!beside && seen % 16 != 0) continue;
      auto found = log_->Find(events_[seen - 1].id);
      ASSERT_TRUE(found.ok()) << what << ": " << found.error().message;
      size_t next = seen;
      while (next < events_.size() && Lost(events_[next])) ++next;
      ASSERT_EQ(found->gap.has_value(), next != seen) << what << ", after " << seen;
      if (found->gap) {
        ASSERT_EQ(found->gap->from, events_[seen - 1].id) << what;
        ASSERT_EQ(found->gap->to, events_[next - 1].id) << what;
        ASSERT_STREQ(found->gap->reason, "damaged");
      }
      std::string first;
      (void)log_->Scan(found->position, [&first](const FrameView&, std::string_view bytes) {
        first = bytes;
        return false;
      });
      ASSERT_TRUE(first == (next < events_.size() ? events_[next].frame : "")) << what << ", after " << seen;
    }
  }
  // A reader with a cursor, from each of some events on.
  void CheckCursors(const std::string& what, size_t step) {
    for (size_t seen = 1; seen < events_.size(); seen += step) {
      ASSERT_TRUE(Viewer(events_[seen - 1].id, SIZE_MAX) == Expected(seen)) << what << ", after " << seen;
    }
  }

  TempDir dir_;
  MockClock clock_;
  EventLog::Limits limits_;
  uint64_t epoch_ = 0;
  std::unique_ptr<EventLog> log_;
  std::vector<Event> events_;
  std::map<std::string, std::set<uint64_t>> damaged_;  // blocks of files
};

TEST_F(EventLogDamage, EachFlippedBitOfEachPartOfAFrameIsFound) {
  limits_.segment_bytes = 3 * kBlockBytes;
  Open();
  AddUntil(4 * kBlockBytes, 600);  // a segment that has been followed by another, and
  Open();
  AddUntil(7 * kBlockBytes, 600);  // the last one
  Open();
  for (const std::string& path : Segments()) {
    const uint64_t size = std::filesystem::file_size(path);
    for (const uint64_t place :
         {uint64_t{0}, size / 2, size - 1}) {  // in the first, a middle and the last block
      const auto hit = std::find_if(events_.rbegin(), events_.rend(), [&](const Event& event) {
        return event.path == path && event.offset <= place;
      });
      const std::string& frame = hit->frame;
      const size_t parts[] = {0,
                              5,
                              frame.find("event: ") + 3,
                              frame.find("\"epoch\":") + 8,
                              frame.find("xxx"),
                              frame.size() - 3,
                              frame.size() - 2,
                              frame.size() - 1};
      for (const size_t part : parts) {
        for (unsigned bit = 0; bit < 8; ++bit) {
          const std::string what = path + ": byte " + std::to_string(hit->offset + part);
          Damage(path, hit->offset + part, bit);
          log_->ReleaseTail();
          CheckAll(what);
          if (bit == part % 8) {  // and it is found again by the next daemon
            Open();
            CheckAll(what + ", opened again");
            CheckCursors(what, 5);
          }
          Repair(path, hit->offset + part, bit);
          ASSERT_FALSE(HasFatalFailure());
        }
      }
    }
  }
  EXPECT_EQ(FilesOf(".damaged"), std::vector<std::string>{});
  Open();
  CheckAll("repaired");
}

TEST_F(EventLogDamage, DamageOfTheSumsHidesNoEvent) {
  limits_.segment_bytes = 100'000;
  Open();
  AddUntil(190'000, 20'000);
  Open();
  for (const std::string& path : FilesOf(".sums")) {
    const uint64_t size = std::filesystem::file_size(path);
    for (uint64_t at = 0; at < size; ++at) {
      FlipBit(path, at, at % 8);
      Open();
      ASSERT_TRUE(Viewer({}, SIZE_MAX) == Expected()) << path << ": byte " << at;
      log_.reset();
      FlipBit(path, at, at % 8);
    }
    for (const uint64_t cut : {size - 1, size / 2, uint64_t{0}}) {
      const std::string bytes = ReadFile(path);
      std::filesystem::resize_file(path, cut);
      Open();
      CheckAll(path + " cut");
      log_.reset();
      WriteFile(path, bytes);
    }
  }
}

TEST_F(EventLogDamage, ALogOfAnEarlierVersionIsReadAsItWas) {
  limits_.segment_bytes = 50'000;
  Open();
  AddUntil(60'000, 300);
  const std::string first = Segments().front();
  const std::string last = Segments().back();
  log_.reset();
  for (const std::string& path : FilesOf(".sums")) std::filesystem::remove(path);
  Open();
  CheckAll("without sums");
  Event& changed = events_[20];
  FlipBit(first, changed.offset + changed.frame.find("xxx"), 0);
  changed.frame[changed.frame.find("xxx")] = 'y';
  CheckAll("nothing tells that it was changed");
  // The last segment is read when the log is opened, and has sums from then on.
  Open();
  EXPECT_EQ(FilesOf(".sums"), std::vector<std::string>{BlockSums::PathFor(last)});
  Damage(last, 5'000, 3);
  CheckAll("damaged later");
}

TEST_F(EventLogDamage, AKilledDaemonLeavesTheSumsOfMostOfItsEvents) {
  Open();
  AddUntil(2'400'000, 6'000);
  const std::string path = Segments().back();
  const std::string sums = ReadFile(BlockSums::PathFor(path));
  ASSERT_FALSE(sums.empty());
  log_.reset();
  ASSERT_NE(ReadFile(BlockSums::PathFor(path)), sums);  // a log that is closed in order writes the rest
  WriteFile(BlockSums::PathFor(path), sums);
  Damage(path, 1'000'000, 1);
  Open();
  CheckAll("killed");
  Add(10), Add(10);
  log_->ReleaseTail();
  CheckAll("and continued");
  Open();
  CheckAll("and opened again");
  EXPECT_EQ(log_->committed(), events_.back().id);
}

// A daemon that was killed may have written events of its last turn, which nobody has seen.
TEST_F(EventLogDamage, TheSumsAreCutWithTheLog) {
  for (const uint64_t cut : {uint64_t{1}, uint64_t{40}, uint64_t{100}, uint64_t{181}}) {
    for (const bool damage : {false, true}) {
      TempDir folder;
      events_.clear();
      damaged_.clear();
      auto open = [&](std::optional<uint64_t> last) {
        log_.reset();
        auto opened = EventLog::Open(clock_, folder.path(), "a1", ++epoch_, limits_, last);
        ASSERT_TRUE(opened.ok()) << opened.error().message;
        log_ = std::move(*opened);
      };
      auto add = [&] {
        log_->Append(kOutputType, "", "{\"text\":\"" + std::string(500, 'x') + "\"}");
        ASSERT_TRUE(log_->Commit().ok());
      };
      open({});
      for (int i = 0; i < 200; ++i) add();
      log_.reset();
      const std::string path = folder.path() + "/0000000000000001.sse";
      const std::string whole = ReadFile(path);
      if (damage) FlipBit(path, 20'000, 2);
      open(cut);
      EXPECT_EQ(log_->committed().seq, cut);
      for (int i = 0; i < 30; ++i) add();
      for (const bool again : {false, true}) {
        if (again) open({});
        log_->ReleaseTail();
        EXPECT_EQ(log_->committed().seq, cut + 30);
        uint64_t seq = 0;
        uint64_t missing = 0;
        auto scanned = log_->Scan(0, [&](const FrameView& frame, std::string_view bytes) {
          missing += frame.id.seq - seq - 1;
          seq = frame.id.seq;
          EXPECT_TRUE(seq > cut || whole.find(bytes) != std::string::npos) << seq;
          return true;
        });
        ASSERT_TRUE(scanned.ok()) << scanned.error().message;
        EXPECT_EQ(seq, cut + 30);
        // The flipped byte 20,000 is in block 4, from byte 16,384 on; an event has more than 600 bytes.
        EXPECT_EQ(missing > 0, damage && cut > 27) << cut;
        EXPECT_LT(missing, 10u);
      }
    }
  }
}

TEST_F(EventLogDamage, ALogWhoseEndIsDamagedContinuesWithTheNextNumber) {
  Open();
  AddUntil(9'000, 100);
  const std::string path = Segments().back();
  Open();
  Damage(path, events_.back().offset + 3, 0);
  for (int i = 0; i < 3; ++i) {
    Open();
    EXPECT_EQ(log_->committed(), events_.back().id);
    CheckAll("the end");
    EXPECT_EQ(FilesOf(".damaged"), std::vector<std::string>{});
  }
  Add(20);
  log_->ReleaseTail();
  CheckAll("continued");
  Open();
  CheckAll("opened again");
}

TEST_F(EventLogDamage, ASegmentOfWhichNothingIsLeftIsOneGap) {
  limits_.segment_bytes = 10'000;
  Open();
  AddUntil(35'000, 200);
  const std::string second = Segments()[1];
  const std::string last = Segments().back();
  Open();
  for (const std::string& path : {second, last}) {
    const uint64_t size = std::filesystem::file_size(path);
    WriteFile(path, std::string(size, '\0'));
    for (uint64_t block = 0; block * kBlockBytes < size; ++block) damaged_[path].insert(block);
    CheckAll("zeros");
    Open();
    CheckAll("zeros, opened again");
  }
}

TEST_F(EventLogDamage, TheBeginningOfAnEventThatHasNoEndIsNotGivenOut) {
  Open();
  Add(100), Add(400'000), Add(100), Add(3'000'000), Add(100);
  log_->ReleaseTail();
  const std::string path = Segments().back();
  for (const size_t event : {1U, 3U}) {
    for (const uint64_t part : {uint64_t{10}, uint64_t{70'000}, events_[event].frame.size() - 20}) {
      Damage(path, events_[event].offset + part, 4);
      CheckAll("a long event");
      Repair(path, events_[event].offset + part, 4);
    }
  }
  CheckAll("repaired");
}

// A reader that has had the beginning of an event from memory cannot get its end.
TEST_F(EventLogDamage, AReaderWithinADamagedEventIsToldToComeBack) {
  Open();
  for (int i = 0; i < 60; ++i) Add(1'000);
  log_->ReleaseTail();
  Damage(Segments().back(), events_[30].offset + 500, 4);
  const uint64_t inside = events_[30].offset + 450;
  std::string scratch;
  auto view = log_->Read(inside, SIZE_MAX, scratch);
  ASSERT_FALSE(view.ok());
  EXPECT_EQ(view.error().code, "damaged");
  EXPECT_EQ(log_->Skip(inside).error().code, "damaged");
}

// The reader's event ends nowhere near, and the bytes before it need not be read.
TEST_F(EventLogDamage, APositionWithinAnEventIsFoundOutNearby) {
  Open();
  AddUntil(400'000, 1'000);
  log_->ReleaseTail();
  Damage(Segments().back(), 10'000, 4);
  EXPECT_EQ(log_->Skip(events_.back().offset + 300).error().code, "damaged");
  EXPECT_EQ(log_->stats().damaged_blocks, 0u);
}

TEST_F(EventLogDamage, DamagedEventsBehindTheCutAreCutToo) {
  Open();
  for (int i = 0; i < 60; ++i) Add(1'000);
  const std::string path = Segments().back();
  const auto first = std::find_if(events_.begin() + 20, events_.end(), [](const Event& event) {
    return event.offset / kBlockBytes != (event.offset + event.frame.size() - 1) / kBlockBytes;
  });
  ASSERT_NE(first, events_.end());
  const Event cut = *first;  // its last bytes are in the damaged block
  Damage(path, cut.offset + cut.frame.size() - 1, 1);
  Open(cut.id.seq - 1);
  EXPECT_EQ(std::filesystem::file_size(path), cut.offset);
  EXPECT_EQ(log_->committed().seq, cut.id.seq - 1);
  events_.resize(cut.id.seq - 1);
  damaged_.clear();
  for (int i = 0; i < 3; ++i) Add(500);
  CheckAll("continued");
  Open();
  CheckAll("opened again");
}

// Without sums, no damage is known that the log could begin behind.
TEST_F(EventLogDamage, TheBeginningOfALogWithoutSumsIsFoundIfItsFirstFrameIsMalformed) {
  limits_.segment_bytes = 100'000;  // only its end is read when the log is opened
  Open();
  AddUntil(120'000, 300);
  const std::string first = Segments().front();
  log_.reset();
  for (const std::string& path : FilesOf(".sums")) std::filesystem::remove(path);
  std::string bytes = ReadFile(first);
  bytes.replace(bytes.find("\nevent: "), 8, "\nevens: ");
  WriteFile(first, bytes);
  Open();
  auto start = log_->Find({});
  ASSERT_TRUE(start.ok()) << start.error().message;
  EXPECT_EQ(Segments().front(), first);  // it was not set aside
  EXPECT_EQ(start->position, 0u);
  EXPECT_FALSE(start->gap.has_value());
}

TEST_F(EventLogDamage, ASegmentThatBecameShorterIsAnErrorAndNotCold) {
  Open();
  for (int i = 0; i < 60; ++i) Add(1'000);
  log_->ReleaseTail();
  std::filesystem::resize_file(Segments().back(), 2 * kBlockBytes + 100);  // within a block
  const uint64_t inside = 2 * kBlockBytes + 50;
  for (int i = 0; i < 2; ++i) {
    log_->Warm(inside)();
    std::string scratch;
    auto view = log_->Read(inside, SIZE_MAX, scratch);
    ASSERT_FALSE(view.ok());
    EXPECT_EQ(view.error().code, "os_error");
    EXPECT_NE(view.error().message.find("has become shorter"), std::string::npos) << view.error().message;
  }
}

// Each part of an event's first line stands in front of a damaged block once.
TEST_F(EventLogDamage, TheFirstLineOfADamagedEventIsNotGivenOut) {
  Open();
  Add(0);
  while (events_.size() < 10) Add(0);
  const size_t empty = events_.back().frame.size();  // of an event with a number of two digits
  std::vector<uint64_t> borders;
  for (size_t before = 1; before <= 20; ++before) {
    const uint64_t border = (log_->end_position() / kBlockBytes + 2) * kBlockBytes;
    Add(border - before - log_->end_position() - empty);
    ASSERT_EQ(log_->end_position(), border - before);
    Add(6'000);
    borders.push_back(border);
  }
  log_->ReleaseTail();
  for (const uint64_t place : borders) {
    Damage(Segments().back(), place + 10, 2);
    CheckAll("the block at " + std::to_string(place));
    Repair(Segments().back(), place + 10, 2);
  }
}

TEST_F(EventLogDamage, SumsThatCannotBeWrittenDelayNothing) {
  Open();
  Add(10);
  const std::string path = BlockSums::PathFor(Segments().back());
  ASSERT_EQ(mkdir(path.c_str(), 0700), 0);
  AddUntil(300'000, 1'000);
  log_->ReleaseTail();
  CheckAll("without a file of sums");
  Damage(Segments().back(), 1'000, 1);
  CheckAll("the sums are in memory");
  ASSERT_EQ(rmdir(path.c_str()), 0);
  Add(10);  // of no importance for the sums that are due
  Open();
  CheckAll("they have been written later");
}

TEST_F(EventLogDamage, SumsOfAClosedSegmentAreWrittenLater) {
  limits_.segment_bytes = 50'000;
  Open();
  AddUntil(20'000, 1'000);
  const std::string first = Segments().front();
  ASSERT_EQ(mkdir(BlockSums::PathFor(first).c_str(), 0700), 0);
  AddUntil(60'000, 1'000);
  ASSERT_EQ(Segments().size(), 2u);
  log_->ReleaseTail();
  Damage(first, 30'000, 1);
  CheckAll("the sums are in memory");
  ASSERT_EQ(rmdir(BlockSums::PathFor(first).c_str()), 0);
  log_->ReleaseTail();
  Open();
  CheckAll("they have been written later");
}

TEST_F(EventLogDamage, UnwrittenSumsGoWithTheirSegment) {
  limits_.segment_bytes = 10'000;
  Open();
  AddUntil(5'000, 1'000);
  const std::string sums = BlockSums::PathFor(Segments().front());
  ASSERT_EQ(mkdir(sums.c_str(), 0700), 0);
  AddUntil(40'000, 1'000);
  limits_.retain_bytes = 10'000;
  log_->SetLimits(limits_);
  log_->Trim();
  std::filesystem::remove(sums);
  log_->ReleaseTail();
  EXPECT_FALSE(std::filesystem::exists(sums));
}

// No file of this process may grow meanwhile.
class NoRoom {
 public:
  NoRoom() {
    old_handler_ = std::signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old_);
    const rlimit none = {0, old_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &none);
  }
  ~NoRoom() {
    setrlimit(RLIMIT_FSIZE, &old_);
    (void)std::signal(SIGXFSZ, old_handler_);
  }
  NoRoom(const NoRoom&) = delete;
  NoRoom& operator=(const NoRoom&) = delete;

 private:
  void (*old_handler_)(int);
  rlimit old_;
};

TEST_F(EventLogDamage, AFullDiskKeepsTheSumsThatItHas) {
  Open();
  AddUntil(1'500'000, 6'000);
  const std::string path = Segments().back();
  const std::string sums = ReadFile(BlockSums::PathFor(path));  // of a daemon that was killed here
  ASSERT_FALSE(sums.empty());
  log_.reset();
  WriteFile(BlockSums::PathFor(path), sums);
  Open();
  {
    const NoRoom no_room;
    log_->ReleaseTail();
  }
  EXPECT_TRUE(ReadFile(BlockSums::PathFor(path)) == sums);
  log_->ReleaseTail();
  EXPECT_GT(ReadFile(BlockSums::PathFor(path)).size(), sums.size());
}

TEST_F(EventLogDamage, SumsWithoutASegmentAreRemoved) {
  Open();
  AddUntil(10'000, 100);
  const std::string stale = BlockSums::PathFor(dir_.path() + "/0000000000009999.sse");
  const std::string other = dir_.path() + "/notes.sums";
  log_.reset();
  WriteFile(stale, "of a segment that is gone");
  WriteFile(other, "somebody else's");
  Open();
  EXPECT_FALSE(std::filesystem::exists(stale));
  EXPECT_TRUE(std::filesystem::exists(other));
}

// The sums of another segment of its name do not become those of a new one.
TEST_F(EventLogDamage, ANewSegmentHasNoSumsYet) {
  limits_.segment_bytes = 10'000;
  Open();
  while (events_.size() < 20) Add(100);
  const std::string sums = BlockSums::PathFor(dir_.path() + "/0000000000000021.sse");
  Open();
  WriteFile(sums, "left behind");
  Add(100);
  ASSERT_EQ(BlockSums::PathFor(Segments().back()), sums);
  EXPECT_FALSE(std::filesystem::exists(sums));
}

TEST_F(EventLogDamage, ASegmentThatCannotBeRemovedKeepsItsSums) {
  limits_.segment_bytes = 10'000;
  Open();
  AddUntil(40'000, 200);
  const std::string first = Segments().front();
  ASSERT_TRUE(std::filesystem::exists(BlockSums::PathFor(first)));
  std::filesystem::rename(first, first + ".away");
  std::filesystem::create_directory(first);
  limits_.retain_bytes = 10'000;
  log_->SetLimits(limits_);
  log_->Trim();
  EXPECT_TRUE(std::filesystem::exists(BlockSums::PathFor(first)));
  std::filesystem::remove(first);
  std::filesystem::rename(first + ".away", first);
  CheckAll("all of it is there");
}

// A daemon that knows no sums has replaced a segment, and left the sums of the one before.
TEST_F(EventLogDamage, SumsOfAnotherSegmentOfTheSameNameAreIgnored) {
  Open();
  AddUntil(10'000, 100);
  const std::string path = Segments().back();
  log_.reset();
  const std::string sums = ReadFile(BlockSums::PathFor(path));
  std::filesystem::remove(path);
  std::filesystem::remove(BlockSums::PathFor(path));
  events_.clear();
  Open();
  AddUntil(10'000, 90);
  log_.reset();
  WriteFile(BlockSums::PathFor(path), sums);
  Open();
  CheckAll("the sums of the earlier one");
  Damage(path, 5'000, 0);
  Open();
  Open();
  CheckAll("its own sums now");
}

TEST_F(EventLogDamage, DamageIsReportedOnceHoweverOftenItIsRead) {
  Open();
  AddUntil(50'000, 200);
  log_->ReleaseTail();
  Damage(Segments().back(), 9'000, 0);
  Damage(Segments().back(), 30'000, 0);
  EXPECT_EQ(log_->stats().damaged_blocks, 0u);
  CheckAll("once");
  CheckAll("again");
  EXPECT_EQ(log_->stats().damaged_blocks, 2u);
}

TEST_F(EventLogDamage, ASegmentAndItsSumsGoTogether) {
  limits_.segment_bytes = 5'000;
  Open();
  AddUntil(60'000, 200);
  auto sums_of_segments = [this] {
    std::vector<std::string> expected;
    for (const std::string& path : Segments()) expected.push_back(BlockSums::PathFor(path));
    return expected;
  };
  limits_.retain_bytes = 30'000;
  log_->SetLimits(limits_);
  log_->Trim();
  ASSERT_LT(Segments().size(), 10u);
  Open();
  EXPECT_EQ(FilesOf(".sums"), sums_of_segments());
  Open(log_->committed().seq - 60);  // cuts off some segments, and a part of one
  Add(10);
  EXPECT_EQ(FilesOf(".sums").size() + 1, Segments().size());  // those of the new one are written later
  // A segment that has lost its end is set aside with all that are older, and their sums.
  std::filesystem::resize_file(Segments()[1], 1'000);
  Open();
  EXPECT_EQ(FilesOf(".damaged").size(), 4u);
  EXPECT_EQ(FilesOf(".sums"), sums_of_segments());
  ASSERT_TRUE(log_->Remove().ok());
  log_.reset();
  EXPECT_FALSE(std::filesystem::exists(dir_.path()));
  std::filesystem::create_directory(dir_.path());
}

// Random events, openings and flips.
class EventLogDamageProperty : public EventLogDamage, public testing::WithParamInterface<uint64_t> {};

TEST_P(EventLogDamageProperty, AReaderGetsExactlyTheUndamagedEvents) {
  std::mt19937_64 random(GetParam());
  auto below = [&random](uint64_t n) { return random() % n; };
  limits_.segment_bytes = 2'000 + below(300'000);
  const uint64_t sizes[] = {20, 300, 300, 2'000, 100'000};
  for (int round = 0; round < 8 && !HasFatalFailure(); ++round) {
    const std::string what = "seed " + std::to_string(GetParam()) + ", round " + std::to_string(round);
    if (round == 0 || below(2) == 0) Open();
    const uint64_t most = sizes[below(5)];
    for (uint64_t count = below(most > 10'000 ? 8 : 60); count > 0; --count) Add(below(most));
    if (events_.empty()) continue;
    log_->ReleaseTail();  // from here on everything has sums and is read from disk
    for (uint64_t flips = below(3); flips > 0; --flips) {
      const std::string path = Segments()[below(Segments().size())];
      const uint64_t at = below(std::filesystem::file_size(path));
      if (damaged_[path].contains(at / kBlockBytes)) continue;  // a bit that is flipped twice is whole again
      Damage(path, at, static_cast<unsigned>(below(8)));
    }
    CheckAll(what);
    if (below(2) == 0) {
      Open();
      CheckAll(what + ", opened again");
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, EventLogDamageProperty, testing::Range<uint64_t>(1, 17));

}  // namespace
}  // namespace reeve
