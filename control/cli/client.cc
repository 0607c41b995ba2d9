#include "control/cli/client.h"

#include <cstdlib>
#include <utility>

#include "orchestrator/config.h"
#include "orchestrator/json.h"
#include "process/loop.h"

namespace reeve {

namespace {

constexpr const char* kDefaultServer = "http://127.0.0.1:8080";

std::string Trimmed(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' ')) text.pop_back();
  return text;
}

bool StartsWith(const std::string& text, const char* prefix) { return text.rfind(prefix, 0) == 0; }

}  // namespace

Result<Client> Client::Find(const Options& options) {
  Client client;
  const std::string data_dir = options.data_dir.empty() ? ConfiguredDataDir() : options.data_dir;
  const char* server = std::getenv("REEVE_SERVER");
  if (!options.server.empty()) {
    client.server_ = options.server;
  } else if (server && *server) {
    client.server_ = server;
  } else if (auto runtime = RuntimeFile::Read(data_dir); runtime && !runtime->listen.empty()) {
    client.server_ = runtime->listen.front();
  } else {
    client.server_ = kDefaultServer;
  }
  if (StartsWith(client.server_, "unix://")) {
    client.unix_socket_ = client.server_.substr(7);
    client.server_ = "http://localhost";
  } else if (!StartsWith(client.server_, "http://") && !StartsWith(client.server_, "https://")) {
    return Error{"invalid_request", "server " + client.server_ + ": an http://, https:// or unix:// address"};
  }
  while (client.server_.back() == '/') client.server_.pop_back();

  const char* token = std::getenv("REEVE_TOKEN");
  if (options.token_file.empty() && token && *token) {
    client.token_ = token;
    return client;
  }
  const char* file = std::getenv("REEVE_TOKEN_FILE");  // what an agent's process gets
  std::string path = data_dir + "/token";
  if (file && *file) path = file;
  if (!options.token_file.empty()) path = options.token_file;
  auto text = ReadConfigFile(path);
  if (!text) return Error{"unauthorized", "no token: " + text.error().message};
  client.token_ = Trimmed(*text);
  return client;
}

HttpRequest Client::Request(std::string method, const std::string& path, std::string body) const {
  HttpRequest request;
  request.method = std::move(method);
  request.url = server_ + path;
  request.unix_socket = unix_socket_;
  request.headers.emplace_back("Authorization", "Bearer " + token_);
  if (!body.empty()) request.headers.emplace_back("Content-Type", "application/json");
  request.body = std::move(body);
  return request;
}

Result<HttpResponse> Client::Call(HttpRequest request) const {
  Loop loop;
  HttpClient http(loop);
  Result<HttpResponse> answer(Error{"unreachable", server_ + " does not answer"});
  const auto call = http.Send(std::move(request), [&answer, &loop](Result<HttpResponse> got) {
    answer = std::move(got);
    loop.Stop();
  });
  loop.Run();
  return answer;
}

Result<HttpResponse> Client::Ask(HttpRequest request) const {
  auto answer = Call(std::move(request));
  if (answer && answer->status / 100 != 2) return ErrorOf(*answer);
  return answer;
}

Result<JsonDocument> Client::AskJson(HttpRequest request) const {
  auto answer = Ask(std::move(request));
  if (!answer) return answer.error();
  auto json = JsonDocument::Parse(answer->body);
  if (!json) return Error{"no_json", server_ + ": the answer is not JSON: is this a reeve?"};
  return json;
}

Error Client::ErrorOf(const HttpResponse& response) {
  auto json = JsonDocument::Parse(response.body);
  if (json && (*json)["detail"].AsString()) {
    return {std::string((*json)["code"].StringOr("http_error")), std::string((*json)["detail"].StringOr(""))};
  }
  return {response.status == 503 ? "unreachable" : "http_error",
          "HTTP status " + std::to_string(response.status) + ", and no reason: is this a reeve?"};
}

}  // namespace reeve
