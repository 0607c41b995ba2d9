// McpStream: an answer as server-sent events (https://html.spec.whatwg.org/#server-sent-events): some
// notifications, then the answer of a call, which ends it. It writes when the socket is writable, so after
// the turn of the loop that made the message is on disk.
//
// Owned by a request of McpServer, on the loop's thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "control/http/answer_stream.h"

namespace reeve {

class Loop;

class McpStream {
 public:
  // A client that takes nothing for so long is gone, and so is one that does not close a finished answer.
  static constexpr int64_t kStalledMs = 30'000;

  // `over` is called once: everything is sent, or the client has gone. It may destroy the stream.
  McpStream(Loop& loop, std::unique_ptr<AnswerStream> answer, std::function<void(bool gone)> over);
  McpStream(const McpStream&) = delete;
  McpStream& operator=(const McpStream&) = delete;

  void Send(std::string_view message);
  void KeepAlive();  // sends a comment, unless something waits to be sent
  void End();        // after what is sent
  // Ends a stalled stream. Called at every tick.
  void CheckTime();

 private:
  void Append(std::string_view text);
  void OnReady(int events);
  void Write();

  Loop& loop_;
  std::unique_ptr<AnswerStream> answer_;
  const std::function<void(bool gone)> over_;
  std::string out_;
  size_t sent_ = 0;
  bool ending_ = false;
  bool ended_ = false;  // its end is sent, and the client may still read
  int64_t progress_ms_;
};

}  // namespace reeve
