// Room client/: the requests of commands to a daemon, and how they go on while it is away.
//
// Client: the command line's access to a daemon's API. It finds the server and the token as
// control/api/API.md describes. A value.
#pragma once

#include <string>

#include "orchestrator/json/json.h"
#include "process/http_client.h"
#include "process/result.h"

namespace reeve {

class Client {
 public:
  struct Options {
    std::string server;  // --server: http://…, https://… or unix:///PATH; empty: REEVE_SERVER, runtime file
    std::string token_file;  // --token-file; empty: REEVE_TOKEN, REEVE_TOKEN_FILE, DATA/token
    std::string data_dir;    // --data; empty: the default
  };
  // Errors: "no_daemon" if nobody names a server and no daemon runs on this machine with this data folder or
  // at the default address; "unauthorized" if there is no token; "invalid_request" for a malformed address.
  // Blocks if it must ask at the default address.
  static Result<Client> Find(const Options& options);
  // Without a token, for requests that need none, such as GET /health.
  static Result<Client> FindServer(const Options& options);
  // Whether the answer to GET /health came from a reeve. Without a token it contains only the status.
  static bool IsReeve(const Result<HttpResponse>& health);
  // The file of the token; empty: REEVE_TOKEN holds it.
  static std::string TokenFile(const Options& options);
  // Reads it. The one in the data folder must be a regular file; one that a caller names may be a pipe.
  static Result<std::string> ReadTokenFile(const Options& options, const std::string& path);

  // A request to the API with address and token, ready for HttpClient.
  [[nodiscard]] HttpRequest Request(std::string method, const std::string& path, std::string body = {}) const;
  [[nodiscard]] const std::string& server() const { return server_; }
  // The address for a browser on this machine; empty: the daemon has only a Unix socket.
  [[nodiscard]] const std::string& web_address() const { return web_address_; }

  // Sends one request on a loop of its own and returns the answer. Blocks. Any HTTP status is an answer.
  [[nodiscard]] Result<HttpResponse> Call(HttpRequest request) const;
  // As Call, but a status other than 2xx is an error.
  [[nodiscard]] Result<HttpResponse> Ask(HttpRequest request) const;
  // As Ask, but the answer must be JSON.
  [[nodiscard]] Result<JsonDocument> AskJson(HttpRequest request) const;

  // Code and detail of the problem (RFC 9457) in an answer other than 2xx.
  static Error ErrorOf(const HttpResponse& response);
  // The JSON of a 2xx answer; or the error of any other, "no_json" if a program that is no reeve answered.
  static Result<JsonDocument> JsonOf(const Result<HttpResponse>& answer);

 private:
  // The address of the daemon that runs on this folder. Empty if none does, with `doubt_` set if the file
  // names one.
  std::string ReadRuntimeFile(const std::string& data_dir);
  // Whether a reeve answers at the server.
  [[nodiscard]] bool Answers() const;

  std::string server_;
  std::string unix_socket_;
  std::string web_address_;
  std::string token_;
  bool guessed_ = false;  // the server is the default address, because nothing names one
  std::string doubt_;     // why the runtime file names none
};

}  // namespace reeve
