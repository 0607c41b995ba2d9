#include "process/keeper/keeper_link.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "process/keeper/wire.h"
#include "tests/process/processes.h"
#include "tests/support/loop_fixture.h"

namespace reeve {
namespace {

// Plays a keeper: its replies are sent before they are asked for.
class KeeperLinkTest : public ::testing::Test {
 protected:
  KeeperLinkTest() {
    int ends[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    keeper_ = Fd(ends[0]);
    socket_ = Fd(ends[1]);
  }

  template <typename Struct>
  void Answer(const Struct& reply, const std::vector<int>& fds = {}, std::string_view tail = {}) {
    ASSERT_TRUE(Send(keeper_.get(), reply, fds, tail));
  }
  std::unique_ptr<KeeperLink> Connected() {
    keeper::Welcome welcome;
    welcome.keeper_pid = getpid();
    welcome.next_key = 500;
    Answer(welcome);
    Answer(keeper::Held{});
    Answer(keeper::Children{});
    auto link = KeeperLink::Connect(std::move(socket_));
    EXPECT_TRUE(link.ok()) << link.error().message;
    keeper::Packet packet;
    for (int i = 0; i < 3; ++i) Receive(keeper_.get(), packet, MSG_DONTWAIT);
    return link ? std::move(*link) : nullptr;
  }
  std::optional<keeper::Type> Request() {
    keeper::Packet packet;
    Receive(keeper_.get(), packet, MSG_DONTWAIT);
    return packet.type();
  }

  Fd keeper_;
  Fd socket_;
};

TEST_F(KeeperLinkTest, ConnectRefusesNonsense) {
  keeper::Failed failed;
  failed.size = 3;
  keeper::Held held;
  held.count = 1;  // and no descriptor
  keeper::Held endless;
  endless.more = 5;
  const std::vector<std::function<void()>> replies = {
      [this] { keeper_.Close(); },
      [this] { ASSERT_EQ(send(keeper_.get(), "x", 1, 0), 1); },
      [this] { Answer(keeper::Held{}); },
      [this] { Answer(keeper::Welcome{}, {}, "more"); },
      [&] { Answer(failed, {}, "why"); },
      [&] { Answer(keeper::Welcome{}), Answer(held); },
      [&] { Answer(keeper::Welcome{}), Answer(endless), Answer(endless); },
      [&] { Answer(keeper::Welcome{}), Answer(keeper::Held{}), Answer(keeper::Looked{}); },
      [&] { Answer(keeper::Welcome{}), Answer(keeper::Held{}), keeper_.Close(); },
  };
  const size_t before = OpenDescriptors();
  for (size_t i = 0; i < replies.size(); ++i) {
    SCOPED_TRACE(i);
    int ends[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    keeper_ = Fd(ends[0]);
    socket_ = Fd(ends[1]);
    replies[i]();
    const auto link = KeeperLink::Connect(std::move(socket_));
    ASSERT_FALSE(link.ok());
    EXPECT_EQ(link.error().code, "keeper_failed");
    keeper_.Close();
    EXPECT_EQ(OpenDescriptors(), before - 2);
  }
  EXPECT_EQ(KeeperLink::Connect(Fd()).error().code, "keeper_failed");
}

TEST_F(KeeperLinkTest, ConnectRefusesVersionsThatItDoesNotSpeak) {
  for (const uint32_t version : {keeper::kOldestVersion - 1, keeper::kProtocolVersion + 1}) {
    int ends[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    keeper_ = Fd(ends[0]);
    keeper::Welcome welcome;
    welcome.version = version;
    Answer(welcome);
    const auto link = KeeperLink::Connect(Fd(ends[1]));
    ASSERT_FALSE(link.ok());
    EXPECT_EQ(link.error().message,
              "the keeper: it speaks version " + std::to_string(version) + " of the protocol");
  }
}

TEST_F(KeeperLinkTest, NonsenseClosesTheLink) {
  const SpawnSpec spec = Shell("exit 0");
  const std::vector<std::function<void(KeeperLink&)>> requests = {
      [&](KeeperLink& link) {
        EXPECT_EQ(link.Spawn(spec, {0, 1, 2}).error().code, "keeper_failed");
      },
      [](KeeperLink& link) { EXPECT_FALSE(link.ExitOf(1)); },
      [](KeeperLink& link) { EXPECT_FALSE(link.Look()); },
      [](KeeperLink& link) { link.OnReadable(); },
  };
  for (size_t i = 0; i < requests.size(); ++i) {
    SCOPED_TRACE(i);
    int ends[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    keeper_ = Fd(ends[0]);
    socket_ = Fd(ends[1]);
    const auto link = Connected();
    ASSERT_TRUE(link);
    int lost = 0;
    link->OnLost([&lost] { ++lost; });
    Answer(keeper::Welcome{});
    requests[i](*link);
    EXPECT_EQ(link->fd(), -1);
    EXPECT_EQ(lost, 1);
    // Nothing waits for a keeper that is not there.
    EXPECT_EQ(link->Spawn(spec, {0, 1, 2}).error().code, "keeper_failed");
    EXPECT_FALSE(link->ExitOf(1));
    EXPECT_FALSE(link->Look());
    EXPECT_EQ(link->Keep(0), 504U);
    link->Drop(504);
    link->Ready();
    link->Bye(0);
    link->OnReadable();
    EXPECT_EQ(lost, 1);
  }
}

TEST_F(KeeperLinkTest, AKeeperThatDiesIsAnError) {
  const auto link = Connected();
  ASSERT_TRUE(link);
  bool lost = false;
  link->OnLost([&lost] { lost = true; });
  keeper_.Close();
  EXPECT_EQ(link->Spawn(Shell("exit 0"), {0, 1, 2}).error().code, "keeper_failed");
  EXPECT_EQ(link->fd(), -1);
  EXPECT_TRUE(lost);
}

TEST_F(KeeperLinkTest, AnswersAPingInTheMiddleOfARequest) {
  const auto link = Connected();
  ASSERT_TRUE(link);
  Answer(keeper::Ping{});
  keeper::Looked looked;
  looked.complete = 1;
  Answer(looked);
  EXPECT_TRUE(link->Look());
  EXPECT_EQ(Request(), keeper::Type::kLook);
  EXPECT_EQ(Request(), keeper::Type::kPong);
  Answer(keeper::Ping{});
  link->OnReadable();
  EXPECT_EQ(Request(), keeper::Type::kPong);
  EXPECT_EQ(Request(), std::nullopt);
}

TEST_F(KeeperLinkTest, ABadDescriptorIsAnErrorOfThatRequestAlone) {
  const auto link = Connected();
  ASSERT_TRUE(link);
  const auto child = link->Spawn(Shell("exit 0"), {0, 9999, 2});
  ASSERT_FALSE(child.ok());
  EXPECT_EQ(child.error().message, "a request to the keeper: Bad file descriptor");
  EXPECT_GE(link->fd(), 0);
}

TEST_F(KeeperLinkTest, RefusesASpecThatNoKernelTakes) {
  const auto link = Connected();
  ASSERT_TRUE(link);
  SpawnSpec spec = Shell("exit 0");
  spec.argv.emplace_back(keeper::kMaxSpecBytes, 'x');
  EXPECT_EQ(link->Spawn(spec, {0, 1, 2}).error().message,
            "/bin/sh: its arguments and environment are larger than the kernel takes");
  EXPECT_EQ(Request(), std::nullopt);
}

}  // namespace
}  // namespace reeve
