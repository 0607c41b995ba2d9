// ResolvedApproval: how a question of an agent ended, for a second person who answers it. A value.
#pragma once

#include <string>

namespace reeve {

struct ResolvedApproval {
  std::string id;
  std::string decision;  // allow_once, allow_always, deny; accept, decline, cancel; expired, withdrawn
  std::string by;        // a token's name, agent:<id>, person, policy, deadline, agent, daemon

  static void Members(auto& self, auto& state) {
    state("id", self.id);
    state("decision", self.decision);
    state("by", self.by);
  }
};

}  // namespace reeve
