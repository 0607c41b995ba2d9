// The stream of a command that outlives connections: what real daemons do not do on demand.
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <map>
#include <memory>
#include <string>

#include "control/cli/client/event_stream.h"
#include "process/fd.h"
#include "process/http_client.h"
#include "tests/support/canned_server.h"
#include "tests/support/loop_fixture.h"

namespace reeve {
namespace {

// A port on which nobody answers before it listens.
class Absent {
 public:
  Absent() : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address), size), 0);
    EXPECT_EQ(getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
    address_ = "http://127.0.0.1:" + std::to_string(ntohs(address.sin_port));
  }
  [[nodiscard]] const std::string& address() const { return address_; }
  void Listen() { EXPECT_EQ(listen(fd_.get(), 8), 0); }
  [[nodiscard]] bool IsAskedFor() const {
    return Fd(accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC)).valid();
  }

 private:
  Fd fd_;
  std::string address_;
};

class EventStreamTest : public ::testing::Test {
 protected:
  void Open(const std::string& server, bool first_contact = false) {
    auto client = Client::FindServer({.server = server, .token_file = {}, .data_dir = {}});
    ASSERT_TRUE(client) << client.error().message;
    EventStream::Handlers handlers;
    handlers.on_event = [](const JsonValue&) {};
    handlers.on_connection = [this](bool up) { ++(up ? ups_ : downs_); };
    handlers.on_end = [this, note = std::string("ended: ")](const Result<std::string>& reason) {
      stream_.reset();
      ended_ = note + (reason ? *reason : reason.error().code);
    };
    EventStream::What what;
    what.agents = {"a1"};
    what.first_contact = first_contact;
    stream_ = std::make_unique<EventStream>(loop_, http_, *client, what, handlers);
    stream_->Open();
  }

  Loop loop_;
  HttpClient http_{loop_};
  std::unique_ptr<EventStream> stream_;
  int ups_ = 0, downs_ = 0;
  std::string ended_;
};

TEST_F(EventStreamTest, ComesBackWhenNothingIsHeard) {
  const std::string hello =
      "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: stay\r\n\r\n"
      "event: stream.hello\ndata: {\"heartbeat_ms\":1}\n\n";
  const std::map<std::string, std::string> answers = {{"GET /agents/a1/stream", hello}};
  const CannedServer server(answers);
  Open(server.address());
  EXPECT_TRUE(RunUntil(loop_, [this] { return ups_ == 2; }));
  EXPECT_EQ(downs_, 1);
  EXPECT_EQ(ended_, "");
}

TEST_F(EventStreamTest, WaitsForADaemonThatHasAnsweredBefore) {
  Absent server;
  Open(server.address());
  const int64_t begun_ms = loop_.NowMs();
  (void)RunUntil(loop_, [&] { return !ended_.empty() || loop_.NowMs() - begun_ms > 200; });
  ASSERT_EQ(ended_, "");
  server.Listen();
  EXPECT_TRUE(RunUntil(loop_, [&server] { return server.IsAskedFor(); }));
}

TEST_F(EventStreamTest, DoesNotWaitForOneThatNobodyHasSeen) {
  const Absent server;
  Open(server.address(), true);
  ASSERT_TRUE(RunUntil(loop_, [this] { return !ended_.empty(); }));
  EXPECT_EQ(ended_, "ended: unreachable");
}

}  // namespace
}  // namespace reeve
