// The servers under test, each a process of its own that a benchmark starts afresh and ends.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "process/fd.h"
#include "process/result.h"
#include "tests/bench/epoll_server.h"
#include "tests/bench/measure.h"
#include "tests/bench/source.h"

namespace reeve::bench {

// A server as the fan-out needs it: the address for viewers, the process whose CPU time counts, and the order
// to the source to begin.
class Server {
 public:
  virtual ~Server() = default;
  [[nodiscard]] virtual pid_t pid() const = 0;  // the server alone, not the source
  [[nodiscard]] virtual uint16_t port() const = 0;
  [[nodiscard]] virtual std::string StreamRequest() const = 0;
  [[nodiscard]] virtual bool web_socket() const { return false; }  // see Load
  virtual Status Order(const std::string& source_order) = 0;
};

Result<std::unique_ptr<Server>> StartEpollServer(Writes writes);

// A real daemon with a data folder of its own, spoken to over one keep-alive connection, blocking.
class Daemon {
 public:
  // `path` is the binary, `arguments` come after those of `serve`. Returns once it says that it listens.
  static Result<std::unique_ptr<Daemon>> Start(const std::string& path,
                                               const std::vector<std::string>& arguments = {});
  ~Daemon();

  [[nodiscard]] pid_t pid() const { return pid_; }               // of the daemon itself
  [[nodiscard]] pid_t parent() const { return process_.pid(); }  // its keeper, or the same
  [[nodiscard]] uint16_t port() const { return port_; }
  [[nodiscard]] int64_t ready_us() const { return ready_us_; }  // from fork to the line that says so
  // kill -9 to the daemon itself, after which its keeper starts the next one.
  void Crash() const;
  // Waits for that next one, and connects to it.
  Status AwaitNext();
  // Continues on a connection of its own, in a fork of this process.
  Status Reconnect() { return Connect(); }
  // The body of a 2xx answer; anything else is an Error.
  Result<std::string> Request(const char* method, const std::string& target, const std::string& body = "");
  Status AddAgent(const std::string& id, const char* kind, const std::vector<std::string>& command);
  // Makes a `jsonl` agent that is the source, and waits until it runs.
  Status AddSource(const std::string& id, int line_bytes = kLineBytes);
  // Waits until the agent's state is `state`.
  Status AwaitState(const std::string& id, std::string_view state);
  Status Send(const std::string& agent, const std::string& text);
  // With the cursor of the last event seen, if there is one.
  [[nodiscard]] std::string StreamRequest(const std::string& agent, const std::string& cursor = "") const;
  // The handshake of the gateway.
  [[nodiscard]] std::string GatewayRequest() const;

 private:
  Daemon() = default;
  Status Connect();
  // The daemon's pid in runtime.json, or -1.
  [[nodiscard]] pid_t ReadPid() const;

  std::string folder_;
  Process process_;
  pid_t pid_ = -1;
  Fd stdout_;
  uint16_t port_ = 0;
  int64_t ready_us_ = 0;
  std::string token_;
  Fd connection_;
};

// One call as a message of the gateway: a masked text frame (RFC 6455 section 5.2). `params` is short.
std::string GatewayCall(int64_t id, std::string_view method, std::string_view params);

// A string member of a flat piece of JSON; empty if there is none.
std::string_view Member(std::string_view json, std::string_view name);

// A daemon with one `jsonl` agent, "bench", that is the source. Its viewers use event streams, or the
// gateway.
enum class Viewing { kStream, kGateway };
Result<std::unique_ptr<Server>> StartReeve(const std::string& path, Viewing viewing = Viewing::kStream);

}  // namespace reeve::bench
