// AcpTerminals: the commands that an agent of the Agent Client Protocol asks us to run (its terminal/*
// methods, version 1). They are processes of the agent's own tree, in its environment. A value of its
// adapter, made only where the spec grants it.
//
// The output of a command is both its streams in the order of arrival; only the last `outputByteLimit` bytes
// are kept. A command lives until it ends, is killed or released, or the adapter is destroyed. When the
// agent's own process ends, its whole tree ends.
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
  static constexpr size_t kMax = 64;  // terminals that are not released yet
  static constexpr int64_t kMaxOutput = int64_t{1} << 20;

  // Answers a request, by its id, with a JSON result or an error.
  using OnDone = std::function<void(const std::string& id, const Result<std::string>& result)>;

  // Commands that name no folder run in `cwd`.
  AcpTerminals(AgentHost& host, std::string cwd, OnDone on_done)
      : host_(host), cwd_(std::move(cwd)), on_done_(std::move(on_done)) {}

  // Takes one terminal/METHOD with this id. Answers it once: at once, except for wait_for_exit.
  void Take(const std::string& id, std::string_view method, const JsonValue& params);
  // The agent's process is gone: answers can no longer reach it, and the running commands end.
  void Close();

  // For the next daemon (orchestrator/handover/saved_state.h). Resume works like an Adapter's.
  static void Members(auto& self, auto& state) {
    state("cwd", self.cwd_);
    state("made", self.made_);
    state("terminals", self.terminals_);
  }
  void Resume();

 private:
  struct Terminal {
    std::string output;  // only the newest bytes
    bool truncated = false;
    size_t limit = kMaxOutput;
    std::unique_ptr<Child> child;      // while it runs
    std::optional<ChildState> left;    // the child of an earlier daemon, until Resume
    std::string exit;                  // JSON exit status; empty while it runs
    std::vector<std::string> waiting;  // ids of requests that wait for the exit

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
  std::map<std::string, Terminal, std::less<>> terminals_;  // handlers hold references to the entries
};

}  // namespace reeve
