// Daemon: the real reeve (kReeveBinary) as a user runs it, with a data folder of its own, and what a test
// needs to talk to it: blocking HTTP over a plain socket, and streams that are read when the test says so.
//
// Everything waits for a condition with a deadline. A daemon ends with its object, and so do the processes it
// left behind: they are found by its town's id in their environment, and signalled by pid.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "control/http/http.h"
#include "orchestrator/json/json.h"
#include "process/fd.h"
#include "tests/support/chunks.h"
#include "tests/support/loop_fixture.h"

namespace reeve {

// Under a sanitizer or beside other tests everything takes longer; it does not take for ever.
inline constexpr int64_t kPatienceMs = 60'000;

// Looks at `condition` until it holds; false after `deadline_ms`.
bool Eventually(const std::function<bool()>& condition, int64_t deadline_ms = kPatienceMs);

// The live processes that have `entry` ("NAME=value") in their environment; zombies have none.
std::vector<pid_t> ProcessesWith(const std::string& entry);

// A connected socket; invalid if nobody listens there. `receive_buffer` is its SO_RCVBUF; 0: the system's.
Fd ConnectTo(const std::string& address, int receive_buffer = 0);

// --- HTTP

// The status and the headers of the head of an answer, which comes without its blank line.
int ParseHead(std::string_view head, Headers& headers);

struct HttpAnswer {
  int status = 0;   // 0: no whole answer came
  Headers headers;  // names in lower case
  std::string body;
  std::string wire;  // all of it, as it came
  [[nodiscard]] std::string Header(std::string_view lower_case_name) const;
  // A member of the JSON body by its dotted path, as in "exit.code": a string's text, of everything else its
  // JSON, "" where there is none.
  [[nodiscard]] std::string Field(std::string_view path) const;
};
std::string JsonField(std::string_view json, std::string_view path);

// One keep-alive connection.
class HttpConnection {
 public:
  explicit HttpConnection(const std::string& address);  // as the daemon prints it
  HttpAnswer Call(std::string_view method, std::string_view target, std::string_view body = {},
                  const Headers& headers = {});
  // In two steps, so that several requests can be under way.
  void Send(std::string_view method, std::string_view target, std::string_view body = {},
            const Headers& headers = {});
  HttpAnswer Receive(int64_t deadline_ms = kPatienceMs);
  // Sends these bytes, and returns all that comes until the daemon closes the connection.
  std::string UntilClosed(std::string_view bytes);

 private:
  Fd fd_;
  std::string received_;
  bool head_only_ = false;  // what was asked last: the answer has no body
};

// --- streams

struct StreamFrame {
  std::string id;     // empty: none
  std::string event;  // empty with an id: a block that only sets Last-Event-ID
  std::string data;
  [[nodiscard]] std::string Field(std::string_view path) const { return JsonField(data, path); }
};

// One open stream. Reads only when it is told to: a test decides who is slow.
class StreamClient {
 public:
  struct Options {
    Headers headers;
    int receive_buffer = 0;   // SO_RCVBUF, before connecting; 0: the system's
    bool keep_frames = true;  // false: only counts, and digest()
  };
  StreamClient(const std::string& address, std::string_view target, Options options);

  // Takes what is there, at most `max_bytes`. False once the stream has ended.
  bool Poll(size_t max_bytes = size_t{1} << 20);
  // Reads until `condition` holds; false if the deadline or the stream's end comes first.
  bool Until(const std::function<bool()>& condition, int64_t deadline_ms = kPatienceMs);
  bool UntilEvent(std::string_view event);  // one of that name has been read, now or before
  bool UntilEnd();
  bool UntilHead() {
    return Until([this] { return status_ != 0; });
  }

  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] int status() const { return status_; }  // 0: not yet
  [[nodiscard]] const Headers& headers() const { return headers_; }
  [[nodiscard]] std::string Header(std::string_view lower_case_name) const;
  [[nodiscard]] bool ended() const { return ended_; }  // the connection, or the last chunk has come
  [[nodiscard]] bool whole() const { return chunks_.whole(); }
  // The body of an answer that is not a stream.
  [[nodiscard]] const std::string& body() const { return buffer_; }

  [[nodiscard]] const std::vector<StreamFrame>& frames() const { return frames_; }
  [[nodiscard]] const StreamFrame* Find(std::string_view event) const;  // the first, or null
  [[nodiscard]] std::vector<StreamFrame> All(std::string_view event) const;
  // The frames that are events of a log, byte for byte and one after another (with keep_frames).
  [[nodiscard]] const std::string& events() const { return events_; }
  [[nodiscard]] uint64_t count() const { return count_; }
  [[nodiscard]] uint64_t digest() const { return digest_; }  // Digest(events)
  [[nodiscard]] const std::string& last_id() const { return last_id_; }
  // Lines that an EventSource would not understand: must stay empty.
  [[nodiscard]] const std::string& malformed() const { return malformed_; }

 private:
  void TakeHead();
  void TakeBlocks();
  void TakeBlock(std::string_view block);

  const bool keep_frames_;
  Fd fd_;
  std::string request_;  // what is not sent yet
  std::string buffer_;   // what is not taken yet, without the chunks' frames
  bool chunked_ = false;
  Chunks chunks_;
  bool ended_ = false;
  int status_ = 0;
  Headers headers_;
  std::vector<StreamFrame> frames_;
  std::string events_;
  uint64_t count_ = 0;
  uint64_t digest_;
  std::string last_id_;
  std::string malformed_;
};
uint64_t Digest(std::string_view bytes);

// --- the daemon

// In a namespace of its own, because the product has a class of this name (control/daemon.h).
inline namespace support {

class Daemon {
 public:
  struct Options {
    std::vector<std::string> arguments;    // after `serve --data DIR`
    std::vector<std::string> environment;  // NAME=value, beside PATH, HOME and the sanitizers'
    std::string data_dir;                  // empty: one of its own, that goes with it
    std::string listen = "tcp://127.0.0.1:0";
    bool fails = false;     // it is to end before it listens
    bool may_fail = false;  // it may end before it listens
    int inherit_fd = -1;    // is descriptor 3 in the daemon (listen: "fd://3")
    int stderr_fd = -1;     // is its stderr, of which log() then has nothing
    std::vector<std::string> wrapper =
        {};  // a program that becomes the daemon, by its path, and its arguments
  };
  // Starts it and waits until it listens; a failure to is the test's.
  Daemon();
  explicit Daemon(Options options);
  ~Daemon();
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  void Kill();  // -9 to the keeper, with which everything ends
  // -9 to the daemon alone; true once the next one answers.
  bool Crash() const;
  // STOP and CONT go to the daemon itself, all others to its keeper. After STOP it has stopped.
  void Signal(int signum) const;
  // Waits for its end: the exit code, minus the signal, or -1000 if it goes on. With Options::fails that of
  // the failed start.
  int Wait(int64_t deadline_ms = kPatienceMs);
  // On the same data and the same address, after its end.
  void Start();
  // Likewise, in another environment.
  void Start(std::vector<std::string> environment, bool may_fail);
  // Has it go on as `binary` (empty: the same); true once that answers.
  bool HandOver(std::string_view binary = {}) const;

  [[nodiscard]] bool listening() const { return !address_.empty(); }
  [[nodiscard]] pid_t pid() const;                     // of the daemon itself, also without a keeper
  [[nodiscard]] pid_t keeper() const { return pid_; }  // of the process that was started
  [[nodiscard]] const std::string& address() const { return address_; }  // "http://127.0.0.1:PORT", a path
  [[nodiscard]] const std::string& data_dir() const { return data_dir_; }
  [[nodiscard]] std::string token() const;
  [[nodiscard]] std::string town_id() const;
  // All it wrote to stderr so far, of earlier lives too; likewise stdout.
  [[nodiscard]] std::string log() const;
  [[nodiscard]] std::string output() const;

  // One request on a connection of its own, with the token.
  [[nodiscard]] HttpAnswer Call(std::string_view method, std::string_view target, std::string_view body = {},
                                Headers headers = {}) const;
  HttpAnswer Get(std::string_view target) const { return Call("GET", target); }
  HttpAnswer Post(std::string_view target, std::string_view body = {}) const {
    return Call("POST", target, body);
  }
  // POST /agents with `spec`, which must be accepted: the answer's id.
  std::string Create(std::string_view spec) const;
  // Waits by GET /agents/{id}/wait, however long that takes.
  HttpAnswer WaitFor(const std::string& agent, std::string_view query = "until=exited") const;
  // The agent's whole log by GET …/events: the envelopes, one after another.
  [[nodiscard]] std::vector<std::string> Events(const std::string& agent,
                                                std::string_view query = "after=0") const;
  // The segment files of an agent, joined.
  [[nodiscard]] std::string LogFiles(const std::string& agent) const;

  // A stream opened with the token; the target comes with its query.
  [[nodiscard]] std::unique_ptr<StreamClient> Stream(std::string_view target,
                                                     StreamClient::Options options) const;
  [[nodiscard]] std::unique_ptr<StreamClient> Stream(std::string_view target) const {
    return Stream(target, {});
  }
  // A ticket's URL for this agent's stream.
  [[nodiscard]] std::string TicketUrl(const std::string& agent, std::string_view body = "{}") const;

  [[nodiscard]] size_t OpenDescriptors() const;  // of the daemon's process
  [[nodiscard]] size_t OpenSockets() const;      // those of them that are sockets
  [[nodiscard]] size_t ResidentBytes() const;

 private:
  void Sweep() const;

  Options options_;
  std::unique_ptr<TempDir> folder_;
  std::string data_dir_;
  std::string address_;
  pid_t pid_ = -1;  // of the process that was started
  int failed_with_ = -1000;
};

}  // namespace support

}  // namespace reeve
