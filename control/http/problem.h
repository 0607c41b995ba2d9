// The problems of the API: one table that maps an error's code to its HTTP status (RFC 9110) and title.
// Response::Problem (http.h) makes the answer, an RFC 9457 document.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "control/http/http.h"

namespace reeve {

struct ProblemKind {
  std::string_view code;
  int status;
  std::string_view title;
  int retry_after_s = 0;         // 0: no Retry-After
  std::string_view detail = {};  // replaces the error's message where a refusal must not reveal more
};

// All kinds; the first is "internal".
std::span<const ProblemKind> Problems();
// The kind with that code; for an unknown code that of "internal".
const ProblemKind& FindProblem(std::string_view code);

// Adds the request id to a problem document; leaves any other response unchanged.
void SetRequestId(Response& response, std::string_view request_id);

}  // namespace reeve
