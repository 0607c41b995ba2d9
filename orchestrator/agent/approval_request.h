// ApprovalRequest and its answers: the questions to a person, in the terms that agents and adapters share.
// Values.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace reeve {

// A question of the agent: whether it may use a tool (an approval), or a request for information (an
// elicitation).
struct ApprovalRequest {
  std::string id;       // the agent's own id, unique among its pending ones
  std::string tool;     // common name (tool_names.h); for an elicitation the tool that asks, if known
  std::string input;    // JSON object: the input of the tool
  std::string call_id;  // id of the tool call, if known
  bool elicitation = false;
  std::string message;       // the question; for an approval the agent's description of the call, if any
  std::string schema;        // for an elicitation: JSON Schema of `content`
  bool suggestions = false;  // the choices in `schema` are suggestions; a person may answer in other words

  static void Members(auto& self, auto& state) {
    state("id", self.id);
    state("tool", self.tool);
    state.Json("input", self.input);
    state("call_id", self.call_id);
    state("elicitation", self.elicitation);
    state("message", self.message);
    state.Json("schema", self.schema);
    state("suggestions", self.suggestions);
  }
};

// A person's decision on an approval. Three of them also allow later calls: every call of this tool, or of
// any tool, until the agent's session ends; or the exact same call for good.
enum class Decision { kAllowOnce, kAllowTool, kAllowSession, kAllowAlways, kDeny };
inline constexpr Decision kDecisions[] = {Decision::kAllowOnce, Decision::kAllowTool, Decision::kAllowSession,
                                          Decision::kAllowAlways, Decision::kDeny};
const char* NameOf(Decision decision);
std::optional<Decision> ParseDecision(std::string_view name);

// The answer to an approval for the adapter, which does not need to know about later calls.
struct ApprovalAnswer {
  bool allow = false;
  std::string reason;  // for a refusal: a text for the agent
  std::string input;   // JSON object that replaces the tool's input if the kind supports it, or empty
};

// The answer to an elicitation, in the terms of MCP (specification 2025-06-18, "Elicitation").
struct ElicitationAnswer {
  enum class Action { kAccept, kDecline, kCancel };
  Action action = Action::kCancel;
  std::string content;  // JSON object, for kAccept
};
const char* NameOf(ElicitationAnswer::Action action);
std::optional<ElicitationAnswer::Action> ParseAction(std::string_view name);

}  // namespace reeve
