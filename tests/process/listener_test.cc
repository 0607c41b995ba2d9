// Tests which process listens on a port, with real processes and sockets.
#include "process/listener.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <vector>

#include "process/fd.h"

namespace reeve {
namespace {

// `port` 0: one of the system's, which the socket then has.
Fd Listen(in_addr_t address, uint16_t& port, bool shared = false) {
  Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  if (shared) setsockopt(socket.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_addr.s_addr = htonl(address);
  name.sin_port = htons(port);
  socklen_t size = sizeof name;
  EXPECT_EQ(bind(socket.get(), reinterpret_cast<sockaddr*>(&name), size), 0);
  EXPECT_EQ(listen(socket.get(), 1), 0);
  EXPECT_EQ(getsockname(socket.get(), reinterpret_cast<sockaddr*>(&name), &size), 0);
  port = ntohs(name.sin_port);
  return socket;
}

// A process that has all descriptors of the test, and does nothing.
class Holder {
 public:
  Holder() : pid_(fork()) {
    if (pid_ == 0) {
      for (;;) pause();
    }
  }
  ~Holder() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  Holder(const Holder&) = delete;
  Holder& operator=(const Holder&) = delete;
  [[nodiscard]] ProcessId id() const { return {pid_, StartTime(pid_)}; }

 private:
  const pid_t pid_;
};

const ProcessId kSelf = {getpid(), StartTime(getpid())};

TEST(Listener, IsTheProcessThatHoldsTheSocket) {
  for (const in_addr_t address : {in_addr_t{INADDR_LOOPBACK}, in_addr_t{INADDR_ANY}}) {
    uint16_t port = 0;
    Fd socket = Listen(address, port);
    EXPECT_TRUE(OnlyTheseListen(port, {kSelf}));
    EXPECT_FALSE(OnlyTheseListen(port, {}));
    {
      const Holder holder;
      socket.Close();
      EXPECT_TRUE(OnlyTheseListen(port, {holder.id()}));
      EXPECT_TRUE(OnlyTheseListen(port, {kSelf, holder.id()}));
      EXPECT_FALSE(OnlyTheseListen(port, {kSelf}));
    }
    EXPECT_FALSE(OnlyTheseListen(port, {kSelf})) << "nobody listens any more";
  }
}

// Another process of the same user may listen on the port, too, and gets some of the connections.
TEST(Listener, IsNotOneOfSeveral) {
  uint16_t port = 0;
  Fd theirs = Listen(INADDR_LOOPBACK, port, true);
  const Holder holder;
  theirs.Close();
  ASSERT_TRUE(OnlyTheseListen(port, {holder.id()}));
  const Fd mine = Listen(INADDR_LOOPBACK, port, true);
  EXPECT_FALSE(OnlyTheseListen(port, {holder.id()}));
  EXPECT_FALSE(OnlyTheseListen(port, {kSelf}));
  EXPECT_TRUE(OnlyTheseListen(port, {kSelf, holder.id()}));
}

// A socket of another address gets no connection to 127.0.0.1.
TEST(Listener, AtAnotherAddressDoesNotCount) {
  uint16_t port = 0;
  const Fd other = Listen(INADDR_LOOPBACK + 1, port);
  EXPECT_FALSE(OnlyTheseListen(port, {kSelf}));
}

}  // namespace
}  // namespace reeve
