#include "process/direct_connection.h"

#include <utility>

#include "process/curl.h"

namespace reeve {

struct DirectConnection::State {
  [[nodiscard]] Error Explain(CURLcode code) const { return CurlError(easy.get(), code, server, reason); }

  std::string server, host;
  CurlEasy easy;
  char reason[CURL_ERROR_SIZE] = "";
  curl_socket_t socket = CURL_SOCKET_BAD;
};

DirectConnection::DirectConnection(std::unique_ptr<State> state) : state_(std::move(state)) {}
DirectConnection::~DirectConnection() = default;

Result<std::unique_ptr<DirectConnection>> DirectConnection::Open(const HttpRequest& request) {
  if (auto valid = CheckHeaders(request); !valid) return valid.error();
  InitCurl();
  auto state = std::make_unique<State>();
  state->server = ServerName(request);
  state->host = UrlHost(request.url);
  state->easy.reset(OrAbort(curl_easy_init()));
  CURL* easy = state->easy.get();
  SetServer(easy, request);
  curl_easy_setopt(easy, CURLOPT_CONNECT_ONLY, 1L);
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, state->reason);
  if (const CURLcode code = curl_easy_perform(easy); code != CURLE_OK) return state->Explain(code);
  if (const CURLcode code = curl_easy_getinfo(easy, CURLINFO_ACTIVESOCKET, &state->socket); code != CURLE_OK)
    return state->Explain(code);
  return std::unique_ptr<DirectConnection>(new DirectConnection(std::move(state)));
}

Result<size_t> DirectConnection::Write(std::string_view bytes) {
  size_t taken = 0;
  const CURLcode code = curl_easy_send(state_->easy.get(), bytes.data(), bytes.size(), &taken);
  if (code == CURLE_AGAIN) return size_t{0};
  if (code != CURLE_OK) return state_->Explain(code);
  return taken;
}

Result<std::optional<size_t>> DirectConnection::Read(char* to, size_t room) {
  size_t got = 0;
  const CURLcode code = curl_easy_recv(state_->easy.get(), to, room, &got);
  if (code == CURLE_AGAIN) return std::optional<size_t>();
  if (code != CURLE_OK) return state_->Explain(code);
  return std::optional<size_t>(got);
}

int DirectConnection::fd() const { return state_->socket; }
const std::string& DirectConnection::server() const { return state_->server; }
const std::string& DirectConnection::host() const { return state_->host; }

}  // namespace reeve
