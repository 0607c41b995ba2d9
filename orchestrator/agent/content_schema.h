// Checks the answer to an elicitation against its schema: the subset of JSON Schema that MCP has for this
// (specification 2025-11-25, "Elicitation": a flat object of strings, numbers, booleans and choices), and
// arrays of choices. Keywords beyond that subset are ignored. Free functions over JSON.
#pragma once

#include "orchestrator/json/json.h"
#include "process/result.h"

namespace reeve {

// Whether an answer may differ from the choices that the schema lists.
enum class Choices { kBinding, kSuggestions };

// Error "invalid_request" names the field and the reason. A schema without properties accepts any object.
Status CheckContent(const JsonValue& schema, const JsonValue& content, Choices choices);

}  // namespace reeve
