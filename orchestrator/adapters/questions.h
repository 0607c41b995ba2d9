// What agents ask a person in their own way, `[{question, header?, options?: [{label, description?}],
// multiple?}]` (Claude Code's AskUserQuestion, opencode's and kilo's question tool), as an elicitation in the
// terms of MCP (specification 2025-06-18, "Elicitation"): one property a question, named by the question's
// own words.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "orchestrator/json/json.h"

namespace reeve {

// What to ask: the one question, or all of them a line each.
std::string QuestionMessage(const JsonValue& questions);

// A JSON Schema object. A question of several answers (its member `multiple` is true) is an array of strings,
// which MCP has no form for. What is chosen from are suggestions: words of one's own are an answer too.
std::string QuestionSchema(const JsonValue& questions, std::string_view multiple);

// What `content` (the answer to the elicitation) says to one of the questions.
std::vector<std::string> QuestionAnswers(const JsonValue& question, const JsonValue& content);

}  // namespace reeve
