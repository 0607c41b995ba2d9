#include "process/keeper/session.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <csignal>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "process/keeper/spec.h"
#include "tests/process/processes.h"
#include "tests/support/loop_fixture.h"

namespace reeve::keeper {
namespace {

using ::testing::HasSubstr;

Fd Memfd(const std::string& bytes) {
  Fd memfd(memfd_create("test", MFD_CLOEXEC));
  EXPECT_EQ(write(memfd.get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  return memfd;
}

// A session, and the daemon's end of its connection.
class SessionTest : public ::testing::Test {
 protected:
  SessionTest() { Connect(); }

  void Connect() {
    int ends[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    session_ =
        std::make_unique<Session>(Fd(ends[0]), getpid(), Session::Greeting{3, -1, 9}, holdings_, SpawnWith);
    daemon_ = Fd(ends[1]);
  }
  void Greet() {
    ASSERT_TRUE(Send(daemon_.get(), Hello{}));
    ASSERT_EQ(Reply(), Type::kWelcome);
  }
  // The type of the next reply, which is in packet_.
  std::optional<Type> Reply() {
    session_->Read();
    Receive(daemon_.get(), packet_, MSG_DONTWAIT);
    if (packet_.result != Packet::Result::kMessage) return {};
    return packet_.type();
  }
  // The code and the text of a refusal.
  std::string Refusal() {
    if (Reply() != Type::kFailed) return "no refusal";
    std::string_view text;
    const auto failed = packet_.As<Failed>(&text);
    return std::string(failed->code) + ": " + std::string(text);
  }
  template <typename Struct>
  std::string RefusalOf(const Struct& message, const std::vector<int>& fds = {}, std::string_view tail = {}) {
    EXPECT_TRUE(Send(daemon_.get(), message, fds, tail));
    return Refusal();
  }
  void Raw(const std::string& bytes) {
    ASSERT_EQ(send(daemon_.get(), bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
  }

  Holdings holdings_;
  std::unique_ptr<Session> session_;
  Fd daemon_;
  Packet packet_;
};

TEST_F(SessionTest, WelcomesTheDaemon) {
  EXPECT_TRUE(holdings_.Keep(5, Fd(dup(0))));
  EXPECT_TRUE(holdings_.Keep(120, Fd(dup(0))));
  holdings_.children = {7};
  Greet();
  std::string_view tail;
  const auto welcome = packet_.As<Welcome>(&tail);
  ASSERT_TRUE(welcome);
  EXPECT_EQ(welcome->version, kProtocolVersion);
  EXPECT_EQ(welcome->restarts, 3U);
  EXPECT_EQ(welcome->last_code, -1);
  EXPECT_EQ(welcome->last_signal, 9);
  EXPECT_EQ(welcome->keeper_pid, getpid());
  EXPECT_EQ(welcome->held, 2U);
  EXPECT_EQ(welcome->children, 1U);
  EXPECT_EQ(welcome->next_key, 121U);
}

TEST_F(SessionTest, ALaterDaemonSpeaksTheVersionOfTheKeeper) {
  Hello hello;
  hello.version = kProtocolVersion + 1;
  ASSERT_TRUE(Send(daemon_.get(), hello));
  ASSERT_EQ(Reply(), Type::kWelcome);
  std::string_view tail;
  EXPECT_EQ(packet_.As<Welcome>(&tail)->version, kProtocolVersion);
  EXPECT_TRUE(Send(daemon_.get(), Look{}));
  EXPECT_EQ(Reply(), Type::kLooked);
}

TEST_F(SessionTest, AnEarlierDaemonIsAnsweredInItsVersion) {
  Hello hello;
  hello.version = kOldestVersion;
  ASSERT_TRUE(Send(daemon_.get(), hello));
  ASSERT_EQ(Reply(), Type::kWelcome);
  std::string_view tail;
  EXPECT_EQ(packet_.As<Welcome>(&tail)->version, kOldestVersion);
}

TEST_F(SessionTest, TooEarlyAVersionIsRefused) {
  Hello hello;
  hello.version = kOldestVersion - 1;
  EXPECT_EQ(RefusalOf(hello),
            "protocol: the keeper speaks versions 1 to 1 of the protocol, and the daemon only up to 0");
  EXPECT_EQ(session_->state(), Session::State::kBroken);
}

TEST_F(SessionTest, MessagesOfALaterVersionEndTheSession) {
  Greet();
  Look later;
  later.type = static_cast<Type>(static_cast<uint32_t>(Type::kUpgrade) + 1);
  EXPECT_EQ(RefusalOf(later), "protocol: a message is malformed");
  Connect();
  Greet();
  EXPECT_EQ(RefusalOf(Look{}, {}, "a later member"), "protocol: a message is malformed");
}

TEST_F(SessionTest, TheFirstMessageIsHello) {
  EXPECT_EQ(RefusalOf(Look{}), "protocol: the first message is not Hello");
}

TEST_F(SessionTest, MalformedMessagesEndTheSession) {
  std::string_view path = "/bin/true";
  const Fd null(open("/dev/null", O_RDWR | O_CLOEXEC));
  const int fd = null.get();
  const Fd garbage = Memfd("garbage");
  const Fd empty = Memfd("");
  const Fd huge = Memfd("");
  ASSERT_EQ(ftruncate(huge.get(), kMaxSpecBytes + 1), 0);
  const auto upgrade = [](uint32_t program, uint32_t keeper) {
    Upgrade message;
    message.program_size = program;
    message.keeper_size = keeper;
    return message;
  };
  const auto bye = [](int code) {
    Bye message;
    message.code = code;
    return message;
  };
  Keep last;
  last.key = UINT64_MAX;
  Keep padded;
  padded.zero = 1;
  NextHeld padded_next;
  padded_next.zero = 1;
  Spawn inline_spec;
  inline_spec.size = 7;
  const std::vector<std::function<std::string()>> messages = {
      [&] { return Raw("x"), Refusal(); },
      [&] { return Raw(std::string(4, '\0')), Refusal(); },
      [&] { return Raw(std::string(1000, '\xff')), Refusal(); },
      [&] { return Raw(std::string(kMaxMessageBytes + 1, '\x07')), Refusal(); },
      [&] { return Raw(std::string("\x03\0\0\0\0\0\0", 7)), Refusal(); },
      [&] { return RefusalOf(Hello{}); },
      [&] { return RefusalOf(Welcome{}); },
      [&] { return RefusalOf(Ping{}); },
      [&] { return RefusalOf(Spawned{}); },
      [&] { return RefusalOf(Look{}, {}, "more"); },
      [&] { return RefusalOf(Look{}, {fd}); },
      [&] { return RefusalOf(Ready{}, {fd}); },
      [&] { return RefusalOf(padded_next); },
      [&] { return RefusalOf(Keep{}); },
      [&] {
        return RefusalOf(Keep{}, {fd, fd});
      },
      [&] { return RefusalOf(padded, {fd}); },
      [&] { return RefusalOf(last, {fd}); },
      [&] { return RefusalOf(Spawn{}); },
      [&] {
        return RefusalOf(Spawn{}, {garbage.get(), fd, fd});
      },
      [&] {
        return RefusalOf(inline_spec, {fd, fd, fd});
      },
      [&] {
        return RefusalOf(inline_spec, {fd, fd, fd}, "garbage!");
      },
      [&] {
        return RefusalOf(inline_spec, {fd, fd, fd}, "garbage");
      },
      [&] {
        return RefusalOf(inline_spec, {fd, fd}, "garbage");
      },
      [&] {
        return RefusalOf(inline_spec, {fd, fd, fd, fd}, "garbage");
      },
      [&] {
        return RefusalOf(Spawn{}, {garbage.get(), fd, fd, fd, fd});
      },
      [&] {
        return RefusalOf(Spawn{}, {garbage.get(), fd, fd, fd});
      },
      [&] {
        return RefusalOf(Spawn{}, {empty.get(), fd, fd, fd});
      },
      [&] {
        return RefusalOf(Spawn{}, {huge.get(), fd, fd, fd});
      },
      [&] {
        return RefusalOf(Spawn{}, {fd, fd, fd, fd});
      },
      [&] { return RefusalOf(bye(256)); },
      [&] { return RefusalOf(bye(-1)); },
      [&] { return RefusalOf(upgrade(0, 0)); },
      [&] { return RefusalOf(upgrade(0, 9), {}, path); },
      [&] { return RefusalOf(upgrade(9, 1), {}, path); },
      [&] { return RefusalOf(upgrade(UINT32_MAX, 10), {}, path); },
      [&] { return RefusalOf(upgrade(9, 0), {}, std::string_view("/bin\0true", 9)); },
      [&] { return RefusalOf(upgrade(5000, 0), {}, std::string(5000, '/')); },
  };
  Connect();
  const size_t before = OpenDescriptors();
  for (size_t i = 0; i < messages.size(); ++i) {
    SCOPED_TRACE(i);
    Connect();
    Greet();
    EXPECT_THAT(messages[i](), HasSubstr("protocol: "));
    EXPECT_EQ(session_->state(), Session::State::kBroken);
    EXPECT_FALSE(session_->failure().empty());
    EXPECT_TRUE(holdings_.fds.empty());
    EXPECT_TRUE(holdings_.children.empty());
    EXPECT_EQ(OpenDescriptors(), before);
  }
}

TEST_F(SessionTest, AClosedConnectionIsSeen) {
  Greet();
  daemon_.Close();
  session_->Read();
  EXPECT_EQ(session_->state(), Session::State::kGone);
  EXPECT_FALSE(session_->SendPing());
}

TEST_F(SessionTest, NotesAnnouncements) {
  Greet();
  EXPECT_FALSE(session_->ready());
  Bye bye;
  bye.code = 75;
  Upgrade upgrade;
  upgrade.program_size = 2;
  upgrade.keeper_size = 3;
  ASSERT_TRUE(session_->SendPing());
  ASSERT_TRUE(Send(daemon_.get(), Ready{}));
  ASSERT_TRUE(Send(daemon_.get(), Pong{}));
  ASSERT_TRUE(Send(daemon_.get(), upgrade, {}, "/a/bc"));
  ASSERT_TRUE(Send(daemon_.get(), bye));
  EXPECT_EQ(Reply(), Type::kPing);
  EXPECT_TRUE(session_->ready());
  EXPECT_EQ(session_->pongs(), 1U);
  EXPECT_EQ(session_->bye(), 75);
  ASSERT_TRUE(session_->upgrade());
  EXPECT_EQ(session_->upgrade()->program, "/a");
  EXPECT_EQ(session_->upgrade()->keeper, "/bc");
}

TEST_F(SessionTest, UnknownChildrenAreRefused) {
  Greet();
  ExitOf ask;
  for (const pid_t pid : {0, -1, 1, getpid()}) {
    ask.pid = pid;
    EXPECT_EQ(RefusalOf(ask), "no_child: the keeper holds no such child");
  }
  EXPECT_TRUE(session_->active()) << "that is no fault of the protocol";
}

// The requests of a daemon that has died: its descriptors are held, and nothing is spawned.
TEST_F(SessionTest, ReadsTheRestOfADeadDaemon) {
  Greet();
  const Fd null(open("/dev/null", O_RDWR | O_CLOEXEC));
  const Fd spec = Memfd(EncodeSpec(Shell("exit 0")));
  Keep keep;
  keep.key = 200;
  for (int i = 0; i < 70; ++i) ASSERT_TRUE(Send(daemon_.get(), Ready{}));
  const int fds[] = {spec.get(), null.get(), null.get(), null.get()};
  ASSERT_TRUE(Send(daemon_.get(), Spawn{}, fds));
  ASSERT_TRUE(Send(daemon_.get(), keep, std::vector<int>{null.get()}));
  daemon_.Close();
  session_->ReadRest();
  EXPECT_EQ(holdings_.fds.count(200), 1U);
  EXPECT_TRUE(holdings_.children.empty());
}

TEST_F(SessionTest, ALackOfDescriptorsIsNoFaultOfTheDaemon) {
  Greet();
  const Fd null(open("/dev/null", O_RDWR | O_CLOEXEC));
  const Fd spec = Memfd(EncodeSpec(Shell("exit 0")));
  const int fds[] = {spec.get(), null.get(), null.get(), null.get()};
  ASSERT_TRUE(Send(daemon_.get(), Keep{}, std::vector<int>{null.get()}));
  rlimit before{};
  getrlimit(RLIMIT_NOFILE, &before);
  const rlimit none{3, before.rlim_max};
  setrlimit(RLIMIT_NOFILE, &none);
  session_->Read();
  ASSERT_TRUE(Send(daemon_.get(), Spawn{}, fds));
  session_->Read();
  setrlimit(RLIMIT_NOFILE, &before);
  EXPECT_EQ(session_->lost(), 1U);
  EXPECT_EQ(Refusal(), "no_descriptors: the keeper has no free descriptors");
  EXPECT_TRUE(session_->active());

  holdings_.most_fds = 1;
  Keep keep;
  for (const uint64_t key : {1U, 2U, 1U}) {
    keep.key = key;
    ASSERT_TRUE(Send(daemon_.get(), keep, std::vector<int>{null.get()}));
  }
  session_->Read();
  EXPECT_EQ(session_->lost(), 2U) << "there is no room for key 2";
  EXPECT_EQ(holdings_.fds.size(), 1U);
}

TEST(KeeperSpec, ComesBackAsItWas) {
  SpawnSpec spec = Shell("true", {"A=1", "B="});
  spec.argv.emplace_back("a\0b", 3);
  spec.cwd = "/tmp";
  spec.cgroup = "/sys/fs/cgroup/x";
  spec.max_open_files = 77;
  spec.die_with_parent = false;
  spec.user = SpawnSpec::User{1, 2, {3, 4}};
  const std::string bytes = EncodeSpec(spec);
  const auto again = DecodeSpec(bytes);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->argv, spec.argv);
  EXPECT_EQ(again->env, spec.env);
  EXPECT_EQ(again->cwd, spec.cwd);
  EXPECT_EQ(again->cgroup, spec.cgroup);
  EXPECT_EQ(again->max_open_files, 77U);
  EXPECT_FALSE(again->die_with_parent);
  EXPECT_TRUE(again->no_new_privs);
  ASSERT_TRUE(again->user);
  EXPECT_EQ(again->user->uid, 1U);
  EXPECT_EQ(again->user->gid, 2U);
  EXPECT_EQ(again->user->groups, (std::vector<gid_t>{3, 4}));
  EXPECT_EQ(EncodeSpec(*again), bytes);
  for (size_t size = 0; size < bytes.size(); ++size)
    EXPECT_FALSE(DecodeSpec(std::string_view(bytes).substr(0, size))) << size;
  EXPECT_FALSE(DecodeSpec(bytes + "x"));
}

}  // namespace
}  // namespace reeve::keeper
