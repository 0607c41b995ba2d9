// Client: how the command line reaches a daemon: the server and the token found as control/api/API.md says,
// and its API.
#pragma once

#include <string>

#include "orchestrator/json/json.h"
#include "process/http_client.h"
#include "process/result.h"

namespace reeve {

class Client {
 public:
  struct Options {
    std::string
        server;  // --server: http://…, https://… or unix:///path; empty: REEVE_SERVER, the runtime file
    std::string token_file;  // --token-file; empty: REEVE_TOKEN, REEVE_TOKEN_FILE, DIR/token
    std::string data_dir;    // --data; empty: the default
  };
  // Errors: "unauthorized" without a token, "invalid_request" for an address that is none.
  static Result<Client> Find(const Options& options);
  // The server only: for what needs no token, as GET /health.
  static Result<Client> FindServer(const Options& options);
  // Where the token stands; empty: in REEVE_TOKEN.
  static std::string TokenFile(const Options& options);

  // A request to the API, ready for HttpClient: the address and the token are filled in.
  [[nodiscard]] HttpRequest Request(std::string method, const std::string& path, std::string body = {}) const;
  [[nodiscard]] const std::string& server() const { return server_; }
  // What a browser on this machine opens; empty: there is only a Unix socket.
  [[nodiscard]] const std::string& web_address() const { return web_address_; }

  // One request to the API, and its answer; on a loop of its own. Blocks. Error: the lack of an answer.
  [[nodiscard]] Result<HttpResponse> Call(HttpRequest request) const;
  // Likewise, but what is not answered with 2xx is an error, too.
  [[nodiscard]] Result<HttpResponse> Ask(HttpRequest request) const;
  // And the answer is JSON.
  [[nodiscard]] Result<JsonDocument> AskJson(HttpRequest request) const;

  // The problem (RFC 9457) that an answer other than 2xx tells: its code and detail.
  static Error ErrorOf(const HttpResponse& response);

 private:
  // The address of the daemon that runs on it; or nothing, and a doubt if it should.
  std::string ReadRuntimeFile(const std::string& data_dir);

  std::string server_;
  std::string unix_socket_;
  std::string web_address_;
  std::string token_;
  std::string doubt_;  // why the server may be the wrong one: told where it does not answer
};

}  // namespace reeve
