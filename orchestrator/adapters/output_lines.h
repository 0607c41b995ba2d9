// OutputLines: turns a child's output into events, byte for byte. The adapter gets the lines of its protocol;
// everything else becomes agent.output (control/api/API.md): lines, or parts of lines that are long or not
// finished. Joined, these events are exactly the bytes. A member of its adapter; on the loop's thread.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "orchestrator/adapters/agent_host.h"
#include "process/child.h"
#include "process/lines.h"
#include "process/timer.h"

namespace reeve {

class JsonValue;

// The longest protocol message that is accepted: more than any agent was seen to send. A longer one becomes
// agent.output.
inline constexpr size_t kMaxProtocolLine = size_t{16} << 20;

// Writes a protocol message to the child's stdin. If the child does not take it, the agent is broken: an
// agent that waits for a lost message would wait for ever.
Status WriteOrBreak(AgentHost& host, std::string_view line);

// "stdout", "stderr".
const char* NameOf(Child::Output from);

// Emits agent.output for a line of a stream, or for a part of one (ends = false), in parts of at most 1 MiB.
void EmitOutput(AgentHost& host, const char* stream, std::string_view bytes, bool ends = true);
// The same for a line that is one JSON object: as `json` if it fits into one event, and as text otherwise.
void EmitJsonOutput(AgentHost& host, const char* stream, std::string_view json);

class OutputLines {
 public:
  // Bytes of an unfinished line become an event at most this long after they arrived. Two parts of a stream
  // are at least this long apart, so there are at most five a second.
  static constexpr int64_t kPartMs = 200;

  using OnLine = std::function<void(Child::Output from, std::string_view line)>;

  // The adapter's protocol.
  struct Protocol {
    // Gets each complete line of stdout up to `max_bytes`, without the '\n'. It may hand the line back,
    // within the call, to EmitLine or EmitJsonLine. Empty: all lines are output.
    OnLine on_line = nullptr;
    size_t max_bytes = kMaxProtocolLine;
    // Whether a line that begins like this may be of the protocol, so that its end must be awaited. By
    // default: a JSON object.
    std::function<bool(std::string_view beginning)> may_be = nullptr;
    bool on_stderr = false;  // also gets the lines of stderr
  };

  OutputLines(AgentHost& host, Protocol protocol);

  void Take(Child::Output from, std::string_view bytes);
  // The child has exited: the rest of each stream becomes output, or the last line of the protocol.
  void Finish();

  // Emits the line that on_line is being given, which does not belong to the protocol.
  void EmitLine();
  // The same for a line that may be JSON; `is_object`: it is known to be an object.
  void EmitJsonLine(bool is_object = false);

  static void Members(auto& self, auto& state) {
    state("out", self.out_);
    state("err", self.err_);
    self.WatchAgain();
  }

 private:
  struct Stream {
    Lines lines;
    int64_t since_ms = 0;  // when the first waiting byte arrived
    bool held = false;     // an unfinished character has waited for kPartMs

    static void Members(auto& self, auto& state) { Lines::Members(self.lines, state); }
  };

  // `last`: no byte of this stream follows.
  void TakePiece(Child::Output from, const Lines::Piece& piece, bool last = false);
  [[nodiscard]] bool IsProtocol(Child::Output from) const;
  [[nodiscard]] bool MayBecomeOutput(Child::Output from) const;
  void Watch();
  void WatchAgain();
  void WatchAgain() const {}  // for Members, which only read
  void FlushParts();
  [[nodiscard]] const Stream& stream(Child::Output from) const {
    return from == Child::Output::kStdout ? out_ : err_;
  }
  Stream& stream(Child::Output from) { return from == Child::Output::kStdout ? out_ : err_; }

  AgentHost& host_;
  const Protocol protocol_;
  Stream out_;
  Stream err_;
  Timer parts_;
  Child::Output from_ = Child::Output::kStdout;  // of the line that on_line is being given
  std::string_view line_;
  bool ends_ = true;  // that line has its '\n'
};

}  // namespace reeve
