// The kinds opencode and kilo talk to a port. Another program that listens there gets no password.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <string>

#include "process/fd.h"
#include "tests/support/daemon.h"

namespace reeve {
namespace {

using testing::HasSubstr;

// Listens on loopback, and has all that was sent to it.
class Impostor {
 public:
  Impostor() : listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof name;
    EXPECT_EQ(bind(listener_.get(), reinterpret_cast<sockaddr*>(&name), size), 0);
    EXPECT_EQ(listen(listener_.get(), 16), 0);
    EXPECT_EQ(getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&name), &size), 0);
    port_ = ntohs(name.sin_port);
  }
  [[nodiscard]] int port() const { return port_; }
  // The bytes of all connections so far, up to the end of each.
  [[nodiscard]] std::string Received() {
    std::string all;
    for (;;) {
      const Fd client(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!client.valid()) return all;
      ++connections_;
      char bytes[4096];
      for (ssize_t got = 0; (got = recv(client.get(), bytes, sizeof bytes, 0)) > 0;)
        all.append(bytes, static_cast<size_t>(got));
    }
  }
  [[nodiscard]] int connections() const { return connections_; }

 private:
  const Fd listener_;
  int port_ = 0;
  int connections_ = 0;
};

TEST(Impostor, GetsNoPassword) {
  for (const std::string kind : {"opencode", "kilo"}) {
    Daemon daemon;
    Impostor impostor;
    const std::string script = daemon.data_dir() + "/server.sh";
    WriteFile(script, "echo " + kind + " server listening on http://127.0.0.1:" +
                          std::to_string(impostor.port()) + "; exec sleep 600\n");
    daemon.Create(R"({"id":"a1","kind":")" + kind + R"(","command":["/bin/sh",")" + script + "\"]}");
    ASSERT_TRUE(Eventually([&] { return daemon.Get("/agents/a1").Field("state") == "failed"; }))
        << daemon.Get("/agents/a1").body;
    EXPECT_THAT(daemon.Get("/agents/a1").body, HasSubstr("no process of agent a1 listens on port"));
    EXPECT_EQ(impostor.Received(), "");
    EXPECT_GT(impostor.connections(), 0) << "it was not even tried";
  }
}

}  // namespace
}  // namespace reeve
