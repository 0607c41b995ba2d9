// WebSocketClient: the command line's end of a WebSocket to the daemon (RFC 6455), for text messages. It
// holds what the connection does not take yet: the owner looks at unsent().
//
// Owned by a command, on its loop.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "control/http/web_socket_reader.h"
#include "process/direct_connection.h"
#include "process/lifetime.h"
#include "process/timer.h"
#include "process/watch.h"

namespace reeve {

class Loop;

// How long a WebSocketClient waits for the daemon, which sends something at least every 20 s.
struct WebSocketPatience {
  int64_t silence_ms = 45'000;  // for any byte
  int64_t goodbye_ms = 5'000;   // for the answer to the close frame
};

class WebSocketClient final : private WebSocketReader::Sink {
 public:
  // The longest message of the daemon: an answer can be a long list.
  static constexpr size_t kMessageBytes = size_t{64} << 20;

  struct Handlers {
    std::function<void(std::string_view message)> on_text;
    std::function<void()> on_read;  // after the messages of one turn
    std::function<void()> on_sent;  // unsent() has become 0
    // The last call, and the only one that may destroy the client. Ok: the close frame of Close has been
    // sent. Errors: "too_large" if the daemon refuses the size of a message, "invalid_request" if it is not
    // UTF-8, else "unreachable", with the daemon's reason, or because it says nothing.
    std::function<void(const Status& how)> on_end;
  };

  // Connects to the server of `request`, which Client made, and shakes hands. Blocks. Errors as those of
  // HttpClient, or that of an answer other than 101.
  static Result<std::unique_ptr<WebSocketClient>> Open(Loop& loop, const HttpRequest& request,
                                                       Handlers handlers, WebSocketPatience patience = {});
  ~WebSocketClient();
  WebSocketClient(const WebSocketClient&) = delete;
  WebSocketClient& operator=(const WebSocketClient&) = delete;

  // Sends a text message, or a piece of one that `begins` or `ends` it.
  void Send(std::string_view text, bool begins = true, bool ends = true);
  [[nodiscard]] size_t unsent() const { return sending_.size() - sent_ + out_.size(); }
  // Sends a close frame with 1000 after everything else, and waits for that of the daemon, or for goodbye_ms.
  void Close();

 private:
  WebSocketClient(Loop& loop, std::unique_ptr<DirectConnection> connection, Handlers handlers,
                  WebSocketPatience patience);

  Status ShakeHands(const HttpRequest& request);
  Status WaitFor(short events) const;
  Status WatchSocket();
  void OnText(std::string_view message) override;
  void OnPing(std::string_view payload) override;
  void OnClose(uint16_t code, std::string_view reason) override;
  void AppendOwn(FrameType type, std::string_view payload, bool last = true);
  void OnReady(int events);
  void Read();
  void Feed(std::string_view bytes);
  void Write();
  [[nodiscard]] bool said_goodbye() const { return closing_ && unsent() == 0; }
  void OnSilence();
  void End(Status how);

  Loop& loop_;
  const std::unique_ptr<DirectConnection> connection_;
  const std::string& server_;  // the name that connection_ has
  const Handlers handlers_;
  const WebSocketPatience patience_;
  Timer silence_;
  std::unique_ptr<Watch> watch_;  // of a duplicate of the connection's descriptor
  WebSocketReader reader_;
  std::string out_;      // frames that follow sending_
  std::string sending_;  // stays where it is until all of it is sent (DirectConnection::Write)
  size_t sent_ = 0;
  std::string early_;  // arrived with the answer to the handshake
  bool closing_ = false;
  bool ended_ = false;
  Lifetime alive_;
};

}  // namespace reeve
