// AgentExport: the export of one agent as lines of JSON (control/api/API.md, "Export"). The caller pulls it
// piece by piece: the agent, its runs, its messages, then its log up to the last event when the export began.
// It holds one page of messages or a part of one frame; everything else stays on disk. A gap reports
// events that retention deleted meanwhile, or that are damaged.
//
// Owned by a download; on the loop's thread. The loop, the town and the store outlive it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "orchestrator/log/event.h"
#include "process/result.h"

namespace reeve {

class EventLog;
class Store;
class Loop;
class Town;

class AgentExport {
 public:
  // `ready` is called once after each kWaiting, in a later turn.
  AgentExport(Loop& loop, Town& town, Store& store, std::string id, std::function<void()> ready);
  AgentExport(const AgentExport&) = delete;
  AgentExport& operator=(const AgentExport&) = delete;

  enum class Progress { kMore, kWaiting, kDone };
  // Appends whole lines until `out` has grown to `bytes`. An error is a line too: "export.error".
  Progress Fill(std::string& out, size_t bytes);

 private:
  enum class Step { kAgent, kRuns, kMessages, kEvents, kDone };

  void Begin(std::string& out);
  void AskForRuns();
  void AskForMessages();
  Progress FillAnswered(std::string& out);
  Progress FillEvents(std::string& out, size_t bytes);
  Status TakeFrames(std::string& out);
  void Skip(Cursor last, uint64_t position, const char* reason);
  void ReportGap(std::string& out);
  void Fail(const Error& error, std::string& out);
  void Finish(std::string& out);
  void Line(std::string& out, std::string_view type, std::string_view data) const;

  Loop& loop_;
  Town& town_;
  Store& store_;
  const std::string id_;
  const std::function<void()> ready_;
  Step step_ = Step::kAgent;
  uint64_t epoch_ = 0;  // of the exported log; a log with another epoch is that of another agent
  uint64_t position_ = 0;
  uint64_t end_ = 0;
  Cursor last_;  // the last event that was exported or skipped
  // The last event before those that were deleted before they were read, or are damaged. They are reported
  // before the next event, so that several deletions in a row are one gap.
  std::optional<Cursor> gap_from_;
  std::string gap_reason_;
  uint64_t events_ = 0;
  bool asked_ = false;                   // the store was asked for runs or messages
  std::optional<std::string> answered_;  // the store's answer, as lines
  bool last_page_ = false;
  int64_t message_ = 0;  // the last one that was requested
  std::string raw_;      // the part of a frame that is not read to its end yet
  std::string scratch_;  // buffer for EventLog::Read
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace reeve
