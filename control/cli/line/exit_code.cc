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
      {kOk, "Success."},
      {kFailed,
       "Failure, for a reason that has no code of its own. A command that follows an agent, such as `reeve "
       "run`, exits with the code of the agent's program instead if it had one."},
      {kUsage, "The command line is wrong."},
      {kDataError, "The content of a file is wrong: a recording, or what --spec and --env-file name."},
      {kNoSuchAgent, "The agent, approval, message or file does not exist."},
      {kUnreachable, "The daemon cannot be reached, or is about to exit."},
      {kIoError, "Writing output failed."},
      {kTryLater, "A queue is full; try again later."},
      {kRefused, "The token is missing, wrong, or has too little scope."},
      {kBadConfig, "A setting of `reeve serve` is wrong."},
      {kTimedOut, "The time limit of --timeout passed."},
      {kCancelled, "The run was cancelled, or the command was."},
      {kHungUp, "The reader of the output went away (128 and SIGPIPE)."},
  };
  return codes;
}

int ExitCodeOf(const Error& error) {
  const std::string_view code = error.code;
  if (EndsWith(code, "_not_found") || code == "not_found" || code == "agent_deleted") return kNoSuchAgent;
  if (code == "unauthorized" || code == "forbidden" || code == "ticket_invalid") return kRefused;
  if (code == "unreachable" || code == "unknown_host" || code == "tls_failed" || code == "no_daemon" ||
      code == "timeout" || code == "draining" || code == "busy")
    return kUnreachable;
  if (code == "queue_full" || code.rfind("too_many_", 0) == 0) return kTryLater;
  if (code == "invalid_config") return kBadConfig;
  if (code == "invalid_file") return kDataError;
  if (code == "timed_out") return kTimedOut;
  if (code == "write_failed") return kIoError;
  if (code.rfind("invalid_", 0) == 0 || code == "not_supported" || code == "ambiguous") return kUsage;
  return kFailed;
}

const char* HintFor(const Error& error) {
  const std::string_view code = error.code;
  if (code == "agent_not_found") return "`reeve agents list` lists all agents";
  if (code == "approval_not_found") return "`reeve approvals list` lists those that wait";
  if (code == "already_resolved") return "that decision stands";
  if (code == "agent_deleted")
    return "`reeve logs` still shows its log, `reeve rm --purge` deletes that, too";
  if (code == "unauthorized")
    return "the daemon's token is in DATA/token; give it by --token-file or REEVE_TOKEN";
  if (code == "no_daemon") return "`reeve serve` starts one";
  if (code == "unknown_host") return "check the host in --server or REEVE_SERVER";
  if (code == "tls_failed")
    return "reeve itself speaks http://; https:// needs a proxy with a certificate that this machine trusts";
  if (code == "unreachable")
    return "is the daemon running? `reeve serve` starts it, `reeve doctor` checks it";
  if (code == "queue_full" || code.rfind("too_many_", 0) == 0) return "try again later";
  return "";
}

}  // namespace reeve
