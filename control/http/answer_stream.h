// AnswerStream: an answer whose length is unknown when it begins, such as a live stream or an export. It owns
// the socket of the request and the framing of the body. A client of HTTP/1.1 gets chunks (RFC 9112 section
// 7.1), and its connection continues after the last one. For any other client the end of the connection is
// the end of the body.
//
// It holds no content: each Send is one chunk and one system call, from the caller's memory. If the socket
// takes only a part of a chunk, the rest of it is owed, and the next Sends complete it.
//
// Made by Reply::OpenStream. Owned by the object that makes the content; on the loop's thread.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "control/http/http.h"
#include "process/watch.h"

namespace reeve {

class AnswerStream {
 public:
  static constexpr int kMaxPieces = 16;
  // During its answer a client can send only its next request. Nobody needs more bytes for that.
  static constexpr size_t kMaxInput = size_t{16} << 10;

  // Continues the connection after the answer. `input` arrived after the request.
  using GiveBack = std::function<void(std::unique_ptr<Watch> socket, std::string input)>;

  // An empty `give_back`: the connection ends with the answer. `input` is as for GiveBack.
  AnswerStream(std::unique_ptr<Watch> socket, bool chunked, std::string input, GiveBack give_back);
  AnswerStream(const AnswerStream&) = delete;
  AnswerStream& operator=(const AnswerStream&) = delete;

  // Begins the answer, once and before the first Send, which sends the head too.
  void Begin(int status, Headers headers, std::string_view request_id);

  struct Sent {
    size_t content = 0;  // bytes of the pieces that the socket took
    bool all = false;    // it took all of them, and their framing
    bool gone = false;   // the client has gone
  };
  // Sends at most kMaxPieces pieces, but not more bytes than owed() if that is not 0.
  Sent Send(const iovec* pieces, int count);
  // Content bytes that the current chunk still needs. They must come, whatever they are.
  [[nodiscard]] size_t owed() const { return owed_; }
  // Whether framing waits for the socket, so that a Send without pieces is useful.
  [[nodiscard]] bool unsent() const { return framing_sent_ < framing_.size(); }

  // Ends the answer; owed() must be 0. Call it again, once the socket is writable, until it returns true.
  // Then the connection continues elsewhere (open() is false), or its end is sent and the client closes it.
  bool End();
  [[nodiscard]] bool open() const { return socket_ != nullptr; }

  // The socket is readable: the client's next request, or its end. Returns false if the client has gone or
  // sends too much.
  bool Receive();

  // Only while open.
  [[nodiscard]] Watch& socket() { return *socket_; }

 private:
  std::unique_ptr<Watch> socket_;
  const bool chunked_;
  const GiveBack give_back_;
  std::string input_;
  std::string framing_;  // the head, or the beginning or the end of a chunk: before the next content
  size_t framing_sent_ = 0;
  size_t owed_ = 0;
  bool ending_ = false;
};

}  // namespace reeve
