// JsonRpc: our end of JSON-RPC 2.0 (jsonrpc.org/specification) with an agent, a message a line. A value of
// its adapter; what it is given may call back into it. No I/O in here: lines come by Take, and leave by
// `write`.
//
// Both sides ask: our ids are whole numbers of our own, theirs are a space of their own, may be strings, and
// are handed back as they came. `jsonrpc` is written and not demanded (codex leaves it out). An answer comes
// once to each call: what is unknown, said twice or no JSON-RPC at all is the owner's to tell. What a call
// was for is data, so that a handover takes it along.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "orchestrator/json/json.h"
#include "process/result.h"

namespace reeve {

// What a call got. The values are good during on_answer only.
struct JsonRpcAnswer {
  JsonValue result;
  std::optional<Error> error;  // code: theirs, as text; or "closed", when the end came first
  JsonValue data;              // of an error, where it carries some
  [[nodiscard]] bool ok() const { return !error; }
};

class JsonRpc {
 public:
  // A call of ours that waits for its answer.
  struct Request {
    std::string method;
    std::string about;  // as it was given to Call

    static void Members(auto& self, auto& state) {
      state("method", self.method);
      state("about", self.about);
    }
  };
  struct Handlers {
    std::function<Status(std::string_view line)> write;  // with its line end
    std::function<void(std::string_view method, const JsonValue& params)> on_notification;
    // `id` is its JSON text, for Answer and Refuse: once, now or later.
    std::function<void(const std::string& id, std::string_view method, const JsonValue& params)> on_request;
    std::function<void(const Request& request, const JsonRpcAnswer& answer)> on_answer;
    std::function<void(std::string_view line)> on_stray;
  };

  static constexpr int kMethodNotFound = -32601;
  // Calls that wait for an answer at a time: more is an agent that answers none.
  static constexpr size_t kMaxOpen = 1'000;

  explicit JsonRpc(Handlers handlers) : handlers_(std::move(handlers)) {}

  // `params` is JSON; `about` is for whoever takes the answer. Error: it was not sent, and gets none.
  // Otherwise it gets one, at the latest by Close.
  Status Call(std::string_view method, std::string_view params, std::string about = {});
  Status Notify(std::string_view method, std::string_view params);
  void Answer(const std::string& id, std::string_view result);
  void Refuse(const std::string& id, int code, std::string_view message);

  // One line of theirs.
  void Take(std::string_view line);
  // Nothing more will come: what is open gets the error "closed".
  void Close();

  static void Members(auto& self, auto& state) {
    state("open", self.open_);
    state("next_id", self.next_id_);
  }

 private:
  Status Send(JsonObject& message);
  bool TakeAnswer(const JsonDocument& message);

  Handlers handlers_;
  std::map<int64_t, Request> open_;
  int64_t next_id_ = 1;
};

}  // namespace reeve
