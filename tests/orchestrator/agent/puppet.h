// Puppet: a kind with turns whose process only sleeps. The test speaks for it through `host`.
//
// An Agent owns its Puppet, as it owns any adapter; the test finds it by the agent's id. On the loop's
// thread.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "orchestrator/adapters/adapter.h"
#include "orchestrator/adapters/agent_host.h"
#include "orchestrator/adapters/kind.h"
#include "orchestrator/agent/agent_spec.h"

namespace reeve {

class Puppet : public Adapter {
 public:
  // The answer to words for the present turn. A later one is given by the test, which knows the message's id.
  enum class Manner { kTakes, kRefuses, kAnswersLater };

  explicit Puppet(AgentHost& its_host) : host(its_host) { present()[host.spec().id] = this; }
  ~Puppet() override { present().erase(host.spec().id); }
  Status Prepare(SpawnSpec& spawn) override {
    spawn.argv = {"/bin/sleep", "600"};
    return {};
  }
  void OnSpawned() override {}
  void OnOutput(Child::Output, std::string_view) override {}
  void OnExited() override {}
  Status Prompt(const std::string&) override { return {}; }
  void Interrupt() override {}
  void Steer(const std::string& id, const std::string&) override {
    const Manner manner = manners()[host.spec().id];
    if (manner == Manner::kTakes) host.OnSteered(id, {});
    if (manner == Manner::kRefuses) host.OnSteered(id, Error{"refused", "by the test"});
  }
  void Decide(const std::string& approval_id, const ApprovalAnswer& answer) override {
    told[approval_id] = answer.allow;
  }

  // The living ones, by their agents' ids.
  static std::map<std::string, Puppet*>& present() {
    static std::map<std::string, Puppet*> puppets;
    return puppets;
  }
  static Puppet* Of(const std::string& agent) {
    auto found = present().find(agent);
    return found == present().end() ? nullptr : found->second;
  }
  // By their agents' ids. A handover replaces the Puppet; its manner stays.
  static std::map<std::string, Manner>& manners() {
    static std::map<std::string, Manner> manners;
    return manners;
  }

  // AgentContext::find_kind. A "puppet" can steer, a "deaf-puppet" cannot.
  static const Kind* FindKind(std::string_view name) {
    static const Kind puppet = Make("puppet", true);
    static const Kind deaf = Make("deaf-puppet", false);
    return name == puppet.name ? &puppet : &deaf;
  }

  AgentHost& host;
  std::map<std::string, bool> told;  // the decisions that reached it, by approval; true: allowed

 private:
  static Kind Make(const char* name, bool steer) {
    Kind kind;
    kind.name = name;
    kind.can.turns = kind.can.interrupt = kind.can.approve = true;
    kind.can.steer = steer;
    kind.make = [](AgentHost& its_host, const std::string&) -> std::unique_ptr<Adapter> {
      return std::make_unique<Puppet>(its_host);
    };
    return kind;
  }
};

inline ApprovalRequest AskForBash(const std::string& id) {
  ApprovalRequest request;
  request.id = id;
  request.tool = "bash";
  request.input = R"({"command":"ls"})";
  return request;
}

}  // namespace reeve
