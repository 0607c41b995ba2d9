// The parts of libcurl's use that HttpClient and DirectConnection share. Only their sources include it.
#pragma once

#include <curl/curl.h>

#include <cstdlib>
#include <memory>
#include <string>

#include "process/http_client.h"

namespace reeve {

template <auto free_it>
struct CurlFrees {
  template <typename T>
  void operator()(T* thing) const {
    free_it(thing);
  }
};
using CurlEasy = std::unique_ptr<CURL, CurlFrees<curl_easy_cleanup>>;

// A failure here means that the machine has no memory, so nothing can continue.
template <typename T>
T* OrAbort(T* made) {
  if (!made) std::abort();
  return made;
}

// Once for the process, before everything else; further calls do nothing.
void InitCurl();
// Error "invalid_request" if a header contains a line end. curl and the users of DirectConnection write
// headers unchanged, so it would start another header.
Status CheckHeaders(const HttpRequest& request);
// Sets the server of the request, and the way to it: no proxy, no redirect, HTTP/1.1.
void SetServer(CURL* easy, const HttpRequest& request);
// The host and port of the URL, without the user and password that may precede them.
std::string UrlHost(const std::string& url);
// The server in error messages: the host and port, or the path of the Unix socket.
std::string ServerName(const HttpRequest& request);
// `reason` is what CURLOPT_ERRORBUFFER got.
Error CurlError(CURL* easy, CURLcode code, const std::string& server_name, const char* reason);

}  // namespace reeve
