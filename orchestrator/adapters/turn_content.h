// TurnContent: the texts and tool calls of a turn that have begun and not ended. It emits them through an
// AgentHost so that each is reported once and has an end, even if the agent repeats itself or breaks off. A
// value of the class that translates a protocol; it does no I/O.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "orchestrator/adapters/agent_host.h"

namespace reeve {

class TurnContent {
 public:
  explicit TurnContent(AgentHost& host) : host_(host) {}

  enum class Text { kAssistant, kReasoning };
  // Adds a piece of a text. Ignored when the whole text was reported already.
  void Delta(Text kind, std::string_view id, std::string_view text);
  // Reports a whole text, where the agent sends it.
  void Message(Text kind, std::string_view id, std::string_view text);
  // Ends all open texts with what they have so far, except `still_open`.
  void EndTexts(std::optional<std::string_view> still_open = {});

  struct Call {
    std::string id;
    std::string name;          // common name (tool_names.h)
    std::string input = "{}";  // JSON object
    std::string session;       // of a sub-agent, if it made the call

    static void Members(auto& self, auto& state) {
      state("id", self.id);
      state("name", self.name);
      state.Json("input", self.input);
      state("session", self.session);
    }
  };
  // False: this call has begun before.
  bool Start(Call call);
  // A call that runs; nullptr for any other.
  [[nodiscard]] const Call* Find(std::string_view call_id) const;
  // The newest running call with this name and input.
  [[nodiscard]] const Call* FindSame(std::string_view name, std::string_view input) const;
  [[nodiscard]] bool Done(std::string_view id) const { return done_.find(id) != done_.end(); }
  void Output(std::string_view call_id, std::string_view more);
  // The part of the call's output that was reported so far.
  [[nodiscard]] std::string_view OutputOf(std::string_view call_id) const;
  enum class Outcome { kCompleted, kFailed };
  // `exit_code`: of a command.
  void End(std::string_view call_id, Outcome outcome, std::string_view output,
           std::optional<int64_t> duration_ms = std::nullopt,
           std::optional<int64_t> exit_code = std::nullopt);

  // The turn ends, and with it everything that is open. Later messages of the agent about it are not
  // reported.
  void EndTurn();

  static void Members(auto& self, auto& state) {
    state("texts", self.texts_);
    state("calls", self.calls_);
    state("done", self.done_);
  }
  static constexpr const char* kTexts[] = {"assistant", "reasoning"};

 private:
  struct OpenText {
    Text kind = Text::kAssistant;
    std::string id;
    std::string text;

    static void Members(auto& self, auto& state) {
      state.Enum("kind", self.kind, kTexts);
      state("id", self.id);
      state("text", self.text);
    }
  };
  struct OpenCall {
    Call call;
    std::string output;

    static void Members(auto& self, auto& state) {
      state("call", self.call);
      state("output", self.output);
    }
  };
  void Emit(const OpenText& text);
  void Finished(std::string_view id);

  AgentHost& host_;
  std::vector<OpenText> texts_;  // in the order in which they began, as the calls
  std::vector<OpenCall> calls_;
  std::set<std::string, std::less<>> done_;  // ids whose end was reported
};

}  // namespace reeve
