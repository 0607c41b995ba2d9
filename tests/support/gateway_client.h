// GatewayClient: a client of GET /ws, which reads only when it is told to: a test decides who is slow.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "process/fd.h"
#include "tests/support/daemon.h"

namespace reeve {

class GatewayClient {
 public:
  struct Options {
    std::string target = "/ws";
    Headers headers = {};     // beside those of the handshake
    int receive_buffer = 0;   // SO_RCVBUF; 0: the system's
    bool keep_events = true;  // false: only counts them
  };
  GatewayClient(const std::string& address, Options options);
  // With the daemon's own token.
  explicit GatewayClient(const support::Daemon& daemon);
  static Options WithToken(const std::string& token);

  // Waits for the answer to the handshake: 101, or the refusal's status.
  int Status();
  [[nodiscard]] const HttpAnswer& handshake() const { return handshake_; }

  void Text(std::string_view message);              // blocks while the daemon takes nothing
  void Texts(std::string_view message, int times);  // in one write
  // Sends a call and returns its number.
  uint64_t Begin(std::string_view method, std::string_view params = "{}");
  // The whole answer to that call: "" if the connection ended before.
  std::string Answer(uint64_t number);
  // Both.
  std::string Call(std::string_view method, std::string_view params = "{}") {
    return Answer(Begin(method, params));
  }
  // Subscribes; returns the number of the subscription, or "" if it was refused.
  std::string Subscribe(std::string_view params);

  // Takes what is there, at most `max_bytes`. False once the connection has ended.
  bool Poll(size_t max_bytes = size_t{1} << 20);
  // Reads until `condition` holds; false if the deadline or the end comes first.
  bool Until(const std::function<bool()>& condition, int64_t deadline_ms = kPatienceMs);
  bool UntilEnd();
  // An event of that type has come, now or before, and of that agent if one is given.
  bool UntilEvent(std::string_view type, std::string_view agent = {});

  // The `params` of all messages "event", in order.
  [[nodiscard]] const std::vector<std::string>& events() const { return events_; }
  [[nodiscard]] std::vector<std::string> All(std::string_view type) const;
  // Those that are in the agent's log: "epoch-seq" of each.
  [[nodiscard]] std::vector<std::string> Cursors(std::string_view agent) const;
  [[nodiscard]] const std::vector<std::string>& answers() const { return answers_; }  // whole messages
  [[nodiscard]] uint64_t count() const { return count_; }                             // of events
  [[nodiscard]] std::string resume() const;                                           // of gateway.ready
  [[nodiscard]] bool ended() const { return ended_; }
  [[nodiscard]] int close_code() const { return close_code_; }  // 0: no close frame came
  [[nodiscard]] int fd() const { return fd_.get(); }
  void Close(int code = 1000, std::string_view reason = {});  // sends a close frame
  void Cut() { fd_.Close(); }                                 // ends the connection without one

 private:
  void Send(std::string_view bytes);
  void SendFrame(int opcode, std::string_view payload);
  bool TakeFrame();

  Fd fd_;
  const bool keep_events_;
  HttpAnswer handshake_;
  std::string received_;
  size_t taken_ = 0;  // of received_
  std::vector<std::string> events_;
  std::vector<std::string> answers_;
  uint64_t count_ = 0;
  uint64_t last_call_ = 0;
  bool ended_ = false;
  int close_code_ = 0;
};

}  // namespace reeve
