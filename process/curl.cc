#include "process/curl.h"

namespace reeve {

namespace {

bool HasLineEnd(std::string_view text) {
  return text.find_first_of(std::string_view("\r\n\0", 3)) != std::string_view::npos;
}

}  // namespace

void InitCurl() { [[maybe_unused]] static const CURLcode once = curl_global_init(CURL_GLOBAL_DEFAULT); }

Status CheckHeaders(const HttpRequest& request) {
  for (const auto& [name, value] : request.headers) {
    if (HasLineEnd(name) || HasLineEnd(value)) {
      return Error{"invalid_request",
                   "header " + name.substr(0, name.find_first_of("\r\n")) + " contains a line end"};
    }
  }
  return {};
}

void SetServer(CURL* easy, const HttpRequest& request) {
  curl_easy_setopt(easy, CURLOPT_PROXY, "");
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
  curl_easy_setopt(easy, CURLOPT_URL, request.url.c_str());
  if (!request.unix_socket.empty())
    curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, request.unix_socket.c_str());
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(request.connect_timeout_ms));
}

std::string UrlHost(const std::string& url) {
  size_t begin = url.find("://");
  begin = begin == std::string::npos ? 0 : begin + 3;
  std::string host = url.substr(begin, url.find_first_of("/?#", begin) - begin);
  const size_t at = host.rfind('@');
  return at == std::string::npos ? host : host.substr(at + 1);
}

std::string ServerName(const HttpRequest& request) {
  return request.unix_socket.empty() ? UrlHost(request.url) : request.unix_socket;
}

Error CurlError(CURL* easy, CURLcode code, const std::string& server_name, const char* reason) {
  if (code == CURLE_OPERATION_TIMEDOUT) return {"timeout", server_name + ": no answer in time"};
  const std::string why = *reason ? reason : curl_easy_strerror(code);
  if (code == CURLE_COULDNT_RESOLVE_HOST) return {"unknown_host", server_name + ": there is no such host"};
  if (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CONNECT_ERROR)
    return {"tls_failed", server_name + ": " + why};
  long system_error = 0;
  curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &system_error);
  if (code == CURLE_COULDNT_CONNECT && system_error != 0)
    return {"unreachable", OsError(server_name, static_cast<int>(system_error)).message};
  return {"unreachable", server_name + ": " + why};
}

}  // namespace reeve
