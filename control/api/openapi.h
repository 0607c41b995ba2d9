// The OpenAPI 3.1 document of the daemon (https://spec.openapis.org/oas/v3.1.0): paths, parameters and errors
// come from the table of operations, the schemas of bodies and events from schemas.json, which is embedded in
// the binary.
#pragma once

#include <string>
#include <string_view>

namespace reeve {

// `base_path` is the prefix of all paths: "" or "/prefix".
std::string OpenApiDocument(std::string_view base_path);

}  // namespace reeve
