// Client: how the command line reaches a daemon: the server and the token found as control/API.md says, and
// its API.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "process/http_client.h"
#include "process/result.h"

namespace reeve {

// Exit codes of the command line (control/API.md; 64 and up from sysexits(3)).
enum ExitCode {
  kOk = 0,
  kFailed = 1,
  kUsage = 64,
  kDataError = 65,
  kNoSuchAgent = 66,  // and no such file
  kUnreachable = 69,
  kRefused = 77,
  kBadConfig = 78,
  kTimedOut = 124,
  kCancelled = 130
};

class Client {
 public:
  struct Options {
    std::string
        server;  // --server: http://…, https://… or unix:///path; empty: REEVE_SERVER, the runtime file
    std::string token_file;  // --token-file; empty: REEVE_TOKEN, REEVE_TOKEN_FILE, DIR/token
    std::string data_dir;    // --data; empty: the default
  };
  // Error: "unreachable" or what is wrong with an option.
  static Result<Client> Find(const Options& options);

  // A request to the API, ready for HttpClient: the address and the token are filled in.
  [[nodiscard]] HttpRequest Request(std::string method, const std::string& path, std::string body = {}) const;
  [[nodiscard]] const std::string& server() const { return server_; }

  // One request to the API, and its answer; on a loop of its own. Blocks. Error: the lack of an answer.
  [[nodiscard]] Result<HttpResponse> Call(HttpRequest request) const;

  // The exit code for an answer that is not a 2xx, and its detail in one line.
  static int CodeFor(const HttpResponse& response);
  static std::string Detail(const HttpResponse& response);

 private:
  std::string server_;
  std::string unix_socket_;
  std::string token_;
};

}  // namespace reeve
