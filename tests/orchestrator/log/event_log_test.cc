#include "orchestrator/log/event_log.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "process/log.h"
#include "tests/support/loop_fixture.h"
#include "tests/support/small_disk.h"

namespace reeve {
namespace {

constexpr const char* kAgent = "a1";
constexpr const char* kType = "agent.output";

// From `position` on, in reads of at most `step` bytes.
std::string ReadFrom(const EventLog& log, uint64_t position, size_t step = size_t{1} << 20) {
  std::string got;
  std::string scratch;
  for (;;) {
    auto view = log.Read(position, step, scratch);
    if (!view && view.error().code == "cold") {
      log.Warm(position)();
      continue;
    }
    if (!view) return got + "<" + view.error().message + ">";
    if (view->bytes == 0) return got;
    EXPECT_LE(view->bytes, step);
    for (int i = 0; i < view->count; ++i) {
      got.append(static_cast<const char*>(view->pieces[i].iov_base), view->pieces[i].iov_len);
    }
    position += view->bytes;
  }
}

class EventLogTest : public testing::Test {
 protected:
  EventLogTest() { log::SetLevel(log::Level::kOff); }  // what is damaged here is damaged on purpose
  ~EventLogTest() override { log::SetLevel(log::Level::kInfo); }

  // Opens the log in a new epoch, by default the next one. Uncommitted events are lost, as after a kill -9.
  Result<void> TryOpen(uint64_t epoch) {
    log_.reset();
    events_.resize(committed_);
    auto opened = EventLog::Open(clock_, dir(), kAgent, epoch, limits_);
    if (!opened) return opened.error();
    log_ = std::move(*opened);
    epoch_ = epoch;
    return {};
  }
  void Open() {
    Status opened = TryOpen(epoch_ + 1);
    ASSERT_TRUE(opened.ok()) << opened.error().message;
  }

  Cursor Append(size_t bytes = 10) {
    const std::string data = "{\"text\":\"" + std::string(bytes, 'x') + "\"}";
    const Cursor id{epoch_, events_.size() + 1};
    std::string frame;
    AppendFrame(frame, {kAgent, id, FormatTime(clock_.wall_ms), kType, "r1"}, data);
    EXPECT_EQ(log_->Append(kType, "r1", data), id);
    events_.push_back(frame);
    ids_.resize(events_.size());
    ids_.back() = id;
    return id;
  }
  void Commit() {
    Status committed = log_->Commit();
    ASSERT_TRUE(committed.ok()) << committed.error().message;
    committed_ = events_.size();
  }
  Cursor Add(size_t bytes = 10) {
    Cursor id = Append(bytes);
    Commit();
    return id;
  }
  // The last `count` events are no longer there.
  void Forget(size_t count) {
    events_.resize(events_.size() - count);
    ids_.resize(events_.size());
    committed_ = events_.size();
  }

  // The stream of the events first..last, from number 1 on.
  [[nodiscard]] std::string Stream(size_t first = 1, size_t last = SIZE_MAX) const {
    std::string stream;
    for (size_t seq = first; seq <= std::min(last, events_.size()); ++seq) stream += events_[seq - 1];
    return stream;
  }
  // Where event `seq` begins, in a log that is whole.
  [[nodiscard]] uint64_t Begin(size_t seq) const { return Stream(1, seq - 1).size(); }

  // All files but those of the sums, of which event_log_damage_test.cc knows more.
  [[nodiscard]] std::vector<std::string> Names() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(dir())) {
      const std::string name = entry.path().filename();
      if (name.find(".sums") == std::string::npos) names.push_back(name);
    }
    std::sort(names.begin(), names.end());
    return names;
  }
  [[nodiscard]] std::string Path(const std::string& name) const { return dir() + "/" + name; }
  [[nodiscard]] virtual std::string dir() const { return temp_.path() + "/log"; }

  EventLog::Start Find(Cursor cursor) {
    auto found = log_->Find(cursor);
    EXPECT_TRUE(found.ok()) << cursor.ToString();
    return found.ok() ? *found : EventLog::Start{};
  }
  // "" when the stream goes on right after `cursor`, else "expired 3-10" or "lost 3-10".
  std::string GapAfter(Cursor cursor) {
    EventLog::Start start = Find(cursor);
    if (!start.gap) return "";
    EXPECT_EQ(start.gap->from, cursor);
    return std::string(start.gap->reason) + " " + start.gap->to.ToString();
  }
  // The number of the event that a reader with `cursor` gets first.
  uint64_t NextAfter(Cursor cursor) {
    auto at = log_->CursorAt(Find(cursor).position);
    EXPECT_TRUE(at.ok());
    return at.ok() ? at->seq + 1 : 0;
  }

  TempDir temp_;
  MockClock clock_;
  EventLog::Limits limits_;
  uint64_t epoch_ = 0;
  std::unique_ptr<EventLog> log_;
  std::vector<std::string> events_;  // all frames, from number 1 on
  std::vector<Cursor> ids_;
  size_t committed_ = 0;
};

// ------------------------------------------------------------------------------------------------- basics

TEST_F(EventLogTest, WhatIsAppendedIsSeenOnceItIsCommitted) {
  Open();
  EXPECT_EQ(log_->head(), (Cursor{1, 0}));
  Append(), Append(), Append();
  EXPECT_EQ(log_->head(), (Cursor{1, 3}));
  EXPECT_EQ(log_->committed(), (Cursor{1, 0}));
  EXPECT_EQ(log_->end_position(), 0u);
  EXPECT_EQ(ReadFrom(*log_, 0), "");
  EXPECT_TRUE(log_->dirty());
  Commit();
  EXPECT_EQ(log_->committed(), (Cursor{1, 3}));
  EXPECT_EQ(ReadFrom(*log_, 0), Stream());
  EXPECT_FALSE(log_->dirty());
}

TEST_F(EventLogTest, TheFileIsTheStream) {
  Open();
  Add(), Add(200), Append(), Append();
  EXPECT_EQ(ReadFile(Path("0000000000000001.sse")), Stream(1, 2));
  Commit();
  EXPECT_EQ(ReadFile(Path("0000000000000001.sse")), Stream());
  EXPECT_EQ(Names(), std::vector<std::string>{"0000000000000001.sse"});
}

TEST_F(EventLogTest, AnEmptyLogHasNoFilesAndNothingToRead) {
  Open();
  Commit();
  EXPECT_EQ(Names(), std::vector<std::string>{});
  EXPECT_EQ(log_->oldest(), (Cursor{1, 0}));
  EXPECT_EQ(log_->begin_position(), log_->end_position());
  EXPECT_EQ(NextAfter(Cursor{}), 1u);
  auto position = log_->PositionAfter(0);
  ASSERT_TRUE(position.ok());
  EXPECT_EQ(*position, 0u);
  Open();
  EXPECT_EQ(Add(), (Cursor{2, 1}));
}

TEST_F(EventLogTest, NumbersGoOnAndTheEpochIsNewAfterAnOpening) {
  Open();
  Add(), Add();
  Open();
  EXPECT_EQ(log_->committed(), (Cursor{1, 2}));
  EXPECT_EQ(Add(), (Cursor{2, 3}));
  EXPECT_EQ(ReadFrom(*log_, 0), Stream());
  EXPECT_EQ(Names(), (std::vector<std::string>{"0000000000000001.sse", "0000000000000003.sse"}));
  EXPECT_EQ(ReadFile(Path("0000000000000003.sse")), Stream(3, 3));
}

TEST_F(EventLogTest, AnEpochThatIsNotNewIsRefused) {
  Open(), Open(), Open();
  Add();
  EXPECT_FALSE(TryOpen(3).ok());
  EXPECT_FALSE(TryOpen(2).ok());
  Status opened = TryOpen(4);
  EXPECT_TRUE(opened.ok());
  EXPECT_EQ(ReadFrom(*log_, 0), Stream());
}

TEST_F(EventLogTest, EventsOfAnySizeComeBackByteForByte) {
  limits_.segment_bytes = 300'000;
  Open();
  const size_t chunk = EventLog::kChunkBytes;
  for (size_t bytes : {size_t{1}, size_t{2}, chunk - 1, chunk, chunk + 1, 3 * chunk, size_t{1} << 20,
                       size_t{3} << 20, size_t{0}, size_t{5}}) {
    Append(bytes);
    if (bytes != chunk) Commit();
  }
  Commit();
  for (bool from_disk : {false, true}) {
    if (from_disk) log_->ReleaseTail();
    for (size_t step : {size_t{700}, chunk - 1, chunk, size_t{10} << 20}) {
      EXPECT_TRUE(ReadFrom(*log_, 0, step) == Stream()) << step << (from_disk ? " from disk" : "");
    }
    uint64_t seq = 0;
    auto end = log_->Scan(0, [&](const FrameView& frame, std::string_view bytes) {
      EXPECT_TRUE(bytes == events_[seq]) << seq;
      EXPECT_EQ(frame.id, ids_[seq++]);
      return true;
    });
    ASSERT_TRUE(end.ok());
    EXPECT_EQ(*end, log_->end_position());
    EXPECT_EQ(seq, events_.size());
  }
  EXPECT_GT(Names().size(), 3u);
  std::string files;
  for (const std::string& name : Names()) files += ReadFile(Path(name));
  EXPECT_TRUE(files == Stream());
  Open();
  EXPECT_TRUE(ReadFrom(*log_, 0) == Stream());
}

TEST_F(EventLogTest, AReadGivesAtMostWhatIsAskedForFromAnyByte) {
  limits_.segment_bytes = 1'000;
  Open();
  for (int i = 0; i < 1'000; ++i) Append();
  Commit();
  Add();
  const std::string stream = Stream();
  ASSERT_GT(stream.size(), 2 * EventLog::kChunkBytes);
  for (bool from_disk : {false, true}) {
    if (from_disk) log_->ReleaseTail();
    for (uint64_t at = 0; at <= stream.size(); at += 997) {
      for (size_t most : {size_t{0}, size_t{1}, size_t{5'000}, SIZE_MAX}) {
        std::string scratch;
        auto view = log_->Read(at, most, scratch);
        ASSERT_TRUE(view.ok()) << view.error().message;
        std::string bytes;
        for (int i = 0; i < view->count; ++i) {
          bytes.append(static_cast<const char*>(view->pieces[i].iov_base), view->pieces[i].iov_len);
        }
        EXPECT_EQ(view->bytes, bytes.size());
        EXPECT_LE(bytes.size(), most);
        EXPECT_EQ(bytes.empty(), most == 0 || at == stream.size());
        EXPECT_TRUE(stream.compare(at, bytes.size(), bytes) == 0) << at;
      }
    }
  }
}

TEST_F(EventLogTest, ManyEventsInMemoryAreOneReadAndFewPieces) {
  Open();
  for (int i = 0; i < 300; ++i) Append();
  Commit();
  std::string scratch;
  auto view = log_->Read(0, SIZE_MAX, scratch);
  ASSERT_TRUE(view.ok());
  EXPECT_EQ(view->bytes, Stream().size());
  EXPECT_EQ(view->count, 1);
}

TEST_F(EventLogTest, OnlyTheNewestPartStaysInMemory) {
  limits_.tail_bytes = 100'000;
  Open();
  for (int i = 0; i < 5'000; ++i) Add(100);
  EXPECT_LE(log_->stats().tail_bytes, limits_.tail_bytes + 2 * EventLog::kChunkBytes);
  EXPECT_FALSE(log_->InMemory(0));
  EXPECT_TRUE(log_->InMemory(log_->end_position() - limits_.tail_bytes));
  EXPECT_TRUE(ReadFrom(*log_, 0) == Stream());
}

TEST_F(EventLogTest, MemoryThatWasReleasedIsReadFromDisk) {
  Open();
  for (int i = 0; i < 100; ++i) Add();
  Append();
  log_->ReleaseTail();  // what is not yet on disk stays
  EXPECT_GT(log_->stats().tail_bytes, 0u);
  Commit();
  log_->ReleaseTail();
  EXPECT_EQ(log_->stats().tail_bytes, 0u);
  EXPECT_FALSE(log_->InMemory(0));
  EXPECT_EQ(ReadFrom(*log_, 0), Stream());
  EXPECT_EQ(ReadFrom(*log_, Begin(100) + 3), Stream(100).substr(3));
  Append(), Append();
  EXPECT_EQ(ReadFrom(*log_, 0), Stream(1, 101));
  Commit();
  EXPECT_EQ(ReadFrom(*log_, 0), Stream());
  EXPECT_TRUE(log_->InMemory(Begin(102)));
}

TEST_F(EventLogTest, WhatThePageCacheHasNotGotIsCalledCold) {
  limits_.segment_bytes = 100'000;
  Open();
  while (Names().size() < 3) Add(1'000);
  log_->ReleaseTail();
  for (Fd& fd : log_->TakeForSync()) {
    ASSERT_EQ(fdatasync(fd.get()), 0);
    posix_fadvise(fd.get(), 0, 0, POSIX_FADV_DONTNEED);
  }
  std::string scratch;
  auto view = log_->Read(0, 1'000, scratch);
  if (view) GTEST_SKIP() << "this file system keeps everything in memory: " << dir();
  EXPECT_EQ(view.error().code, "cold");
  log_->Warm(0)();
  view = log_->Read(0, 1'000, scratch);
  ASSERT_TRUE(view.ok());
  EXPECT_EQ(view->bytes, 1'000u);
}

// A daemon that was killed may have written events of a turn that it had not committed.
TEST_F(EventLogTest, LaterEventsThanTheGivenLastAreCut) {
  for (uint64_t last : {0U, 1U, 4U, 5U, 6U, 9U, 10U, 12U}) {
    TempDir folder;
    limits_.segment_bytes = 400;  // two or three events
    auto open = [&](uint64_t epoch, std::optional<uint64_t> cut) {
      auto log = EventLog::Open(clock_, folder.path() + "/a", kAgent, epoch, limits_, cut);
      EXPECT_TRUE(log.ok()) << log.error().message;
      return std::move(*log);
    };
    for (uint64_t epoch : {1U, 2U}) {
      auto log = open(epoch, {});
      for (int i = 0; i < 5; ++i) {
        log->Append(kType, "r1", R"({"text":"xxxxxxxxxxxxxxxxxxxx"})");
        ASSERT_TRUE(log->Commit().ok());
      }
    }
    auto log = open(3, last);
    const uint64_t left = std::min<uint64_t>(last, 10);
    EXPECT_EQ(log->committed().seq, left) << last;
    EXPECT_EQ(log->Append(kType, "", "{}"), (Cursor{3, left + 1}));
    ASSERT_TRUE(log->Commit().ok());
    uint64_t seq = 0;
    auto scanned = log->Scan(0, [&seq](const FrameView& frame, std::string_view) {
      EXPECT_EQ(frame.id.seq, ++seq);
      return true;
    });
    EXPECT_TRUE(scanned.ok());
    EXPECT_EQ(seq, left + 1) << last;
    log.reset();
    EXPECT_EQ(open(4, {})->committed(), (Cursor{3, left + 1})) << last;
  }
}

class CountingReader : public EventLog::Reader {
 public:
  void OnTrim(uint64_t) override { ++trims; }
  void OnCommit() override { ++commits; }
  int trims = 0;
  int commits = 0;
};

TEST_F(EventLogTest, ReadersAreToldOfEachCommit) {
  Open();
  CountingReader stays;
  CountingReader leaves;
  log_->AddReader(&leaves);
  log_->AddReader(&stays);
  Append();
  EXPECT_EQ(stays.commits, 0);
  Commit(), Commit();
  EXPECT_EQ(stays.commits, 1);
  log_->RemoveReader(&leaves);
  log_->RemoveReader(&leaves);
  Add();
  EXPECT_EQ(stays.commits, 2);
  EXPECT_EQ(leaves.commits, 1);
  EXPECT_EQ(log_->readers(), std::vector<EventLog::Reader*>{&stays});
}

ino_t Inode(int fd) {
  struct stat info {};
  EXPECT_EQ(fstat(fd, &info), 0);
  return info.st_ino;
}

TEST_F(EventLogTest, EachFileThatWasWrittenToIsSyncedOnce) {
  limits_.segment_bytes = 500;
  Open();
  EXPECT_TRUE(log_->TakeForSync().empty());
  while (Names().size() < 3) Add(100);
  std::vector<Fd> taken = log_->TakeForSync();
  std::vector<ino_t> files;
  for (const Fd& fd : taken) files.push_back(Inode(fd.get()));
  std::vector<ino_t> expected;
  for (const std::string& name : Names()) {
    Fd fd(open(Path(name).c_str(), O_RDONLY | O_CLOEXEC));
    expected.push_back(Inode(fd.get()));
  }
  EXPECT_EQ(files, expected);
  EXPECT_TRUE(log_->TakeForSync().empty());
  Add();
  EXPECT_EQ(log_->TakeForSync().size(), 1u);
}

TEST_F(EventLogTest, RemovingLeavesNothingBehind) {
  limits_.segment_bytes = 500;
  Open();
  for (int i = 0; i < 20; ++i) Add(100);
  EXPECT_TRUE(log_->Remove().ok());
  EXPECT_FALSE(std::filesystem::exists(dir()));
}

TEST_F(EventLogTest, OtherFilesInItsFolderAreLeftAlone) {
  Open();
  Add();
  const char* others[] = {"1.sse",    "0000000000000000.sse",  "0000000000000002.sse.damaged",
                          "note.txt", "00000000000000002.sse", "000000000000000x.sse"};
  for (const char* name : others) WriteFile(Path(name), "nothing of ours");
  Open();
  EXPECT_EQ(ReadFrom(*log_, 0), Stream());
  Add();
  for (const char* name : others) EXPECT_EQ(ReadFile(Path(name)), "nothing of ours") << name;
}

TEST_F(EventLogTest, AFolderThatCannotBeMadeIsNamed) {
  auto opened = EventLog::Open(clock_, temp_.path() + "/no/such", kAgent, 1, limits_);
  ASSERT_FALSE(opened.ok());
  EXPECT_NE(opened.error().message.find("/no/such"), std::string::npos) << opened.error().message;
}

// ------------------------------------------------------------------------------------------------- places

// Three segments in two epochs; every byte of them.
TEST_F(EventLogTest, TheEndOfTheFrameIsFoundFromEveryByte) {
  limits_.segment_bytes = 500;
  Open();
  while (Names().size() < 2) Add(20);
  Open();
  Add(), Add(30), Add();
  ASSERT_EQ(Names().size(), 3u);
  for (bool from_disk : {false, true}) {
    if (from_disk) log_->ReleaseTail();
    uint64_t begin = 0;
    for (size_t seq = 1; seq <= events_.size(); ++seq) {
      auto cursor = log_->CursorAt(begin);
      ASSERT_TRUE(cursor.ok());
      EXPECT_EQ(*cursor, seq == 1 ? (Cursor{1, 0}) : ids_[seq - 2]);
      for (size_t inside = 0; inside < events_[seq - 1].size(); ++inside) {
        auto end = log_->FrameEnd(begin + inside);
        ASSERT_TRUE(end.ok());
        EXPECT_EQ(*end, inside == 0 ? begin : begin + events_[seq - 1].size()) << seq << " byte " << inside;
        EXPECT_EQ(log_->CursorAt(begin + inside).ok(), inside == 0);
      }
      begin += events_[seq - 1].size();
    }
    auto end = log_->FrameEnd(begin);
    ASSERT_TRUE(end.ok());
    EXPECT_EQ(*end, begin);
    EXPECT_EQ(*log_->CursorAt(begin), log_->committed());
  }
}

TEST_F(EventLogTest, AFrameIsFoundAcrossTheBordersOfChunks) {
  Open();
  for (int i = 0; i < 1'200; ++i) Append(static_cast<size_t>(i) % 90);
  Append(200'000);
  for (int i = 0; i < 400; ++i) Append(7);
  Commit();
  ASSERT_GT(Stream().size(), 5 * EventLog::kChunkBytes);
  uint64_t begin = 0;
  for (const std::string& frame : events_) {
    const uint64_t end = begin + frame.size();
    std::vector<uint64_t> places = {begin + 1, begin + 2, end - 2, end - 1};
    for (uint64_t at = begin + 1; at < end; ++at) {
      if (at % EventLog::kChunkBytes < 3 || at % EventLog::kChunkBytes > EventLog::kChunkBytes - 4)
        places.push_back(at);
    }
    for (uint64_t at : places) ASSERT_EQ(*log_->FrameEnd(at), end) << at;
    begin = end;
  }
}

TEST_F(EventLogTest, EveryEventIsFoundInManySegments) {
  limits_.segment_bytes = 2'000;
  Open();
  for (int i = 0; i < 1'000; ++i) {
    Add(static_cast<size_t>(i) % 150);
    if (i % 300 == 299) Open();
  }
  ASSERT_GT(Names().size(), 50u);
  uint64_t begin = 0;
  for (uint64_t seq = 0; seq <= events_.size() + 2; ++seq) {
    auto position = log_->PositionAfter(seq);
    ASSERT_TRUE(position.ok());
    ASSERT_EQ(*position, begin) << seq;
    if (seq < events_.size()) begin += events_[seq].size();
  }
}

TEST_F(EventLogTest, EveryEventIsFoundByBisectionOfOneBigSegment) {
  Open();
  for (int i = 0; i < 3'000; ++i) {
    Append(i % 500 == 250 ? 100'000 : static_cast<size_t>(i) % 200);
    if (i == 1'500) Append(3'000'000);
  }
  Commit();
  ASSERT_EQ(Names().size(), 1u);
  for (bool from_disk : {false, true}) {
    if (from_disk) log_->ReleaseTail();
    uint64_t begin = 0;
    for (uint64_t seq = 0; seq <= events_.size(); ++seq) {
      if (seq % 7 == 0 || (seq > 1'490 && seq < 1'510)) {
        auto position = log_->PositionAfter(seq);
        ASSERT_TRUE(position.ok());
        ASSERT_EQ(*position, begin) << seq;
      }
      if (seq < events_.size()) begin += events_[seq].size();
    }
  }
}

TEST_F(EventLogTest, AScanEndsWhereItIsToldTo) {
  limits_.segment_bytes = 300;
  Open();
  for (int i = 0; i < 10; ++i) Add();
  std::vector<uint64_t> seen;
  auto end = log_->Scan(Begin(4), [&seen](const FrameView& frame, std::string_view) {
    seen.push_back(frame.id.seq);
    return frame.id.seq < 6;
  });
  ASSERT_TRUE(end.ok());
  EXPECT_EQ(*end, Begin(7));
  EXPECT_EQ(seen, (std::vector<uint64_t>{4, 5, 6}));
}

// ------------------------------------------------------------------------------------------------ cursors

// Events 1..4 in epoch 1, 5..6 in epoch 2, 7..9 in epoch 4; epoch 3 wrote nothing.
class EventLogCursors : public EventLogTest {
 protected:
  void SetUp() override {
    limits_.segment_bytes = 250;  // two events
    Open();
    for (int i = 0; i < 4; ++i) Add();
    Open();
    Add(), Add();
    Open(), Open();
    Add(), Add(), Add();
  }
};

TEST_F(EventLogCursors, ZeroIsFromTheOldest) {
  EXPECT_EQ(GapAfter({}), "");
  EXPECT_EQ(Find({}).position, 0u);
}

TEST_F(EventLogCursors, AfterEachEventComesTheNextNowAndAfterAnOpening) {
  for (bool reopened : {false, true}) {
    if (reopened) Open();
    for (size_t seq = 1; seq <= events_.size(); ++seq) {
      EXPECT_EQ(GapAfter(ids_[seq - 1]), "") << seq;
      EXPECT_EQ(Find(ids_[seq - 1]).position, Begin(seq + 1)) << seq;
    }
  }
}

TEST_F(EventLogCursors, TheFirstCursorsOfALogMissNothing) {
  EXPECT_EQ(GapAfter({1, 0}), "");
  EXPECT_EQ(GapAfter({4, 0}), "");
  EXPECT_EQ(Find({1, 0}).position, 0u);
}

TEST_F(EventLogCursors, FromTheFutureMeansLostAndFromTheOldest) {
  EXPECT_EQ(GapAfter({5, 2}), "lost 1-0");
  EXPECT_EQ(GapAfter({5, 9}), "lost 1-0");
  EXPECT_EQ(GapAfter({UINT64_MAX, UINT64_MAX}), "lost 1-0");
  EXPECT_EQ(NextAfter({5, 9}), 1u);
}

TEST_F(EventLogCursors, OfAnEpochNeverKnownMeansLostAndFromTheOldest) {
  EXPECT_EQ(GapAfter({3, 6}), "lost 1-0");
  EXPECT_EQ(GapAfter({3, 1'000}), "lost 1-0");
  EXPECT_EQ(GapAfter({0, 3}), "lost 1-0");
  EXPECT_EQ(NextAfter({3, 6}), 1u);
}

TEST_F(EventLogCursors, AnEventThatItsEpochNeverHadMeansLost) {
  EXPECT_EQ(GapAfter({4, 3}), "lost 1-0");  // number 3 is of epoch 1
  EXPECT_EQ(GapAfter({2, 4}), "lost 1-0");
  EXPECT_EQ(GapAfter({1, 5}), "lost 1-4");
  EXPECT_EQ(NextAfter({1, 5}), 5u);
  EXPECT_EQ(GapAfter({2, 99}), "lost 2-6");
  EXPECT_EQ(NextAfter({2, 99}), 7u);
}

TEST_F(EventLogCursors, AheadOfTheHeadInThisEpochMeansLostAndFromTheHead) {
  EXPECT_EQ(GapAfter({4, 10}), "lost 4-9");
  EXPECT_EQ(Find({4, 10}).position, log_->end_position());
}

TEST_F(EventLogCursors, WhatWasLostInACrashIsTold) {
  log_.reset();
  // The machine died: event 9 and the end of event 8 were never synced.
  std::filesystem::remove(Path("0000000000000009.sse"));
  std::filesystem::resize_file(Path("0000000000000007.sse"), Begin(9) - Begin(7) - 1);
  Forget(2);
  Open();
  EXPECT_EQ(log_->committed(), (Cursor{4, 7}));
  EXPECT_EQ(Add(), (Cursor{5, 8}));
  EXPECT_EQ(Add(), (Cursor{5, 9}));
  EXPECT_EQ(GapAfter({4, 9}), "lost 4-7");
  EXPECT_EQ(GapAfter({4, 8}), "lost 4-7");
  EXPECT_EQ(NextAfter({4, 9}), 8u);
  EXPECT_EQ(GapAfter({4, 7}), "");
  EXPECT_EQ(ReadFrom(*log_, Find({4, 9}).position), Stream(8));
}

TEST_F(EventLogCursors, WhatWasLostIsToldAlsoBeforeAnythingNewWasWritten) {
  log_.reset();
  std::filesystem::remove(Path("0000000000000009.sse"));
  Forget(1);
  Open();
  EXPECT_EQ(GapAfter({4, 9}), "lost 4-8");
  EXPECT_EQ(Find({4, 9}).position, log_->end_position());
}

TEST_F(EventLogCursors, AnEpochThatWasLostWholeIsAnEpochNeverKnown) {
  log_.reset();
  std::filesystem::remove(Path("0000000000000007.sse"));
  std::filesystem::remove(Path("0000000000000009.sse"));
  Forget(3);
  Open();
  Add();
  EXPECT_EQ(GapAfter({4, 8}), "lost 1-0");
  EXPECT_EQ(NextAfter({4, 8}), 1u);
  EXPECT_EQ(GapAfter({2, 6}), "");
}

TEST_F(EventLogCursors, WhatWasAppendedButNeverCommittedIsLostToo) {
  Append();
  Cursor never = Append();
  Open();
  Add();
  EXPECT_EQ(log_->committed(), (Cursor{5, 10}));
  EXPECT_EQ(GapAfter(never), "lost 4-9");
  EXPECT_EQ(NextAfter(never), 10u);
}

// ------------------------------------------------------------------------------------------------- damage

TEST_F(EventLogTest, ATornTailIsCutWhereverItWasTorn) {
  Open();
  for (size_t i = 0; i < 12; ++i) Append(i);
  Commit();
  const std::string stream = Stream();
  const std::vector<std::string> frames = events_;
  const std::vector<Cursor> ids = ids_;
  const std::string name = "0000000000000001.sse";
  size_t whole = frames.size();
  for (size_t bytes = stream.size(); bytes > Begin(9); --bytes) {
    events_ = frames, ids_ = ids;
    if (bytes < Begin(whole + 1)) --whole;
    log_.reset();
    std::filesystem::remove_all(dir());
    std::filesystem::create_directory(dir());
    WriteFile(Path(name), stream.substr(0, bytes));
    Forget(frames.size() - whole);
    Open();
    ASSERT_EQ(log_->committed(), ids[whole - 1]) << bytes;
    ASSERT_EQ(ReadFile(Path(name)), Stream()) << bytes;
    ASSERT_EQ(Names().size(), 1u) << bytes;
    ASSERT_EQ(Add().seq, whole + 1);
    ASSERT_EQ(ReadFrom(*log_, 0), Stream()) << bytes;
    events_ = frames;
  }
  EXPECT_EQ(whole, 8u);
}

TEST_F(EventLogTest, ASegmentTornInItsFirstFrameGoes) {
  Open();
  Add(), Add();
  Open();
  Add();
  log_.reset();
  const std::string last = Path("0000000000000003.sse");
  for (size_t bytes : {events_[2].size() - 1, size_t{20}, size_t{1}, size_t{0}}) {
    WriteFile(last, events_[2].substr(0, bytes));
    auto opened = EventLog::Open(clock_, dir(), kAgent, 9, limits_);
    ASSERT_TRUE(opened.ok());
    EXPECT_EQ((*opened)->committed(), (Cursor{1, 2}));
    EXPECT_EQ(Names(), std::vector<std::string>{"0000000000000001.sse"});
  }
}

// A machine that lost power kept a later file and lost the end of an earlier one.
TEST_F(EventLogTest, WhatIsNotFollowedByTheNextIsSetAside) {
  limits_.segment_bytes = 250;
  Open();
  for (int i = 0; i < 8; ++i) Add();
  log_.reset();
  const std::string first = ReadFile(Path("0000000000000001.sse"));
  const std::string torn = ReadFile(Path("0000000000000003.sse")).substr(0, 200);
  WriteFile(Path("0000000000000003.sse"), torn);
  Open();
  EXPECT_EQ(Names(), (std::vector<std::string>{"0000000000000001.sse.damaged", "0000000000000003.sse.damaged",
                                               "0000000000000005.sse", "0000000000000007.sse"}));
  EXPECT_EQ(ReadFile(Path("0000000000000001.sse.damaged")), first);
  EXPECT_EQ(ReadFile(Path("0000000000000003.sse.damaged")), torn);
  EXPECT_EQ(log_->oldest(), (Cursor{1, 4}));
  EXPECT_EQ(ReadFrom(*log_, 0), Stream(5));
  EXPECT_EQ(GapAfter({1, 2}), "expired 1-4");
  EXPECT_EQ(GapAfter({1, 6}), "");
  EXPECT_EQ(Add(), (Cursor{2, 9}));
  Open();
  EXPECT_EQ(ReadFrom(*log_, 0), Stream(5));
}

TEST_F(EventLogTest, ALogWithAHoleIsItsNewestStretch) {
  limits_.segment_bytes = 250;
  Open();
  for (int i = 0; i < 8; ++i) Add();
  log_.reset();
  std::filesystem::remove(Path("0000000000000003.sse"));
  Open();
  EXPECT_EQ(log_->oldest(), (Cursor{1, 4}));
  EXPECT_EQ(ReadFrom(*log_, 0), Stream(5));
}

TEST_F(EventLogTest, ASegmentThatBeginsElsewhereThanItsNameSaysIsSetAside) {
  limits_.segment_bytes = 250;
  Open();
  for (int i = 0; i < 6; ++i) Add();
  log_.reset();
  WriteFile(Path("0000000000000003.sse"), Stream(4, 4));
  Open();
  EXPECT_EQ(ReadFrom(*log_, 0), Stream(5));
}

TEST_F(EventLogTest, WhatFollowsDamageInALastSegmentWithoutSumsIsKeptAside) {
  Open();
  for (int i = 0; i < 6; ++i) Add();
  log_.reset();
  std::filesystem::remove(Path("0000000000000001.sums"));
  std::string damaged = Stream();
  damaged[Begin(4)] = '#';
  WriteFile(Path("0000000000000001.sse"), damaged);
  Forget(3);
  Open();
  EXPECT_EQ(ReadFrom(*log_, 0), Stream(1, 3));
  EXPECT_EQ(ReadFile(Path("0000000000000001.sse.damaged")), damaged.substr(Begin(4)));
  EXPECT_EQ(Add(), (Cursor{2, 4}));
  EXPECT_EQ(GapAfter({1, 6}), "lost 1-3");
}

TEST_F(EventLogTest, DamageInTheMiddleOfASegmentWithoutSumsIsAnErrorForWhoReadsIt) {
  limits_.segment_bytes = 250'000;
  Open();
  while (Names().size() < 2) Append(1'000), Commit();
  log_.reset();
  std::filesystem::remove(Path("0000000000000001.sums"));
  std::string damaged = ReadFile(Path("0000000000000001.sse"));
  damaged[Begin(10)] = '#';
  WriteFile(Path("0000000000000001.sse"), damaged);
  Open();
  uint64_t seen = 0;
  auto end = log_->Scan(0, [&seen](const FrameView& frame, std::string_view) {
    seen = frame.id.seq;
    return true;
  });
  EXPECT_EQ(seen, 9u);
  ASSERT_FALSE(end.ok());
  EXPECT_NE(end.error().message.find("0000000000000001.sse"), std::string::npos) << end.error().message;
}

// ---------------------------------------------------------------------------------------------- retention

TEST_F(EventLogTest, TheOldestSegmentsGoWhenThereIsTooMuch) {
  limits_.segment_bytes = 1'000;
  limits_.retain_bytes = 5'000;
  Open();
  for (int i = 0; i < 200; ++i) Add(100);
  EventLog::Stats stats = log_->stats();
  EXPECT_LE(stats.bytes_on_disk, limits_.retain_bytes + limits_.segment_bytes + events_.back().size());
  EXPECT_GE(stats.bytes_on_disk, limits_.retain_bytes - limits_.segment_bytes - events_.back().size());
  EXPECT_EQ(stats.segments, Names().size());
  const uint64_t oldest = log_->oldest().seq;
  EXPECT_EQ(ReadFrom(*log_, log_->begin_position()), Stream(oldest + 1));
  EXPECT_EQ(GapAfter({1, oldest - 1}), "expired 1-" + std::to_string(oldest));
  EXPECT_EQ(GapAfter({1, oldest}), "");
  EXPECT_EQ(GapAfter({}), "");
  EXPECT_EQ(NextAfter({1, 1}), oldest + 1);
  EXPECT_EQ(Add().seq, 201u);
  Open();
  EXPECT_EQ(ReadFrom(*log_, 0), Stream(log_->oldest().seq + 1));
}

TEST_F(EventLogTest, TheOldestSegmentsGoWhenTheyAreOld) {
  limits_.segment_bytes = 250;
  limits_.retain_ms = 60'000;
  Open();
  for (int i = 0; i < 6; ++i) {
    Add();
    clock_.Advance(10'000);
  }
  clock_.Advance(5'000);
  log_->Trim();
  EXPECT_EQ(log_->oldest(), (Cursor{1, 0}));  // 55 seconds since the first segment's last write
  clock_.Advance(10'000);
  log_->Trim();
  EXPECT_EQ(log_->oldest(), (Cursor{1, 2}));
  clock_.Advance(1'000'000);
  log_->Trim();
  EXPECT_EQ(log_->oldest(), (Cursor{1, 4}));  // the last one stays: the next number is known from it
  EXPECT_EQ(ReadFrom(*log_, log_->begin_position()), Stream(5));
}

TEST_F(EventLogTest, WhatWasTrimmedIsExpiredForEveryWayOfReading) {
  limits_.segment_bytes = 250;
  limits_.retain_bytes = 600;
  Open();
  for (int i = 0; i < 20; ++i) Add();
  ASSERT_GT(log_->begin_position(), 0u);
  std::string scratch;
  EXPECT_EQ(log_->Read(0, 10, scratch).error().code, "expired");
  EXPECT_EQ(log_->FrameEnd(5).error().code, "expired");
  EXPECT_EQ(log_->CursorAt(0).error().code, "expired");
  EXPECT_EQ(log_->Scan(0, [](const FrameView&, std::string_view) { return true; }).error().code, "expired");
  log_->Warm(0)();
  log_->Warm(log_->end_position())();
}

// The only reader that is still at what goes is told first, and can read to the end of its frame.
TEST_F(EventLogTest, AReaderInAFrameThatGoesMayFinishIt) {
  limits_.segment_bytes = 1'000;
  limits_.retain_bytes = 3'000;
  Open();
  struct Standing : EventLog::Reader {
    void OnCommit() override {}
    void OnTrim(uint64_t kept_from) override {
      if (position >= kept_from) return;
      rest = ReadFrom(*log, position).substr(0, *log->FrameEnd(position) - position);
      gap_from = *log->CursorAt(*log->FrameEnd(position));
      gap_to = *log->CursorAt(kept_from);
      position = kept_from;
      if (leave) log->RemoveReader(this);
    }
    EventLog* log = nullptr;
    uint64_t position = 0;
    std::string rest;
    Cursor gap_from, gap_to;
    bool leave = false;
  };
  Standing stays;
  Standing leaves;
  for (Standing* reader : {&leaves, &stays}) {
    reader->log = log_.get();
    log_->AddReader(reader);
  }
  leaves.leave = true;
  Add(300), Add(300);
  stays.position = leaves.position = Begin(2) + 17;
  while (log_->oldest().seq == 0) Add(300);
  for (Standing* reader : {&leaves, &stays}) {
    EXPECT_EQ(reader->rest, events_[1].substr(17));
    EXPECT_EQ(reader->gap_from, (Cursor{1, 2}));
    EXPECT_EQ(reader->gap_to, log_->oldest());
    EXPECT_EQ(reader->position, log_->begin_position());
  }
  EXPECT_EQ(log_->readers(), std::vector<EventLog::Reader*>{&stays});
  EXPECT_EQ(ReadFrom(*log_, stays.position), Stream(log_->oldest().seq + 1));
}

// With limits smaller than a segment all older ones go at a rotation, but not before there are events in the
// new one: killed in between, the daemon would begin again with number 1.
TEST_F(EventLogTest, TheNumberIsKnownWhereverTheDaemonIsKilledAtARotation) {
  limits_.segment_bytes = 1;
  limits_.retain_bytes = 1;
  Open();
  for (int i = 0; i < 5; ++i) Add();
  log_.reset();
  std::filesystem::resize_file(Path("0000000000000005.sse"), 0);
  Forget(1);
  Open();
  EXPECT_EQ(log_->committed(), (Cursor{1, 4}));
  EXPECT_EQ(Add(), (Cursor{2, 5}));
}

// A reader saw 1-5 and 1-6, which were then lost; 2-5 and 2-6 took their numbers, and were trimmed.
TEST_F(EventLogTest, ACursorOfALostEventIsNotTakenForTheOneOfTheSameNumber) {
  limits_.segment_bytes = 250;
  Open();
  for (int i = 0; i < 6; ++i) Add();
  log_.reset();
  std::filesystem::remove(Path("0000000000000005.sse"));
  Forget(2);
  Open();
  for (int i = 0; i < 4; ++i) Add();
  log_.reset();
  for (const char* name : {"0000000000000001.sse", "0000000000000003.sse", "0000000000000005.sse"}) {
    ASSERT_TRUE(std::filesystem::remove(Path(name)));
  }
  Open();
  ASSERT_EQ(log_->oldest(), (Cursor{2, 6}));
  EXPECT_EQ(GapAfter({1, 6}), "expired 2-6");
  EXPECT_EQ(GapAfter({2, 6}), "");
}

// While the daemon lives it knows what it trimmed last: the end of an epoch is no gap.
TEST_F(EventLogTest, WhoSawAllOfAnEpochThatWasTrimmedMissesNothing) {
  limits_.segment_bytes = 250;
  Open();
  for (int i = 0; i < 4; ++i) Add();
  limits_.retain_bytes = 300;
  Open();
  Add(), Add();
  log_->Trim();
  ASSERT_EQ(log_->oldest(), (Cursor{2, 4}));
  EXPECT_EQ(GapAfter({1, 4}), "");
  EXPECT_EQ(NextAfter({1, 4}), 5u);
  EXPECT_EQ(GapAfter({1, 3}), "expired 2-4");
  EXPECT_EQ(GapAfter({0, 4}), "expired 2-4");
}

// The example of EVENT_LOG.md, with frames of other sizes.
TEST_F(EventLogTest, TheWorkedExampleOfTheDocumentHolds) {
  limits_.segment_bytes = 500;
  ASSERT_TRUE(TryOpen(3).ok());
  Add(), Append(), Append();
  Commit();
  Add(30);
  ASSERT_GT(Stream().size(), limits_.segment_bytes);
  Add();
  const std::vector<std::string> files = {"0000000000000001.sse", "0000000000000005.sse"};
  EXPECT_EQ(Names(), files);
  EXPECT_EQ(GapAfter({3, 2}), "");
  EXPECT_EQ(Find({3, 2}).position, Begin(3));

  log_.reset();
  std::filesystem::resize_file(Path(files[1]), 100);
  Forget(1);
  ASSERT_TRUE(TryOpen(9).ok());
  Add(), Add();
  EXPECT_EQ(Names(), files);
  EXPECT_EQ(ids_, (std::vector<Cursor>{{3, 1}, {3, 2}, {3, 3}, {3, 4}, {9, 5}, {9, 6}}));
  EXPECT_EQ(GapAfter({3, 5}), "lost 3-4");
  EXPECT_EQ(NextAfter({3, 5}), 5u);
  EXPECT_EQ(GapAfter({3, 4}), "");
  EXPECT_EQ(NextAfter({3, 4}), 5u);
  EXPECT_EQ(GapAfter({4, 2}), "lost 3-0");

  limits_.retain_bytes = 1;
  ASSERT_TRUE(TryOpen(10).ok());
  log_->Trim();
  EXPECT_EQ(log_->oldest(), (Cursor{9, 4}));
  EXPECT_EQ(GapAfter({3, 2}), "expired 9-4");
  EXPECT_EQ(GapAfter({3, 4}), "");
  ASSERT_TRUE(TryOpen(11).ok());
  EXPECT_EQ(GapAfter({3, 4}), "expired 9-4");
}

// -------------------------------------------------------------------------------------------- a full disk

class EventLogOnAFullDisk : public EventLogTest {
 protected:
  void Mount(const std::string& options) { disk_ = std::make_unique<SmallDisk>(options); }
  [[nodiscard]] std::string dir() const override { return disk_->path() + "/log"; }

  // Appends and commits until the disk is full.
  void AddUntilFull() {
    for (int i = 0; i < 10'000; ++i) {
      Append(1'000);
      if (Status committed = log_->Commit(); !committed) {
        ASSERT_EQ(committed.error().code, "disk_full") << committed.error().message;
        return;
      }
      committed_ = events_.size();
    }
    FAIL() << "the disk is not full";
  }

  std::unique_ptr<SmallDisk> disk_;
};

#define MOUNT_OR_SKIP(options)                                                                     \
  Mount(options);                                                                                  \
  if (!disk_->why_not().empty())                                                                   \
  GTEST_SKIP() << "NOT TESTED: what happens on a full disk. A tmpfs can be mounted only by root: " \
               << disk_->why_not()

TEST_F(EventLogOnAFullDisk, NothingIsSeenThatIsNotOnDiskAndNothingIsDropped) {
  MOUNT_OR_SKIP("size=2m");
  Open();
  CountingReader reader;
  log_->AddReader(&reader);
  for (int i = 0; i < 5; ++i) Add(1'000);
  disk_->Fill();
  AddUntilFull();
  const auto commits = static_cast<int>(committed_);
  EXPECT_EQ(reader.commits, commits);
  EXPECT_EQ(log_->committed().seq, committed_);
  EXPECT_EQ(ReadFrom(*log_, 0), Stream(1, committed_));
  EXPECT_TRUE(log_->dirty());
  EXPECT_TRUE(log_->writable());

  while (log_->writable()) Append(10'000);  // the child says this before its pipe is no longer read
  EXPECT_FALSE(log_->Commit().ok());
  EXPECT_EQ(ReadFrom(*log_, 0), Stream(1, committed_));
  EXPECT_EQ(NextAfter({1, 5}), 6u);
  EXPECT_EQ(reader.commits, commits);
  EXPECT_LE(log_->stats().tail_bytes, EventLog::kMaxUncommitted + 6 * EventLog::kChunkBytes);

  disk_->MakeRoom();
  Commit();
  EXPECT_TRUE(log_->writable());
  EXPECT_EQ(reader.commits, commits + 1);
  EXPECT_TRUE(ReadFrom(*log_, 0) == Stream());
  EXPECT_TRUE(ReadFile(Path("0000000000000001.sse")) == Stream());
  Add();
  Open();
  EXPECT_TRUE(ReadFrom(*log_, 0) == Stream());
}

TEST_F(EventLogOnAFullDisk, ADaemonKilledThereGoesOnWhenThereIsRoom) {
  MOUNT_OR_SKIP("size=2m");
  limits_.segment_bytes = 100'000;
  Open();
  for (int i = 0; i < 5; ++i) Add(1'000);
  disk_->Fill();
  AddUntilFull();
  for (int i = 0; i < 100; ++i) Append(1'000);
  EXPECT_FALSE(log_->Commit().ok());
  const size_t seen = committed_;
  const auto events = events_;
  const auto ids = ids_;

  // Still full. Events that were whole on disk but seen by nobody may have come through.
  auto opened = EventLog::Open(clock_, dir(), kAgent, ++epoch_, limits_);
  ASSERT_TRUE(opened.ok()) << opened.error().message;
  log_ = std::move(*opened);
  const size_t kept = log_->committed().seq;
  EXPECT_GE(kept, seen);
  EXPECT_LE(kept, events.size());
  events_ = events, ids_ = ids;
  Forget(events.size() - kept);
  EXPECT_EQ(ReadFrom(*log_, 0), Stream());
  AddUntilFull();
  EXPECT_EQ(ReadFrom(*log_, 0), Stream(1, committed_));
  disk_->MakeRoom();
  Commit();
  EXPECT_EQ(log_->committed(), (Cursor{epoch_, events_.size()}));
  EXPECT_TRUE(ReadFrom(*log_, 0) == Stream());
  EXPECT_EQ(GapAfter({1, seen}), "");
}

// A part of them may reach the file before the disk is full.
TEST_F(EventLogOnAFullDisk, EventsThatMustBeOnDiskNowAreThereOrNowhere) {
  MOUNT_OR_SKIP("size=2m");
  Open();
  for (int i = 0; i < 5; ++i) Add(1'000);
  CountingReader reader;
  log_->AddReader(&reader);
  const std::string long_text = R"({"text":")" + std::string(size_t{3} << 20, 'x') + R"("})";
  const std::vector<EventLog::NewEvent> events = {
      {"run.started", "r6", "{}"}, {"user.message", "r6", long_text}, {"agent.output", "r6", "{}"}};
  auto appended = log_->AppendNow(events);
  ASSERT_FALSE(appended.ok());
  EXPECT_EQ(appended.error().code, "disk_full");
  EXPECT_FALSE(log_->dirty());
  EXPECT_EQ(log_->head(), (Cursor{1, 5}));
  EXPECT_EQ(log_->stats().appended, 5u);
  EXPECT_EQ(reader.commits, 0);
  EXPECT_TRUE(ReadFrom(*log_, 0) == Stream());
  EXPECT_TRUE(ReadFile(Path("0000000000000001.sse")) == Stream());

  Add(100);  // their numbers are free
  auto now = log_->AppendNow({{"run.started", "r7", "{}"}, {"agent.output", "r7", "{}"}});
  ASSERT_TRUE(now.ok()) << now.error().message;
  EXPECT_EQ(*now, (Cursor{1, 8}));
  EXPECT_EQ(log_->committed(), *now);
  const std::string stream = ReadFrom(*log_, 0);
  EXPECT_TRUE(ReadFile(Path("0000000000000001.sse")) == stream);
  EXPECT_EQ(stream.substr(0, Stream().size()), Stream());
  Open();
  EXPECT_TRUE(ReadFrom(*log_, 0) == stream);
}

// Not even a file can be made: at the start of an epoch, and at a rotation.
TEST_F(EventLogOnAFullDisk, NoRoomForAFileIsAFullDiskToo) {
  MOUNT_OR_SKIP("size=2m,nr_inodes=4");  // the root, the folder, and two
  limits_.segment_bytes = 500;
  Open();
  Add(1'000);
  WriteFile(disk_->path() + "/filler", "");
  AddUntilFull();
  Append();
  EXPECT_EQ(log_->Commit().error().code, "disk_full");
  EXPECT_EQ(ReadFrom(*log_, 0), Stream(1, 1));
  disk_->MakeRoom();
  Commit();
  EXPECT_EQ(ReadFrom(*log_, 0), Stream());
  Open();
  AddUntilFull();
  std::filesystem::remove(Path("0000000000000001.sse"));
  Commit();
  EXPECT_EQ(ReadFile(Path("0000000000000004.sse")), Stream(4));
}

}  // namespace
}  // namespace reeve
