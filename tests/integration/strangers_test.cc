// Clients without a token, or with the least one, in numbers: the daemon's memory stays bounded, and the
// operator is served all the while.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "process/fd.h"
#include "tests/support/daemon.h"
#include "tests/support/raw_client.h"
#include "tests/support/sanitized.h"

namespace reeve {
namespace {

constexpr size_t kMiB = size_t{1} << 20;
constexpr size_t kClients = kSanitized ? 500 : 2'000;

std::string Head(const std::string& line, const std::string& headers) {
  return line + " HTTP/1.1\r\nHost: localhost\r\n" + headers + "\r\n";
}
std::string Authorization(const std::string& token) { return "Authorization: Bearer " + token + "\r\n"; }

// Many connections that send the same bytes, as fast as the daemon takes them.
class Flood {
 public:
  Flood(const std::string& address, size_t clients, std::string bytes)
      : bytes_(std::move(bytes)), sent_(clients) {
    for (size_t i = 0; i < clients; ++i) clients_.push_back(std::make_unique<RawClient>(address));
  }

  // Sends until every client has sent all or got an answer.
  bool Send() {
    return Eventually([this] {
      size_t done = 0;
      for (size_t i = 0; i < clients_.size(); ++i) done += SendOne(i);
      return done == clients_.size();
    });
  }
  // How many got an answer of this status.
  size_t Answered(int status) {
    size_t count = 0;
    for (auto& client : clients_) {
      client->Poll();
      const auto answers = client->Answers();
      count += !answers.empty() && answers[0].status == status;
    }
    return count;
  }

 private:
  bool SendOne(size_t i) {
    clients_[i]->Poll();
    while (sent_[i] < bytes_.size() && clients_[i]->received().empty() && !clients_[i]->reset()) {
      const ssize_t took = send(clients_[i]->fd(), bytes_.data() + sent_[i], bytes_.size() - sent_[i],
                                MSG_DONTWAIT | MSG_NOSIGNAL);
      if (took < 0) return errno != EAGAIN;
      sent_[i] += static_cast<size_t>(took);
    }
    return true;
  }

  const std::string bytes_;
  std::vector<size_t> sent_;
  std::vector<std::unique_ptr<RawClient>> clients_;
};

// A body of 1 MiB of which the last byte is withheld.
std::string Upload(const std::string& line, const std::string& headers) {
  return Head(line, headers + "Content-Length: 1048576\r\n") + std::string(kMiB - 1, 'x');
}

TEST(Strangers, CannotFillTheMemoryWithBodies) {
  Daemon daemon;
  const size_t before = daemon.ResidentBytes();
  for (const char* headers :
       {"", "Authorization: Bearer wrong-token-0123456789\r\n", "Expect: 100-continue\r\n"}) {
    Flood flood(daemon.address(), kClients, Upload("POST /agents", headers));
    ASSERT_TRUE(flood.Send());
    EXPECT_TRUE(Eventually([&] { return flood.Answered(401) == kClients; })) << flood.Answered(401);
    EXPECT_LT(daemon.ResidentBytes(), before + (kSanitized ? 400 : 64) * kMiB) << headers;
    EXPECT_EQ(daemon.Get("/agents").status, 200);
    EXPECT_EQ(HttpConnection(daemon.address()).Call("GET", "/health").status, 200);
  }
}

TEST(Strangers, CannotFillTheMemoryWithHeadsAndUnreadAnswers) {
  Daemon daemon;
  const size_t before = daemon.ResidentBytes();
  const std::string head = Head("GET /agents", "X: " + std::string(15'000, 'x'));
  std::string pipelined;
  while (pipelined.size() < 200'000) pipelined += Head("GET /", "");
  // The kernel holds megabytes of answers for each client that does not read.
  for (const auto& [bytes, count] :
       {std::pair{head.substr(0, 15'000), kClients}, std::pair{pipelined, size_t{200}}}) {
    std::vector<std::unique_ptr<RawClient>> clients;
    for (size_t i = 0; i < count; ++i) {
      clients.push_back(std::make_unique<RawClient>(daemon.address()));
      (void)send(clients.back()->fd(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    EXPECT_EQ(daemon.Get("/agents").status, 200);
    EXPECT_LT(daemon.ResidentBytes(), before + (kSanitized ? 400 : 64) * kMiB);
  }
}

// A body of a client with a token is kept, so all of them together are bounded; afterwards the memory is
// given back.
TEST(Strangers, BodiesInFlightAreBounded) {
  Daemon daemon;
  const size_t before = daemon.ResidentBytes();
  {
    Flood flood(daemon.address(), 200, Upload("POST /agents", Authorization(daemon.token())));
    ASSERT_TRUE(flood.Send());
    EXPECT_TRUE(Eventually([&] { return flood.Answered(429) >= 200 - 64; })) << flood.Answered(429);
    EXPECT_LT(daemon.ResidentBytes(), before + (kSanitized ? 400 : 160) * kMiB);
    EXPECT_EQ(daemon.Get("/agents").status, 200);
  }
  if (kSanitized) return;  // its allocator keeps freed memory on purpose
  EXPECT_TRUE(Eventually([&] { return daemon.ResidentBytes() < before + 16 * kMiB; }))
      << before << ' ' << daemon.ResidentBytes();
}

// Where the daemon may have little memory, a failed allocation would end it, and all agents with it.
TEST(Strangers, CannotEndADaemonThatMayHaveLittleMemory) {
  if (kSanitized) return;  // a sanitizer reserves terabytes of addresses
  RaiseDescriptorLimit();
  size_t idle_kib = 0;
  {
    Daemon daemon;
    const std::string status = ReadFile("/proc/" + std::to_string(daemon.pid()) + "/status");
    const size_t at = status.find("VmSize:");
    ASSERT_NE(at, std::string::npos);
    idle_kib = std::stoul(status.substr(at + 7));
  }
  Daemon::Options options;
  options.wrapper = {"/bin/sh", "-c",
                     "ulimit -v " + std::to_string(idle_kib + 256 * 1024) + " && exec \"$0\" \"$@\""};
  Daemon daemon(options);
  const std::string limits = ReadFile("/proc/" + std::to_string(daemon.pid()) + "/limits");
  ASSERT_NE(limits.find(std::to_string((idle_kib + 256 * 1024) * 1024)), std::string::npos) << limits;
  daemon.Create(R"({"id":"a1","kind":"process","command":["cat"]})");
  const auto served = [&daemon] {
    EXPECT_EQ(HttpConnection(daemon.address()).Call("GET", "/health").status, 200);
    EXPECT_EQ(daemon.Get("/agents/a1").Field("state"), "running");
  };
  std::string pipelined;
  while (pipelined.size() < 200'000) pipelined += Head("GET /", "");
  const std::string head = Head("GET /agents", "X: " + std::string(15'000, 'x')).substr(0, 15'000);
  for (const auto& [bytes, count] :
       {std::pair{Upload("POST /agents", ""), 2'000},
        std::pair{Upload("POST /agents", Authorization("wrong-token-0123456789")), 2'000},
        std::pair{Upload("POST /agents", "Expect: 100-continue\r\n"), 2'000}, std::pair{head, 10'500},
        std::pair{pipelined, 200}}) {
    std::vector<std::unique_ptr<RawClient>> clients;
    for (int i = 0; i < count; ++i) {
      clients.push_back(std::make_unique<RawClient>(daemon.address()));
      (void)send(clients.back()->fd(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    served();
  }
  // Those who have a token are bounded as well.
  Flood flood(daemon.address(), 200, Upload("POST /agents", Authorization(daemon.token())));
  ASSERT_TRUE(flood.Send());
  EXPECT_TRUE(Eventually([&] { return flood.Answered(429) >= 200 - 64; })) << flood.Answered(429);
  served();
}

// Waits, for which a view token suffices, take all connections but the reserve.
TEST(Strangers, ATokenForViewingDoesNotLockOutTheOperator) {
  constexpr size_t kWaits = 10'100;
  if (kSanitized) GTEST_SKIP() << "a sanitized daemon is too slow for " << kWaits << " connections";
  RaiseDescriptorLimit();
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  ASSERT_GE(files.rlim_cur, kWaits + 500)
      << "this test needs a hard limit (ulimit -Hn) of as many descriptors";
  const std::string view = "view-token-0123456789";
  const std::string admin = "admin-token-0123456789";
  TempDir dir;
  WriteFile(dir.path() + "/tokens", "view " + view + "\n" + admin + "\n");
  Daemon::Options options;
  options.arguments = {"--token-file", dir.path() + "/tokens"};
  Daemon daemon(options);
  const std::string wait = Head("GET /agents/a1/wait?until=made", Authorization(view));
  std::vector<std::unique_ptr<RawClient>> clients;
  for (size_t i = 0; i < kWaits; ++i) {
    clients.push_back(std::make_unique<RawClient>(daemon.address()));
    clients.back()->Send(wait);
  }
  const Headers operators = {{"Authorization", "Bearer " + admin}};
  EXPECT_EQ(HttpConnection(daemon.address()).Call("GET", "/agents", "", operators).status, 200);
  EXPECT_EQ(HttpConnection(daemon.address()).Call("GET", "/health").status, 200);
}

}  // namespace
}  // namespace reeve
