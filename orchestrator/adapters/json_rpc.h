// JsonRpc: our end of JSON-RPC 2.0 (jsonrpc.org/specification) with an agent, one message per line. A value
// of its adapter; the handlers may call back into it. It does no I/O: lines arrive through Take, and leave
// through `write`.
//
// Both sides make requests. Our ids are whole numbers; the other side numbers its own requests, its ids may
// be strings, and we return them unchanged. We write the `jsonrpc` member but do not demand it (codex leaves
// it out). Each call gets one answer. A line that is unknown, a repeated answer or no JSON-RPC at all goes to
// the owner's on_stray. The purpose of a call is stored as data, so that a checkpoint can hold it.
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

// The answer to a call. The values are valid during on_answer only.
struct JsonRpcAnswer {
  JsonValue result;
  std::optional<Error> error;  // code: the other side's, as text; or "closed" when the connection ended first
  JsonValue data;              // data of an error, where it has some
  [[nodiscard]] bool ok() const { return !error; }
};

class JsonRpc {
 public:
  // A call of ours that waits for its answer.
  struct Request {
    std::string method;
    std::string about;  // the text that was given to Call

    static void Members(auto& self, auto& state) {
      state("method", self.method);
      state("about", self.about);
    }
  };
  struct Handlers {
    std::function<Status(std::string_view line)> write;  // with its line end
    std::function<void(std::string_view method, const JsonValue& params)> on_notification;
    // `id` is the JSON text of the request's id. Pass it to Answer or Refuse once, now or later.
    std::function<void(const std::string& id, std::string_view method, const JsonValue& params)> on_request;
    std::function<void(const Request& request, const JsonRpcAnswer& answer)> on_answer;
    std::function<void(std::string_view line)> on_stray;
  };

  static constexpr int kMethodNotFound = -32601;
  // The largest number of calls that may wait for an answer. An agent with more answers none.
  static constexpr size_t kMaxOpen = 1'000;

  explicit JsonRpc(Handlers handlers) : handlers_(std::move(handlers)) {}

  // `params` is JSON; `about` is kept for on_answer. Error: the call was not sent and gets no answer.
  // Otherwise it gets one, at the latest from Close.
  Status Call(std::string_view method, std::string_view params, std::string about = {});
  Status Notify(std::string_view method, std::string_view params);
  void Answer(const std::string& id, std::string_view result);
  void Refuse(const std::string& id, int code, std::string_view message);

  // Takes one line of the other side.
  void Take(std::string_view line);
  // No more lines will come: every open call gets the error "closed".
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
