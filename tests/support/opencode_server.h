// OpencodeServer: the part of an opencode or kilo server that the adapter uses, for tests. It says what the
// test tells it to say, and keeps what a real one would have kept of that: messages without their deltas,
// states, approvals. Its answers are the recorded ones' (fixtures/kilo-*.sse).
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "orchestrator/adapters/opencode/opencode_events.h"
#include "orchestrator/json/json.h"
#include "tests/support/test_server.h"

namespace reeve {

// The state of the server, which grows event by event.
class OpencodeState {
 public:
  void Apply(const JsonValue& event);
  [[nodiscard]] bool Has(const std::string& session) const { return sessions_.count(session) != 0; }
  [[nodiscard]] std::string Session(const std::string& session) const { return sessions_.at(session); }
  [[nodiscard]] std::string Children(const std::string& session) const;
  // The last `limit` messages, oldest first; 0: all.
  [[nodiscard]] std::string Messages(const std::string& session, size_t limit = 0) const;
  [[nodiscard]] std::string Status() const;
  [[nodiscard]] std::string Permissions() const;
  [[nodiscard]] std::string Questions() const;
  [[nodiscard]] std::string Todos(const std::string& session) const;
  void AddSession(const std::string& id, const std::string& info) { sessions_[id] = info; }

 private:
  struct Message {
    std::string session, info;
    std::vector<std::pair<std::string, std::string>> parts;  // id, JSON; in order
  };
  std::map<std::string, std::string> sessions_, parents_, status_, permissions_, questions_, todos_;
  std::vector<std::pair<std::string, Message>> messages_;
};

class OpencodeServer {
 public:
  explicit OpencodeServer(Loop& loop);

  [[nodiscard]] uint16_t port() const { return server_.port(); }
  OpencodeState& state() { return state_; }

  // Says `event` (JSON) to whoever listens, and remembers what it means.
  void Say(const std::string& event);
  // All requests so far, as "METHOD path body", without the directory; streams and probes
  // included.
  [[nodiscard]] const std::vector<std::string>& requests() const { return requests_; }
  [[nodiscard]] size_t Asked(std::string_view beginning) const;
  [[nodiscard]] size_t listeners() const { return listeners_.size(); }
  // Ends all event streams: as they should end, or not.
  void CloseStreams();
  void BreakStreams();

  std::string user = "kilo";
  std::string password;                           // another one is a 401
  std::string directory;                          // what every request must carry, decoded as it came
  bool mute = false;                              // accept connections, answer nothing
  bool silent = false;                            // open streams, but say nothing on them
  std::string providers = R"({"providers":[]})";  // GET /config/providers
  std::map<std::string, int> refuse;              // path ends: status to answer instead
  std::vector<std::string> wrong;                 // requests that no real server would have taken

 private:
  void Serve(TestServer::Connection& connection, const TestServer::Request& request);
  void Answer(TestServer::Connection& connection, const TestServer::Request& request, const std::string& path,
              const std::string& query);
  void SayTo(int listener, const std::string& event);

  TestServer server_;
  OpencodeState state_;
  std::vector<int> listeners_;
  std::vector<std::string> requests_;
  int next_session_ = 1;
};

}  // namespace reeve
