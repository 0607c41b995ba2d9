// ApprovalRequest and its answers: how agents and adapters speak of questions to a person. Values.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace reeve {

// A question of the agent: whether it may use a tool (an approval), or something it wants to know (an
// elicitation).
struct ApprovalRequest {
  std::string id;       // the agent's own id, unique among its pending ones
  std::string tool;     // normalised name (tool_names.h); of an elicitation: the tool that asks, where known
  std::string input;    // JSON object: what the tool would do
  std::string call_id;  // of the tool call, where known
  bool elicitation = false;
  std::string message;  // the question; of an approval: the agent's description of it, if any
  std::string schema;   // of an elicitation: JSON Schema of `content`

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

// What an adapter is told of an approval. "Always" is not its business.
struct ApprovalAnswer {
  bool allow = false;
  std::string reason;  // of a refusal, for the agent to read
  std::string input;   // JSON object that takes the place of the tool's input, where the kind can; or empty
};

// The answer to an elicitation, in the terms of MCP (specification 2025-06-18, "Elicitation").
struct ElicitationAnswer {
  enum class Action { kAccept, kDecline, kCancel };
  Action action = Action::kCancel;
  std::string content;  // JSON object, of kAccept
};
const char* NameOf(ElicitationAnswer::Action action);
std::optional<ElicitationAnswer::Action> ParseAction(std::string_view name);

}  // namespace reeve
