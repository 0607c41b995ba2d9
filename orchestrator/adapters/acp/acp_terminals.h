// AcpTerminals: the commands that an agent of the Agent Client Protocol has us run (its terminal/* methods,
// version 1): processes of the agent's own tree, in its environment. A value of its adapter, and only where
// the spec grants it.
//
// Output is both streams as they came, the last `outputByteLimit` bytes of it. A command lives until it ends,
// is killed or released, or the adapter goes; with the agent's own process its whole tree goes.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "orchestrator/adapters/agent_host.h"
#include "orchestrator/json/json.h"
#include "process/child.h"
#include "process/result.h"

namespace reeve {

class AcpTerminals {
 public:
  static constexpr size_t kMax = 64;  // not released yet
  static constexpr int64_t kMaxOutput = int64_t{1} << 20;

  // To a request, by its id: a JSON result, or why not.
  using OnDone = std::function<void(const std::string& id, const Result<std::string>& result)>;

  // `cwd` is where commands run that name no folder.
  AcpTerminals(AgentHost& host, std::string cwd, OnDone on_done)
      : host_(host), cwd_(std::move(cwd)), on_done_(std::move(on_done)) {}

  // One terminal/METHOD by this id. It is done once: at once, but for wait_for_exit.
  void Take(const std::string& id, std::string_view method, const JsonValue& params);
  // The agent's process has gone: no answer reaches it, and what runs ends.
  void Close();

  // For a handover (orchestrator/handover/saved_state.h); Resume as an Adapter's.
  static void Members(auto& self, auto& state) {
    state("cwd", self.cwd_);
    state("made", self.made_);
    state("terminals", self.terminals_);
  }
  void Resume();

 private:
  struct Terminal {
    std::string output;  // the newest of it
    bool truncated = false;
    size_t limit = kMaxOutput;
    std::unique_ptr<Child> child;      // while it runs
    std::optional<ChildState> left;    // the same by an earlier image, until Resume
    std::string exit;                  // how it ended, JSON; empty while it runs
    std::vector<std::string> waiting;  // requests, by their ids

    static void Members(auto& self, auto& state) {
      state.Bytes("output", self.output);
      state("truncated", self.truncated);
      state("limit", self.limit);
      state.Child("child", self.child, self.left);
      state.Json("exit", self.exit);
      state("waiting", self.waiting);
    }
  };

  Result<std::string> Create(const JsonValue& params);
  Child::Handlers HandlersOf(Terminal& terminal);
  void Ended(Terminal& terminal, const ExitStatus& exit);
  static void Keep(Terminal& terminal, std::string_view bytes);
  static std::string ExitJson(const ExitStatus& exit);

  AgentHost& host_;
  std::string cwd_;
  const OnDone on_done_;
  uint64_t made_ = 0;
  std::map<std::string, Terminal, std::less<>> terminals_;  // handlers refer to them
};

}  // namespace reeve
