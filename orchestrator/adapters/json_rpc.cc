#include "orchestrator/adapters/json_rpc.h"

#include <utility>

namespace reeve {

namespace {

JsonObject Message() {
  JsonObject message;
  message.Set("jsonrpc", "2.0");
  return message;
}

}  // namespace

Status JsonRpc::Send(JsonObject& message) { return handlers_.write(message.Take() + "\n"); }

Status JsonRpc::Call(std::string_view method, std::string_view params, std::string about) {
  if (open_.size() >= kMaxOpen) return Error{"queue_full", "too many calls wait for an answer"};
  const int64_t id = next_id_++;
  // Recorded before it is sent, because the answer may come from within Send.
  open_.emplace(id, Request{std::string(method), std::move(about)});
  Status sent = Send(Message().Set("id", id).Set("method", method).SetRaw("params", params));
  if (!sent) open_.erase(id);
  return sent;
}

Status JsonRpc::Notify(std::string_view method, std::string_view params) {
  return Send(Message().Set("method", method).SetRaw("params", params));
}

void JsonRpc::Answer(const std::string& id, std::string_view result) {
  (void)Send(Message().SetRaw("id", id).SetRaw("result", result));
}

void JsonRpc::Refuse(const std::string& id, int code, std::string_view message) {
  const std::string error = JsonObject().Set("code", code).Set("message", message).Take();
  (void)Send(Message().SetRaw("id", id).SetRaw("error", error));
}

void JsonRpc::Take(std::string_view line) {
  // ScanJsonObject limits the depth, so that every value of the message fits into an event.
  if (!ScanJsonObject(line)) return handlers_.on_stray(line);
  auto message = JsonDocument::Parse(line);
  if (!message) return handlers_.on_stray(line);
  const JsonValue id = (*message)["id"];
  const auto method = (*message)["method"].AsString();
  if (!method) {
    if (!TakeAnswer(*message)) handlers_.on_stray(line);
  } else if (!id) {
    handlers_.on_notification(*method, (*message)["params"]);
  } else if (id.Is(JsonType::kNumber) || id.Is(JsonType::kString)) {
    handlers_.on_request(id.Raw(), *method, (*message)["params"]);
  } else {
    handlers_.on_stray(line);
  }
}

bool JsonRpc::TakeAnswer(const JsonDocument& message) {
  const auto id = message["id"].AsInt();
  auto call = id ? open_.find(*id) : open_.end();
  const JsonValue error = message["error"];
  if (call == open_.end() || (!error && !message["result"])) return false;
  JsonRpcAnswer answer;
  if (error && !error.Is(JsonType::kNull)) {
    answer.error = Error{std::to_string(error["code"].AsInt().value_or(0)),
                         std::string(error["message"].StringOr("an error without a message"))};
    answer.data = error["data"];
  } else {
    answer.result = message["result"];
  }
  const Request request = std::move(call->second);
  open_.erase(call);
  handlers_.on_answer(request, answer);
  return true;
}

void JsonRpc::Close() {
  const auto open = std::exchange(open_, {});
  JsonRpcAnswer answer;
  answer.error = Error{"closed", "the process has ended"};
  for (const auto& [id, request] : open) handlers_.on_answer(request, answer);
}

}  // namespace reeve
