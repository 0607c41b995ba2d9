#include "control/cli/line/exit_code.h"

#include <string_view>

namespace reeve {

namespace {

bool EndsWith(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

}  // namespace

const std::vector<std::pair<int, const char*>>& ExitCodes() {
  static const std::vector<std::pair<int, const char*>> codes = {
      {kOk, "It is done; what was waited for ended well."},
      {kFailed,
       "It failed, for a reason that has no code of its own. What follows an agent (`reeve run`) exits with "
       "the code of the agent's program instead, where that had one."},
      {kUsage, "The words are not understood."},
      {kDataError, "A file does not hold what it should."},
      {kNoSuchAgent, "There is no such agent, approval, message or file."},
      {kUnreachable, "The daemon cannot be reached, or takes nothing any more as it ends."},
      {kIoError, "What was to be said could not be written."},
      {kTryLater, "There is too much of it already: a queue is full."},
      {kRefused, "The token is missing or wrong, or may not do that."},
      {kBadConfig, "A setting of `reeve serve` is wrong."},
      {kTimedOut, "What was waited for did not happen in time."},
      {kCancelled, "What was waited for was cancelled, or waiting was."},
  };
  return codes;
}

int ExitCodeOf(const Error& error) {
  const std::string_view code = error.code;
  if (EndsWith(code, "_not_found") || code == "not_found" || code == "agent_deleted") return kNoSuchAgent;
  if (code == "unauthorized" || code == "forbidden" || code == "ticket_invalid") return kRefused;
  if (code == "unreachable" || code == "timeout" || code == "draining" || code == "busy") return kUnreachable;
  if (code == "queue_full" || code.rfind("too_many_", 0) == 0) return kTryLater;
  if (code == "invalid_config") return kBadConfig;
  if (code == "timed_out") return kTimedOut;
  if (code == "write_failed") return kIoError;
  if (code.rfind("invalid_", 0) == 0 || code == "not_supported" || code == "ambiguous") return kUsage;
  return kFailed;
}

const char* HintFor(const Error& error) {
  const std::string_view code = error.code;
  if (code == "agent_not_found") return "`reeve agents list` shows those there are";
  if (code == "approval_not_found") return "`reeve approvals list` shows what waits";
  if (code == "already_resolved") return "that decision stands";
  if (code == "agent_deleted") return "`reeve agents rm --purge` frees its id";
  if (code == "unauthorized") return "give the daemon's token by --token-file or REEVE_TOKEN";
  if (code == "forbidden") return "another token may";
  if (code == "unreachable") return "is the daemon running? `reeve serve` starts one, `reeve doctor` looks";
  if (code == "queue_full" || code.rfind("too_many_", 0) == 0) return "try again later";
  return "";
}

}  // namespace reeve
