// The OpenAPI 3.1 document of the daemon (https://spec.openapis.org/oas/v3.1.0): paths, parameters and errors
// come from the table of operations, the schemas of bodies and events from schemas.json, which is embedded in
// the binary.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace reeve {

struct Operation;

// `base_path` is the prefix of all paths: "" or "/prefix".
std::string OpenApiDocument(std::string_view base_path);

// JSON Schemas (2020-12) that are complete in themselves: named schemas stand in place of references to them.
//
// That of the object of an operation's arguments (Call::ReadParams). `only` are the parameters that it has;
// empty: all.
std::string ParamsSchema(const Operation& operation, const std::vector<std::string_view>& only = {});
// That of its usual answer, an object. An answer without a body is an empty object.
std::string AnswerSchema(const Operation& operation);

}  // namespace reeve
