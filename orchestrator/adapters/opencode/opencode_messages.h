// OpencodeMessages: reports the messages of an opencode or kilo session and of its sub-agents to an
// AgentHost, part by part: texts, thoughts, tool calls, edits, usage. It reports each part once, however
// often the server says it, and without a hole where the event stream had one. Owned by OpencodeEvents; does
// no I/O and reads no clock.
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

  // Sets the session whose messages these are. Everything said before `horizon_ms` (of the server's clock) is
  // history and is not reported.
  void SetSession(std::string session, int64_t horizon_ms);

  // BeginTurn: a turn began, and its usage counts from zero. EndTurn: it ended; the rest of it is reported
  // now, including texts and calls that were cut short, and everything said so far becomes history.
  void BeginTurn();
  void EndTurn();

  // Takes a message's `info`. The caller makes sure that it belongs to one of our sessions. False when it is
  // history.
  bool TakeInfo(const JsonValue& info);
  // Takes a part in its present state. `live`: it came on the stream, so the deltas after it continue it.
  void TakePart(const JsonValue& part, bool live);
  void TakeDelta(const JsonValue& delta);

  // A tool call that runs.
  struct Call {
    std::string id;       // unique in its turn, though some models count theirs from 0 in each answer
    std::string session;  // the sub-agent's, if it made the call
    std::string name;     // normalised
    std::string input;    // JSON object

    static void Members(auto& self, auto& state) {
      state("id", self.id);
      state("session", self.session);
      state("name", self.name);
      state.Json("input", self.input);
    }
  };
  // Finds a call by the id of its message and its own id in that message. Null until its tool.started was
  // emitted. Valid until the next call of a method.
  [[nodiscard]] const Call* FindCall(std::string_view message_id, std::string_view call_id) const;
  [[nodiscard]] bool HasEnded(std::string_view message_id, std::string_view call_id) const;
  // Emits the beginning of a call whose part has not come, from what is known of it elsewhere.
  const Call& Announce(std::string_view message_id, const Call& call);

  // The server says that this file was edited. The tool that edited it reports more, so the edit is held
  // until the tool does, or until the end of the step.
  void FileEdited(std::string_view path) { edited_.emplace(path); }
  void StreamBroke();

  // Both take a list of messages (GET /session/ID/message). ReachesBack: it reaches back to the known
  // messages. HasNewAnswer: it contains an answer that is not known.
  [[nodiscard]] bool ReachesBack(const JsonValue& messages) const;
  [[nodiscard]] bool HasNewAnswer(const JsonValue& messages) const;
  [[nodiscard]] int64_t horizon_ms() const { return horizon_ms_; }
  // Whether the server has a prompt that no known turn has answered.
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
    std::string sent;      // of a text, a thought or a tool's output: the part reported so far
    size_t whole = 0;      // of a text: how many bytes were reported as whole messages,
    int messages = 0;      // and the number of those messages: a tool call ends one
    bool gapped = false;   // deltas were missed, so the following ones do not continue the text
    bool started = false;  // tool.started was emitted
    bool done = false;     // everything was reported
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
  void EmitDelta(const std::string& id, Part& known, std::string_view more);
  void EmitWhole(const std::string& id, Part& known, std::string_view text);
  void EmitCutShort(const Call& call);
  void EndTexts(std::string_view message_id);
  void EndWhatIsOpen();
  void TakeTool(const JsonValue& part, Part& known, const Message& message);
  void TakeUsage(const JsonValue& part);
  void EmitEdits(const JsonValue& metadata);
  void EmitEdit(const JsonValue& file, std::string_view diff);
  void EmitHeldEdits();

  AgentHost& host_;
  std::string session_;
  std::map<std::string, Message, std::less<>> messages_;  // of the present turn and the one before
  std::map<std::string, Call> calls_;                     // running calls, by message and id
  std::set<std::string> call_ids_;                        // reported in this turn
  int64_t horizon_ms_ = 0;                                // creation time of the last message that is history
  std::set<std::string, std::less<>> edited_;             // edited files that are not reported yet
  std::set<std::string, std::less<>> reported_;           // files reported since the last step began
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

// Emits a value that has no event type of its own: agent.output {stream: "events", json}.
void EmitOther(AgentHost& host, const JsonValue& value);

}  // namespace reeve
