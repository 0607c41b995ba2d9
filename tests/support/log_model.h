// LogModel: an EventLog beside the simplest possible model, a list of events. Step() does one operation,
// chosen by `choose`, on both: append, commit, trim, crash, tear, damage, reopen, find, read. Everything that
// a caller of the log can see must agree with the list. Two viewers read along and must miss nothing without
// a report.
//
// For the property test and the fuzzer. `dir` exists, is empty, and belongs to the model.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "orchestrator/log/event_log.h"
#include "process/clock.h"

namespace reeve {

class LogModel {
 public:
  // `choose(n)` gives a number below n.
  LogModel(std::string dir, std::function<uint64_t(uint64_t)> choose);
  ~LogModel();
  LogModel(const LogModel&) = delete;
  LogModel& operator=(const LogModel&) = delete;

  // False: the log is not as it must be; complaint() says how.
  bool Step();
  [[nodiscard]] const std::string& complaint() const { return complaint_; }

 private:
  struct Event {
    Cursor id;
    std::string frame;
    uint64_t start = 0;  // its position, since the log was opened last
  };
  struct SteppedClock : Clock {
    [[nodiscard]] int64_t MonotonicMs() const override { return ms; }
    [[nodiscard]] int64_t WallMs() const override { return ms; }
    int64_t ms = 1'795'170'414'684;
  };
  // Reads on as the daemon's viewers do: a position while it is connected, a cursor when it comes back.
  struct Viewer : EventLog::Reader {
    LogModel* model = nullptr;
    bool connected = false;
    uint64_t position = 0;
    Cursor seen;          // the last whole event, or where a gap ended
    std::string partial;  // of the frame being read
    void OnTrim(uint64_t kept_from) override;
    void OnCommit() override { told = true; }
    bool told = false;
  };
  struct File {
    uint64_t first_seq;
    std::string path;
    uint64_t bytes;
  };

  void Append();
  void Commit();
  void Open();
  void Crash();
  void Tear();
  void CutFile(const File& file, uint64_t bytes) const;
  void Pump(Viewer& viewer);
  void Take(Viewer& viewer, uint64_t until);
  void Connect(Viewer& viewer);
  void CheckWhole();
  void CheckFind(Cursor cursor);
  void CheckRead();
  void CheckScan();
  void CheckPlaces();

  [[nodiscard]] Cursor SomeCursor();
  [[nodiscard]] std::string PathOf(uint64_t first_seq) const;
  [[nodiscard]] std::vector<File> Files() const;
  [[nodiscard]] uint64_t head() const { return events_.size(); }
  [[nodiscard]] const Event& event(uint64_t seq) const { return events_[seq - 1]; }
  [[nodiscard]] uint64_t PositionAfter(uint64_t seq) const;
  [[nodiscard]] std::string Bytes(uint64_t begin, uint64_t end) const;
  [[nodiscard]] bool IsReal(Cursor cursor) const;
  bool Demand(bool condition, const std::string& what);

  const std::string dir_;
  const std::function<uint64_t(uint64_t)> choose_;
  SteppedClock clock_;
  EventLog::Limits limits_;
  uint64_t epoch_ = 0;
  std::unique_ptr<EventLog> log_;

  std::vector<Event> events_;   // committed, from number 1 on, also those that were trimmed
  std::vector<Event> pending_;  // appended since
  uint64_t kept_ = 1;           // the first that the log still has
  bool trimmed_since_open_ = false;
  uint64_t end_ = 0;         // of what is committed
  std::deque<Cursor> lost_;  // given out, and then lost in a crash
  Viewer viewers_[2];
  std::string complaint_;
};

}  // namespace reeve
