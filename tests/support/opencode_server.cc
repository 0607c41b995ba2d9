#include "tests/support/opencode_server.h"

#include <algorithm>

namespace reeve {

namespace {

bool EndsWith(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

}  // namespace

void OpencodeState::Apply(const JsonValue& event) {
  const std::string_view type = event["type"].StringOr("");
  const JsonValue properties = event["properties"];
  const std::string session(properties["sessionID"].StringOr(""));
  if (type == "session.created" || type == "session.updated") {
    const JsonValue info = properties["info"];
    sessions_[session] = info.Raw();
    if (info["parentID"]) parents_[session] = info["parentID"].StringOr("");
  } else if (type == "message.updated") {
    const std::string id(properties["info"]["id"].StringOr(""));
    auto found = std::find_if(messages_.begin(), messages_.end(),
                              [&id](const auto& entry) { return entry.first == id; });
    if (found == messages_.end()) found = messages_.insert(messages_.end(), {id, {session, "", {}}});
    found->second.info = properties["info"].Raw();
  } else if (type == "message.part.updated") {
    const JsonValue part = properties["part"];
    const std::string id(part["id"].StringOr(""));
    for (auto& [message_id, message] : messages_) {
      if (message_id != part["messageID"].StringOr("")) continue;
      auto found = std::find_if(message.parts.begin(), message.parts.end(),
                                [&id](const auto& entry) { return entry.first == id; });
      if (found == message.parts.end()) found = message.parts.insert(message.parts.end(), {id, ""});
      found->second = part.Raw();
    }
  } else if (type == "session.status") {
    if (properties["status"]["type"].StringOr("") == "idle") {
      status_.erase(session);
    } else {
      status_[session] = properties["status"].Raw();
    }
  } else if (type == "permission.asked") {
    permissions_[std::string(properties["id"].StringOr(""))] = properties.Raw();
  } else if (type == "permission.replied") {
    permissions_.erase(std::string(properties["requestID"].StringOr("")));
  } else if (type == "question.asked") {
    questions_[std::string(properties["id"].StringOr(""))] = properties.Raw();
  } else if (type == "question.replied" || type == "question.rejected") {
    questions_.erase(std::string(properties["requestID"].StringOr("")));
  } else if (type == "todo.updated") {
    todos_[session] = properties["todos"].Raw();
  }
}

std::string OpencodeState::Children(const std::string& session) const {
  JsonArray list;
  for (const auto& [child, parent] : parents_) {
    if (parent == session) list.AddRaw(sessions_.at(child));
  }
  return list.Take();
}

std::string OpencodeState::Messages(const std::string& session, size_t limit) const {
  std::vector<std::string> found;
  for (const auto& [id, message] : messages_) {
    if (message.session != session) continue;
    JsonArray parts;
    for (const auto& [part_id, part] : message.parts) parts.AddRaw(part);
    found.push_back(JsonObject().SetRaw("info", message.info).SetRaw("parts", parts.Take()).Take());
  }
  const size_t skip = limit != 0 && found.size() > limit ? found.size() - limit : 0;
  JsonArray list;
  for (size_t i = skip; i < found.size(); ++i) list.AddRaw(found[i]);
  return list.Take();
}

std::string OpencodeState::Status() const {
  JsonObject object;
  for (const auto& [session, status] : status_) object.SetRaw(session, status);
  return object.Take();
}

std::string OpencodeState::Permissions() const {
  JsonArray list;
  for (const auto& [id, request] : permissions_) list.AddRaw(request);
  return list.Take();
}

std::string OpencodeState::Questions() const {
  JsonArray list;
  for (const auto& [id, request] : questions_) list.AddRaw(request);
  return list.Take();
}

std::string OpencodeState::Todos(const std::string& session) const {
  auto found = todos_.find(session);
  return found == todos_.end() ? "[]" : found->second;
}

OpencodeServer::OpencodeServer(Loop& loop)
    : server_(loop, [this](TestServer::Connection& connection, const TestServer::Request& request) {
        Serve(connection, request);
      }) {}

void OpencodeServer::Say(const std::string& event) {
  auto json = JsonDocument::Parse(event);
  if (json) state_.Apply(json->root());
  if (silent) return;
  const std::vector<int> all = listeners_;
  for (int listener : all) SayTo(listener, event);
}

void OpencodeServer::SayTo(int listener, const std::string& event) {
  TestServer::Connection* connection = server_.Find(listener);
  if (!connection) {
    std::erase(listeners_, listener);
    return;
  }
  static constexpr char kHex[] = "0123456789abcdef";
  const std::string frame = "data: " + event + "\n\n";
  std::string size;
  for (size_t left = frame.size(); left != 0; left >>= 4U) size.insert(size.begin(), kHex[left & 15U]);
  connection->Send(size + "\r\n" + frame + "\r\n");
}

void OpencodeServer::CloseStreams() {
  for (int listener : std::exchange(listeners_, {})) {
    if (TestServer::Connection* connection = server_.Find(listener)) {
      connection->Send("0\r\n\r\n");
      connection->Close();
    }
  }
}

void OpencodeServer::BreakStreams() {
  for (int listener : std::exchange(listeners_, {})) {
    if (TestServer::Connection* connection = server_.Find(listener)) connection->Close();
  }
}

size_t OpencodeServer::Asked(std::string_view beginning) const {
  return static_cast<size_t>(
      std::count_if(requests_.begin(), requests_.end(), [beginning](const std::string& request) {
        return request.compare(0, beginning.size(), beginning) == 0;
      }));
}

void OpencodeServer::Serve(TestServer::Connection& connection, const TestServer::Request& request) {
  std::string path = request.target.substr(0, request.target.find('?'));
  std::string query = request.target.size() > path.size() ? request.target.substr(path.size() + 1) : "";
  const std::string suffix = "directory=" + directory;
  if (!directory.empty()) {
    if (!EndsWith(query, suffix)) wrong.push_back("no directory: " + request.target);
    query = query.substr(0, query.size() - suffix.size());
    if (EndsWith(query, "&")) query.pop_back();
  }
  auto authorization = request.headers.find("authorization");
  if (authorization == request.headers.end() ||
      authorization->second != "Basic " + Base64(user + ":" + password)) {
    wrong.push_back("no password: " + request.target);
    return connection.Answer(401, "");
  }
  requests_.push_back(request.method + " " + path + (query.empty() ? "" : "?" + query) +
                      (request.body.empty() ? "" : " " + request.body));
  if (mute) return;
  for (const auto& [end, status] : refuse) {
    if (!EndsWith(path, end)) continue;
    return connection.Answer(status, R"({"name":"Refused","data":{"message":"not today"}})");
  }
  Answer(connection, request, path, query);
}

void OpencodeServer::Answer(TestServer::Connection& connection, const TestServer::Request& request,
                            const std::string& path, const std::string& query) {
  if (path == "/global/health") return connection.Answer(200, R"({"healthy":true,"version":"7.7.7"})");
  if (path == "/event") {
    connection.Send(
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n");
    listeners_.push_back(connection.id());
    if (!silent) SayTo(connection.id(), R"({"id":"evt_0","type":"server.connected","properties":{}})");
    return;
  }
  if (path == "/permission") return connection.Answer(200, state_.Permissions());
  if (path == "/question") return connection.Answer(200, state_.Questions());
  if (path == "/config/providers") return connection.Answer(200, providers);
  if (path == "/session/status") return connection.Answer(200, state_.Status());
  if (path == "/session" && request.method == "POST") {
    const std::string id = "ses_" + std::to_string(next_session_++);
    state_.AddSession(id, JsonObject().Set("id", id).Set("title", "New session").Take());
    return connection.Answer(200, state_.Session(id));
  }
  if (path.compare(0, 12, "/permission/") == 0 || path.compare(0, 10, "/question/") == 0)
    return connection.Answer(200, "true");
  const std::string rest = path.substr(std::min(path.size(), size_t{9}));
  const std::string id = rest.substr(0, rest.find('/'));
  if (path.compare(0, 9, "/session/") != 0 || !state_.Has(id)) {
    return connection.Answer(404, R"({"name":"NotFoundError","data":{"message":"Session not found"}})");
  }
  if (EndsWith(path, "/prompt_async")) return connection.Send("HTTP/1.1 204 No Content\r\n\r\n");
  if (EndsWith(path, "/abort")) return connection.Answer(200, "true");
  if (EndsWith(path, "/children")) return connection.Answer(200, state_.Children(id));
  if (EndsWith(path, "/todo")) return connection.Answer(200, state_.Todos(id));
  if (EndsWith(path, "/message")) {
    const size_t limit = query.compare(0, 6, "limit=") == 0 ? std::stoul(query.substr(6)) : 0;
    return connection.Answer(200, state_.Messages(id, limit));
  }
  connection.Answer(200, state_.Session(id));
}

}  // namespace reeve
