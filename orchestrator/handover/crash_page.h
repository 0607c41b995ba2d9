// CrashPage: what a daemon was doing when it died, for the one that follows: the agent whose output it
// handled, and the last lines of its log. A page of memory that the parent of processes keeps
// (ProcessParent::Keep).
//
// An agent is *poisoned* if three daemons in a row died while they handled its output, and none of them got
// so far as to commit a turn of it.
//
// Owned by the Daemon; on the loop's thread, but for Log.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "process/fd.h"
#include "process/process_parent.h"
#include "process/result.h"

namespace reeve {

class CrashPage {
 public:
  static constexpr uint32_t kDeadly = 3;  // deaths that make an agent poisoned

  // Takes the page of the earlier daemon, or makes one. Error: no memory or no descriptor.
  static Result<std::unique_ptr<CrashPage>> Open(ProcessParent& parent);
  ~CrashPage();
  CrashPage(const CrashPage&) = delete;
  CrashPage& operator=(const CrashPage&) = delete;

  // --- of the earlier daemon
  // The agent that is poisoned now; empty: none. Its deaths are forgotten.
  std::string TakePoisoned();
  // The last lines of its log; empty: there was none.
  [[nodiscard]] const std::string& last_log() const { return last_log_; }

  // --- of this daemon
  // This agent's output is being handled, until Done.
  void Handling(std::string_view agent);
  void Done();
  // A turn of this agent was committed in which its output was handled.
  void Committed(std::string_view agent);
  // A line of the log. From any thread.
  void Log(std::string_view line);

 private:
  struct Page;
  CrashPage(Fd file, Page* page) : file_(std::move(file)), page_(page) {}
  void Begin();

  Fd file_;
  Page* page_;
  std::string last_log_;
  std::mutex log_mutex_;
};

}  // namespace reeve
