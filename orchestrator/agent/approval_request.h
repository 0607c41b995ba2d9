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
  std::string message;  // the question; for an approval the agent's description of the call, if any
  std::string schema;   // for an elicitation: JSON Schema of `content`

  static void Members(auto& self, auto& state) {
    state("id", self.id);
    state("tool", self.tool);
    state.Json("input", self.input);
    state("call_id", self.call_id);
    state("elicitation", self.elicitation);
    state("message", self.message);
    state.Json("schema", self.schema);
  }
};

// A person's decision on an approval. "Always" allows the exact same call from then on.
enum class Decision { kAllowOnce, kAllowAlways, kDeny };
const char* NameOf(Decision decision);
std::optional<Decision> ParseDecision(std::string_view name);

// The answer to an approval for the adapter, which does not need to know "always".
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
