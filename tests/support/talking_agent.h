// TalkingAgent: an agent of kind `claude` for a test to talk to: a script in the place of Claude Code. It
// answers each message with "you said: …", but for
//   ask    it asks to run a command, and says "allowed" or "denied"
//   slow   it says "half a ", and when Finish() was called "sentence"
//   work   it calls a tool, which fails
#pragma once

#include <string>

#include "tests/support/daemon.h"

namespace reeve {

class TalkingAgent {
 public:
  // The program, for a spec's `command` or the words after `reeve run --kind claude --`.
  explicit TalkingAgent(const Daemon& daemon);
  // POST /agents with it; `more` are further members of the spec, each with a comma before it.
  void Create(const std::string& id, const std::string& more = "") const;
  void Finish() const;

  [[nodiscard]] const std::string& script() const { return script_; }

 private:
  const Daemon& daemon_;
  std::string script_;
};

}  // namespace reeve
