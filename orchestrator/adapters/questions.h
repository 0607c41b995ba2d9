// Translates the questions that agents ask a person in their own form, `[{question, header?, options?:
// [{label, description?}], multiple?}]` (Claude Code's AskUserQuestion, the question tool of opencode and
// kilo), into an elicitation of MCP (specification 2025-06-18, "Elicitation"). Each question becomes one
// property, named by the question's own text.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "orchestrator/json/json.h"

namespace reeve {

// The message of the elicitation: the one question, or all of them, one per line.
std::string QuestionMessage(const JsonValue& questions);

// The elicitation's JSON Schema object. A question that takes several answers (its member `multiple` is true)
// becomes an array of strings, which has no form in MCP. The options are suggestions: the person may answer
// in their own words.
std::string QuestionSchema(const JsonValue& questions, std::string_view multiple);

// The answers to one question in `content`, which answers the elicitation.
std::vector<std::string> QuestionAnswers(const JsonValue& question, const JsonValue& content);

}  // namespace reeve
