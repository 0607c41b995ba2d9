#include "control/cli/exit_code.h"

#include <string_view>

namespace reeve {

namespace {

bool EndsWith(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

}  // namespace

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
