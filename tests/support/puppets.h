// Puppets: agents with real processes, logs and records, whose adapters do what a test says. For tests of the
// parts of a town that work on its agents.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "orchestrator/agent/agent.h"
#include "orchestrator/log_committer.h"
#include "process/clock.h"
#include "process/http_client.h"
#include "process/loop.h"
#include "process/reaper.h"
#include "tests/support/loop_fixture.h"

namespace reeve {

class Puppets {
 public:
  // How a puppet's process takes its end.
  enum class Nature {
    kMeek,      // ends by TERM
    kStubborn,  // also has a polite stop, of which it takes no notice; ignores TERM
  };

  // `events_dir` holds the logs; empty: a folder of this object's own. `clock` outlives it.
  explicit Puppets(const Clock& clock, std::string events_dir = "");
  ~Puppets();
  Puppets(const Puppets&) = delete;
  Puppets& operator=(const Puppets&) = delete;

  Agent& Make(const std::string& id, Nature nature = Nature::kMeek);  // returns once its process is ready
  // Reports that its adapter would make.
  void BeginTurn(const std::string& id);
  void EndTurn(const std::string& id);
  void Emit(const std::string& id, const std::string& data);

  [[nodiscard]] Loop& loop() { return loop_; }
  [[nodiscard]] std::map<std::string, std::unique_ptr<Agent>>& agents() { return agents_; }
  [[nodiscard]] LogCommitter& logs() { return *logs_; }

 private:
  TempDir dir_;
  Loop loop_;
  Reaper reaper_{loop_};
  HttpClient http_{loop_};
  std::unique_ptr<Store> store_;
  std::unique_ptr<AgentContext> context_;
  std::map<std::string, std::unique_ptr<Agent>> agents_;
  std::unique_ptr<LogCommitter> logs_;
  uint64_t epoch_ = 0;
};

}  // namespace reeve
