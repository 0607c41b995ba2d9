// The methods that only a gateway has (control/gateway/).
#include "control/api/api.h"

namespace reeve {

namespace {

using Type = Parameter::Type;

}  // namespace

const std::vector<Operation>& GatewayMethods() {
  static const std::vector<Operation> methods = {
      {.name = "gateway.ping",
       .access = Access::kView,
       .method = "",
       .path = "",
       .text = "Returns the time.",
       .answers = {{200, "GatewayTime"}}},
      {.name = "gateway.sign_out",
       .access = Access::kView,
       .method = "",
       .path = "",
       .text = "Voids the resume tickets of this connection, which stays open.",
       .answers = {{204}}},
      {.name = "events.subscribe",
       .access = Access::kView,
       .method = "",
       .path = "",
       .text = "Sends the events of an agent, or of all agents: history, stream.synced, then live events.",
       .parameters =
           {Member("agent", Type::kString, "The agent's id, or * for all, later ones included.").Required(),
            JsonMember("after", "SubscriptionStart",
                       "The cursor after which the history begins; for all agents an object that maps "
                       "ids to cursors, or 0. Live events only if absent."),
            Member("types", Type::kTypes, "Only these types."),
            Member("coalesce", Type::kBoolean, "Joins deltas of one text while the viewer is behind.")},
       .answers = {{200, "Subscription"}},
       .errors = {"agent_not_found", "too_many_requests"}},
      {.name = "events.unsubscribe",
       .access = Access::kView,
       .method = "",
       .path = "",
       .text = "Ends a subscription. None of its events follows the answer.",
       .parameters =
           {Member("subscription", Type::kInteger, "The number that events.subscribe returned.").Required()},
       .answers = {{204}},
       .errors = {"not_found"}},
  };
  return methods;
}

}  // namespace reeve
