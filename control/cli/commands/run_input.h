// RunInput: sends our stdin to the program of `reeve run`, byte for byte, piece by piece: a piece is read
// when the one before has been taken. Owned by that command; loop and HTTP client must outlive it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "control/cli/client/client.h"
#include "control/cli/client/retry.h"
#include "control/cli/terminal/input_reader.h"
#include "process/http_client.h"

namespace reeve {

class RunInput {
 public:
  // `keeps_open`: the end of our stdin is not passed on.
  RunInput(Loop& loop, HttpClient& http, const Client& client, std::string agent, bool keeps_open);

  // A process takes input, or takes none any more. A later process gets the rest.
  void OnReady();
  void OnExited();

 private:
  void Next();
  void Send();
  void TakeAnswer(const Result<HttpResponse>& answer);

  HttpClient& http_;
  const Client& client_;
  const std::string agent_;
  const bool keeps_open_;
  bool ready_ = false;
  bool reading_ = false;  // bytes were asked for
  bool ended_ = false;    // our stdin has
  bool closed_ = false;   // the process's stdin is
  std::string bytes_;     // read and not taken yet
  uint64_t taken_ = 0;    // bytes that the present process has been given
  Retry retry_;
  std::unique_ptr<HttpCall> call_;
  InputReader reader_;
};

}  // namespace reeve
