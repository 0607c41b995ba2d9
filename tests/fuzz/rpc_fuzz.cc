// Any messages, one on each line, as calls of all operations on one connection. Each operation stands here as
// a method that answers at once or later, without its agent, which must exist. Demands:
// - a message gets one answer, which is one line of JSON with either a result or an error; a call has its own
// id
//   in it. A notification gets none;
// - the arguments that reach a method are as they are declared;
// - the end of the connection leaves no call.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "control/api/api.h"
#include "control/gateway/rpc.h"
#include "tests/support/town_api.h"

namespace {

using Type = reeve::Parameter::Type;

void Demand(bool condition) {
  if (!condition) std::abort();
}

std::vector<reeve::Operation> Methods() {
  std::vector<reeve::Operation> methods = reeve::Operations();
  for (reeve::Operation& one : methods) {
    one.run = nullptr;
    one.method = {};
    for (reeve::Parameter& parameter : one.parameters) {
      if (parameter.type == Type::kAgent || parameter.type == Type::kAnyAgent) parameter.type = Type::kString;
    }
  }
  return methods;
}

void CheckArgument(const reeve::Call& call, const reeve::Parameter& parameter) {
  switch (parameter.type) {
    case Type::kInteger: {
      const auto number = call.Integer(parameter.name);
      Demand(number ? *number >= parameter.least && *number <= parameter.most : !parameter.required);
      break;
    }
    case Type::kBoolean:
      (void)call.Flag(parameter.name);
      break;
    case Type::kCursor:
      (void)call.Position(parameter.name);
      break;
    case Type::kTypes:
      (void)call.Types(parameter.name).Matches("run.ended");
      break;
    case Type::kLabels:
      (void)call.LabelsOf(parameter.name);
      break;
    case Type::kJson:
      Demand(call.Json(parameter.name).present() || !parameter.required);
      break;
    default: {
      const auto text = call.Text(parameter.name);
      const auto& choices = parameter.choices;
      Demand(text ? choices.empty() || std::count(choices.begin(), choices.end(), *text) == 1
                  : !parameter.required);
      break;
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static reeve::TownApi town;
  static reeve::SystemClock clock;
  static reeve::Idempotency idempotency(clock, town.store());
  static const std::vector<reeve::Operation> methods = Methods();

  std::vector<std::string> sent;
  std::vector<reeve::Reply> held;
  size_t calls = 0;
  auto rpc = std::make_unique<reeve::Rpc>(
      town.api(), idempotency, reeve::RpcCaller{{reeve::Scope::kAdmin, 1}}, methods,
      [&held, &calls](const reeve::Operation& method, const reeve::Call& call, reeve::Reply reply) {
        for (const reeve::Parameter& parameter : method.parameters) CheckArgument(call, parameter);
        if (++calls % 2 == 0) return held.push_back(std::move(reply));
        reply.Send(reeve::Response::Json(200, call.body() ? call.body().Raw() : "{}"));
      },
      [&sent](std::string message) { sent.push_back(std::move(message)); });

  std::string_view rest(reinterpret_cast<const char*>(data), size);
  while (!rest.empty()) {
    const std::string_view message = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(message.size() + 1, rest.size()));
    rpc->Receive(message);
    for (reeve::Reply& reply : std::exchange(held, {})) reply.Send(reeve::Response{204, {}, ""});
    const auto json = reeve::JsonDocument::Parse(message);
    const reeve::JsonValue id = json ? (*json)["id"] : reeve::JsonValue();
    Demand(sent.size() <= 1 && (!id || sent.size() == 1));
    if (sent.empty()) continue;
    Demand(sent.front().find_first_of("\r\n") == std::string::npos);
    const auto answer = reeve::JsonDocument::Parse(sent.front());
    Demand(answer.ok() && answer->root().size() == 3 && (*answer)["jsonrpc"].StringOr("") == "2.0");
    Demand((*answer)["result"].present() != (*answer)["error"].present());
    const std::string answered = (*answer)["id"].Raw();
    Demand(answered == id.Raw() || ((*answer)["error"].present() && answered == "null"));
    sent.clear();
  }
  Demand(rpc->in_flight() == 0);
  return 0;
}
