#include "control/http/problem.h"

#include <algorithm>
#include <array>

#include "orchestrator/json/json.h"

namespace reeve {

namespace {

constexpr std::string_view kContentType = "application/problem+json";

constexpr std::array kProblems = {
    ProblemKind{"internal", 500, "Internal error"},  // first: the default for unknown codes
    ProblemKind{"invalid_request", 400, "Invalid request"},
    ProblemKind{"invalid_json", 400, "Invalid JSON"},
    ProblemKind{"unauthorized", 401, "Unauthorized", 0, "a valid bearer token is required"},
    ProblemKind{"ticket_invalid", 401, "Invalid ticket", 0, "the ticket is not valid"},
    ProblemKind{"forbidden", 403, "Forbidden"},
    ProblemKind{"not_found", 404, "Not found"},
    ProblemKind{"agent_not_found", 404, "No such agent"},
    ProblemKind{"approval_not_found", 404, "No such approval"},
    ProblemKind{"transcript_not_found", 404, "No transcript"},
    ProblemKind{"message_not_found", 404, "No such message"},
    ProblemKind{"file_not_found", 404, "No such file"},
    ProblemKind{"run_not_found", 404, "No such run"},
    ProblemKind{"process_not_found", 404, "No such process"},
    ProblemKind{"repository_not_found", 404, "No repository"},
    ProblemKind{"method_not_allowed", 405, "Method not allowed"},
    ProblemKind{"request_timeout", 408, "Request timeout"},
    ProblemKind{"agent_exists", 409, "Agent exists"},
    ProblemKind{"not_running", 409, "Not running"},
    ProblemKind{"already_resolved", 409, "Already resolved"},
    ProblemKind{"already_started", 409, "Already started"},
    ProblemKind{"busy", 409, "Busy"},
    ProblemKind{"conflict", 409, "Conflict"},
    ProblemKind{"request_under_way", 409, "Request under way", 1},
    ProblemKind{"agent_deleted", 410, "Agent deleted"},
    ProblemKind{"too_large", 413, "Too large"},
    ProblemKind{"target_too_long", 414, "Target too long"},
    ProblemKind{"expectation_failed", 417, "Expectation failed"},
    ProblemKind{"unsupported", 422, "Unsupported"},
    ProblemKind{"not_supported", 422, "Not supported"},
    ProblemKind{"invalid_config", 422, "Invalid configuration"},
    ProblemKind{"upgrade_failed", 422, "Upgrade failed"},
    ProblemKind{"models_unavailable", 502, "The agent did not report its models"},
    ProblemKind{"changes_unavailable", 502, "The repository cannot be read"},
    ProblemKind{"key_reused", 422, "Idempotency-Key used before"},
    ProblemKind{"upgrade_required", 426, "Upgrade required"},
    ProblemKind{"queue_full", 429, "Queue full", 1},
    ProblemKind{"too_many_agents", 429, "Too many agents", 5},
    ProblemKind{"too_many_requests", 429, "Too many requests", 1},
    ProblemKind{"headers_too_large", 431, "Headers too large"},
    ProblemKind{"store_failed", 500, "Store failed"},
    ProblemKind{"os_error", 500, "System error"},
    ProblemKind{"spawn_failed", 500, "Spawn failed"},
    ProblemKind{"not_implemented", 501, "Not implemented"},
    ProblemKind{"draining", 503, "Draining", 5},
    ProblemKind{"too_many_connections", 503, "Too many connections", 1},
    ProblemKind{"too_many_viewers", 503, "Too many viewers", 5},
    ProblemKind{"too_many_exports", 503, "Too many exports", 5},
    ProblemKind{"no_descriptors", 503, "Out of file descriptors", 10},
    ProblemKind{"disk_full", 503, "Disk full", 10},
    ProblemKind{"http_version", 505, "HTTP version not supported"},
};

}  // namespace

std::span<const ProblemKind> Problems() { return kProblems; }

const ProblemKind& FindProblem(std::string_view code) {
  const auto* found = std::find_if(kProblems.begin(), kProblems.end(),
                                   [code](const ProblemKind& kind) { return kind.code == code; });
  return found == kProblems.end() ? kProblems.front() : *found;
}

Response Response::Problem(const Error& error) {
  const ProblemKind& kind = FindProblem(error.code);
  Response response;
  response.status = kind.status;
  response.headers.emplace_back("Content-Type", kContentType);
  if (kind.retry_after_s) response.headers.emplace_back("Retry-After", std::to_string(kind.retry_after_s));
  response.body = JsonObject()
                      .Set("type", "about:blank")
                      .Set("title", kind.title)
                      .Set("status", kind.status)
                      .Set("detail", kind.detail.empty() ? std::string_view(error.message) : kind.detail)
                      .Set("code", kind.code)
                      .Take();
  return response;
}

void SetRequestId(Response& response, std::string_view request_id) {
  bool problem = std::any_of(response.headers.begin(), response.headers.end(), [](const auto& header) {
    return header.second == kContentType && EqualsIgnoringCase(header.first, "content-type");
  });
  if (!problem || response.body.empty()) return;
  response.body.pop_back();  // the closing brace
  response.body += ",\"request_id\":";
  AppendJsonString(response.body, request_id);
  response.body += '}';
}

}  // namespace reeve
