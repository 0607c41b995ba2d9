// The problems of the API: one table from an error's code to its HTTP status (RFC 9110) and title. The answer
// itself is Response::Problem (http.h), an RFC 9457 document.
#pragma once

#include <string>
#include <string_view>

#include "control/http/http.h"

namespace reeve {

struct ProblemKind {
  std::string_view code;
  int status;
  std::string_view title;
  int retry_after_s = 0;         // 0: no Retry-After
  std::string_view detail = {};  // said in place of the error's message, where a refusal must not tell more
};

// The kind with that code; of an unknown one "internal".
const ProblemKind& FindProblem(std::string_view code);

// Completes a problem with the request it answers; leaves any other response alone.
void SetRequestId(Response& response, std::string_view request_id);

}  // namespace reeve
