#include "control/cli/client/client.h"

#include <fcntl.h>

#include <cstdlib>
#include <filesystem>
#include <utility>

#include "control/access/tokens.h"
#include "orchestrator/config/config.h"
#include "orchestrator/json/json.h"
#include "process/loop.h"
#include "process/regular_file.h"

namespace reeve {

namespace {

constexpr const char* kDefaultServer = "http://127.0.0.1:8080";
constexpr int64_t kProbeMs = 2'000;  // a local daemon answers at once

bool StartsWith(const std::string& text, const char* prefix) { return text.rfind(prefix, 0) == 0; }

std::string DataDirOf(const Client::Options& options) {
  return options.data_dir.empty() ? ConfiguredDataDir() : options.data_dir;
}

}  // namespace

Result<Client> Client::FindServer(const Options& options) {
  Client client;
  const char* variable = std::getenv("REEVE_SERVER");
  std::string server = options.server;
  if (server.empty() && variable) server = variable;
  if (server.empty()) server = client.ReadRuntimeFile(DataDirOf(options));
  client.guessed_ = server.empty();
  if (server.empty()) server = kDefaultServer;
  if (StartsWith(server, "unix:///")) {
    client.unix_socket_ = server.substr(7);
    client.server_ = "http://localhost";
    return client;
  }
  const size_t host = server.find("://") + 3;
  if ((!StartsWith(server, "http://") && !StartsWith(server, "https://")) ||
      server.find_first_not_of('/', host) == std::string::npos) {
    return Error{"invalid_request", "server " + server + " is not http://…, https://… or unix:///PATH"};
  }
  while (server.back() == '/') server.pop_back();
  client.server_ = client.web_address_ = server;
  return client;
}

// The file of a daemon that was killed stays behind, and another program may have taken its address.
std::string Client::ReadRuntimeFile(const std::string& data_dir) {
  const std::string path = RuntimeFile::PathIn(data_dir);
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) return {};
  auto runtime = RuntimeFile::Read(data_dir);
  if (!runtime) {
    doubt_ = runtime.error().message;
  } else if (!runtime->Alive()) {
    doubt_ = path + " is left over from process " + std::to_string(runtime->pid) + ", which is gone";
  } else {
    web_address_ = LocalWebAddress(runtime->listen);
    return LocalAddress(runtime->listen);
  }
  return {};
}

std::string Client::TokenFile(const Options& options) {
  if (!options.token_file.empty()) return options.token_file;
  const char* token = std::getenv("REEVE_TOKEN");
  if (token && *token) return {};
  const char* file = std::getenv("REEVE_TOKEN_FILE");  // set for the processes of agents
  return file && *file ? file : DataDirOf(options) + "/token";
}

Result<std::string> Client::ReadTokenFile(const Options& options, const std::string& path) {
  if (path == DataDirOf(options) + "/token") {
    if (auto file = OpenRegularFile(path, O_RDONLY); !file) return file.error();
  }
  return ReadConfigFile(path);
}

Result<Client> Client::Find(const Options& options) {
  auto client = FindServer(options);
  if (!client) return client;
  const std::string path = TokenFile(options);
  std::error_code failed;
  const bool no_file = !path.empty() && !std::filesystem::exists(path, failed) && !failed;
  // The token is for the daemon only, so another program at the default address must not see it.
  if (client->guessed_ && (no_file || !client->Answers())) {
    return Error{"no_daemon", "no daemon runs here (" + DataDirOf(options) + ")" +
                                  (client->doubt_.empty() ? "" : ": " + client->doubt_)};
  }
  if (path.empty()) {
    client->token_ = std::getenv("REEVE_TOKEN");
    return client;
  }
  auto text = ReadTokenFile(options, path);
  if (!text) return Error{"unauthorized", "no token: " + text.error().message};
  auto token = Tokens::Strongest(*text, path);
  if (!token) return Error{"unauthorized", token.error().message};
  client->token_ = std::move(*token);
  return client;
}

bool Client::Answers() const {
  HttpRequest request = Request("GET", "/health");
  request.timeout_ms = kProbeMs;
  return IsReeve(Call(std::move(request)));
}

bool Client::IsReeve(const Result<HttpResponse>& health) {
  if (!health || health->Header("x-request-id").substr(0, 4) != "req-") return false;
  auto json = JsonDocument::Parse(health->body);
  if (!json) return false;
  const std::string_view status = (*json)["status"].StringOr("");
  return status == "ok" || status == "degraded" || status == "draining";
}

HttpRequest Client::Request(std::string method, const std::string& path, std::string body) const {
  HttpRequest request;
  request.method = std::move(method);
  request.url = server_ + path;
  request.unix_socket = unix_socket_;
  if (!token_.empty()) request.headers.emplace_back("Authorization", "Bearer " + token_);
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

Result<JsonDocument> Client::AskJson(HttpRequest request) const { return JsonOf(Call(std::move(request))); }

Result<JsonDocument> Client::JsonOf(const Result<HttpResponse>& answer) {
  if (!answer) return answer.error();
  if (answer->status / 100 != 2) return ErrorOf(*answer);
  auto json = JsonDocument::Parse(answer->body);
  if (!json) return Error{"no_json", "the answer is not JSON: is this a reeve?"};
  return json;
}

Error Client::ErrorOf(const HttpResponse& response) {
  auto json = JsonDocument::Parse(response.body);
  if (json && (*json)["detail"].AsString()) {
    return {std::string((*json)["code"].StringOr("http_error")), std::string((*json)["detail"].StringOr(""))};
  }
  return {response.status == 503 ? "unreachable" : "http_error",
          "HTTP status " + std::to_string(response.status) + " without a reason: is this a reeve?"};
}

}  // namespace reeve
