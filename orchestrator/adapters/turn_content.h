// TurnContent: what has begun in a turn and not ended, its texts and tool calls, told to an AgentHost so that
// each is told once and to its end, however the agent repeats itself or breaks off. A value of what
// translates a protocol; no I/O in here.
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
  // A piece of a text; nothing of one that was told whole.
  void Delta(Text kind, std::string_view id, std::string_view text);
  // The whole of it, where the agent says it.
  void Message(Text kind, std::string_view id, std::string_view text);
  // All texts that are open are whole as they are; but for the one `still_open`.
  void EndTexts(std::optional<std::string_view> still_open = {});

  struct Call {
    std::string id;
    std::string name;          // the common one
    std::string input = "{}";  // JSON object
    std::string session;       // of a sub-agent's

    static void Members(auto& self, auto& state) {
      state("id", self.id);
      state("name", self.name);
      state.Json("input", self.input);
      state("session", self.session);
    }
  };
  // False: it has begun before.
  bool Start(Call call);
  // Of a call that runs; else nullptr.
  [[nodiscard]] const Call* Find(std::string_view call_id) const;
  // The newest that runs with this name and input.
  [[nodiscard]] const Call* FindSame(std::string_view name, std::string_view input) const;
  [[nodiscard]] bool Done(std::string_view id) const { return done_.find(id) != done_.end(); }
  void Output(std::string_view call_id, std::string_view more);
  // What was told of its output so far.
  [[nodiscard]] std::string_view OutputOf(std::string_view call_id) const;
  enum class Outcome { kCompleted, kFailed };
  void End(std::string_view call_id, Outcome outcome, std::string_view output,
           std::optional<int64_t> duration_ms = {});

  // The turn ends: what is open ends now. Of what the agent still says of that, nothing is told any more.
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
  void Tell(const OpenText& text);
  void Finished(std::string_view id);

  AgentHost& host_;
  std::vector<OpenText> texts_;  // in the order in which they began, as the calls
  std::vector<OpenCall> calls_;
  std::set<std::string, std::less<>> done_;  // ids told to their end
};

}  // namespace reeve
