// OpencodeMessages: the messages of an opencode or kilo session and of its sub-agents, told to an AgentHost
// part by part: texts, thoughts, tool calls, edits, usage. Each thing once, however often the server says it,
// and without a hole where its event stream had one. Owned by OpencodeEvents; no I/O and no time in here.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>

#include "orchestrator/adapters/agent_host.h"
#include "orchestrator/json/json.h"

namespace reeve {

class OpencodeMessages {
 public:
  explicit OpencodeMessages(AgentHost& host) : host_(host) {}

  // Whose words these are. What was said before `horizon_ms` (of the server's clock) is history, not told.
  void SetSession(std::string session, int64_t horizon_ms);

  // A turn began: its usage counts from zero. It ended: what is left to tell of it is told now, texts and
  // calls that were cut short included, and everything said so far is history.
  void BeginTurn();
  void EndTurn();

  // A message's `info`, one of our sessions' (the caller sees to that). False when it is history.
  bool TakeInfo(const JsonValue& info);
  // A part as it is now. `live`: it stands in the stream, so that the deltas after it join on to it.
  void TakePart(const JsonValue& part, bool live);
  void TakeDelta(const JsonValue& delta);

  // A tool call that runs.
  struct Call {
    std::string id;       // unique in its turn, though some models count theirs from 0 in each answer
    std::string session;  // of a sub-agent's
    std::string name;     // normalised
    std::string input;    // JSON object

    static void Members(auto& self, auto& state) {
      state("id", self.id);
      state("session", self.session);
      state("name", self.name);
      state.Json("input", self.input);
    }
  };
  // By the ids of its message and of its own in there. Null before its tool.started was told. Good until the
  // next call of a method.
  [[nodiscard]] const Call* FindCall(std::string_view message_id, std::string_view call_id) const;
  [[nodiscard]] bool HasEnded(std::string_view message_id, std::string_view call_id) const;
  // Tells that it began, by what is known of it elsewhere: its part has not come.
  const Call& Announce(std::string_view message_id, const Call& call);

  // The server says that this file was edited. The tool that did it tells more: it is held until then, at the
  // longest until the end of the step.
  void FileEdited(std::string_view path) { edited_.emplace(path); }
  void StreamBroke();

  // Of a list of messages (GET /session/ID/message): whether it reaches back to what is known; whether it has
  // an answer in it that is not known.
  [[nodiscard]] bool ReachesBack(const JsonValue& messages) const;
  [[nodiscard]] bool HasUnheard(const JsonValue& messages) const;
  [[nodiscard]] int64_t horizon_ms() const { return horizon_ms_; }
  // Whether the server has a prompt that no turn is known to have answered.
  [[nodiscard]] bool HasPrompt() const;

  static void Members(auto& self, auto& state) {
    state("session", self.session_);
    state("messages", self.messages_);
    state("calls", self.calls_);
    state("call_ids", self.call_ids_);
    state("horizon_ms", self.horizon_ms_);
    state("edited", self.edited_);
    state("reported", self.reported_);
    state("usage", self.usage_);
  }

 private:
  // One text, thought or tool call of a message.
  struct Part {
    std::string type;
    std::string sent;      // of a text, a thought or a tool's output: what was told so far
    size_t whole = 0;      // of a text: how much of that was told as whole messages,
    int messages = 0;      // and as how many: a call of a tool ends one
    bool gapped = false;   // deltas were missed: those that follow do not join on
    bool started = false;  // tool.started was told
    bool done = false;     // all was told
    std::string call;      // of a tool call that was started: its key in calls_

    static void Members(auto& self, auto& state) {
      state("type", self.type);
      state("sent", self.sent);
      state("whole", self.whole);
      state("messages", self.messages);
      state("gapped", self.gapped);
      state("started", self.started);
      state("done", self.done);
      state("call", self.call);
    }
  };
  struct Message {
    bool assistant = false;
    bool sub_agent = false;
    int64_t created_ms = 0;
    std::map<std::string, Part, std::less<>> parts;

    static void Members(auto& self, auto& state) {
      state("assistant", self.assistant);
      state("sub_agent", self.sub_agent);
      state("created_ms", self.created_ms);
      state("parts", self.parts);
    }
  };

  void TakeText(const JsonValue& part, Part& known, bool live);
  void TellDelta(const std::string& id, Part& known, std::string_view more);
  void TellWhole(const std::string& id, Part& known, std::string_view text);
  void TellCutShort(const Call& call);
  void EndTexts(std::string_view message_id);
  void EndWhatIsOpen();
  void TakeTool(const JsonValue& part, Part& known, const Message& message);
  void TakeUsage(const JsonValue& part);
  void TellEdits(const JsonValue& metadata);
  void TellEdit(const JsonValue& file, std::string_view diff);
  void TellHeldEdits();

  AgentHost& host_;
  std::string session_;
  std::map<std::string, Message, std::less<>> messages_;  // those of the present turn and the last
  std::map<std::string, Call> calls_;                     // those that run, by message and id
  std::set<std::string> call_ids_;                        // that were told in this turn
  int64_t horizon_ms_ = 0;                                // the last message that is history was made then
  std::set<std::string, std::less<>> edited_;             // files edited, not yet told
  std::set<std::string, std::less<>> reported_;           // files told since the last step began
  struct Usage {
    int64_t input_tokens = 0;
    int64_t output_tokens = 0;
    double cost_usd = 0;

    static void Members(auto& self, auto& state) {
      state("input_tokens", self.input_tokens);
      state("output_tokens", self.output_tokens);
      state("cost_usd", self.cost_usd);
    }
  } usage_;  // of the present turn, sub-agents included
};

// What JavaScript calls a number, as a whole one.
int64_t WholeNumber(const JsonValue& value);
// What has no type of its own: agent.output {stream: "events", json}.
void TellOther(AgentHost& host, const JsonValue& value);

}  // namespace reeve
