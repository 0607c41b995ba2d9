// Any body of POST /mcp, from a caller of scope view, on a town without agents. The first byte says which
// headers come with it. Demands:
// - a request is answered at most once, and at once unless it waits;
// - the answer is JSON-RPC, has the id of its request or null, and has either a result or an error;
// - the end of the server leaves no wait.
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "control/access/idempotency.h"
#include "control/api/waits.h"
#include "control/http/answer_stream.h"
#include "control/mcp/mcp_message.h"
#include "control/mcp/mcp_server.h"
#include "tests/support/town_api.h"

namespace {

void Demand(bool condition) {
  if (!condition) std::abort();
}

class FuzzedClient final : public reeve::Reply::Sink {
 public:
  void Answer(reeve::Response response) override {
    Demand(!answer && !streams);
    answer = std::move(response);
  }
  // It has gone when a stream begins.
  std::unique_ptr<reeve::AnswerStream> OpenStream() override {
    streams = true;
    return nullptr;
  }

  std::optional<reeve::Response> answer;
  bool streams = false;
};

void CheckMessage(const reeve::JsonValue& message, const reeve::JsonValue& request) {
  Demand(message.size() == 3 && message["jsonrpc"].StringOr("") == "2.0");
  Demand(message["result"].present() != message["error"].present());
  if (request.Is(reeve::JsonType::kArray)) return;
  const std::string id = message["id"].Raw();
  Demand(id == "null" ? message["error"].present() : id == request["id"].Raw());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const bool alone = setenv("PATH", "/nowhere", 1) == 0;  // no program of a kind is found
  static reeve::TownApi town;
  static reeve::SystemClock clock;
  static reeve::Idempotency idempotency(clock, town.store());
  if (size == 0 || !alone) return 0;

  reeve::Request request;
  request.method = "POST";
  request.path = "/mcp";
  request.id = "req-1";
  request.caller = reeve::Request::Caller{reeve::Scope::kView, 1};
  request.body.assign(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto json = reeve::JsonDocument::Parse(request.body);
  const reeve::JsonValue root = json ? json->root() : reeve::JsonValue();
  request.headers.emplace_back("content-type", "application/json");
  if ((data[0] & 1U) != 0) {
    for (auto& [name, value] : reeve::McpHeadersOf(root)) {
      std::string lower = name;
      for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
      request.headers.emplace_back(lower, value);
    }
  }
  if ((data[0] & 2U) != 0) request.headers.emplace_back("accept", "text/event-stream");
  if ((data[0] & 4U) != 0) request.headers.emplace_back("mcp-session-id", "s");

  {
    reeve::McpServer server(town.api(), idempotency);
    const auto client = std::make_shared<FuzzedClient>();
    server.Serve(request, reeve::Reply(client));
    if (client->answer) {
      const reeve::Response& answer = *client->answer;
      Demand(answer.status == 200 || answer.status == 202 || answer.status == 400 || answer.status == 404);
      Demand(answer.body.empty() == (answer.status == 202));
      const auto body = reeve::JsonDocument::Parse(answer.body);
      if (body && body->root().Is(reeve::JsonType::kArray)) {
        for (const reeve::JsonValue& one : body->root().Elements()) CheckMessage(one, root);
      } else if (!answer.body.empty() && !answer.body.starts_with("event: ")) {
        CheckMessage(body.value().root(), root);
      }
    }
  }
  Demand(town.waits().open() == 0);
  return 0;
}
