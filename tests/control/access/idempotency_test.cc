// How much the requests with an Idempotency-Key that are in progress may hold. tests/integration has how a
// request is repeated.
#include "control/access/idempotency.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "control/http/answer_stream.h"
#include "orchestrator/store/store.h"
#include "process/clock.h"
#include "process/loop.h"
#include "tests/support/loop_fixture.h"

namespace reeve {
namespace {

class IdempotencyTest : public ::testing::Test {
 protected:
  // Keeps what the client would get.
  class Client final : public Reply::Sink {
   public:
    explicit Client(std::vector<Response>& got) : got_(got) {}
    void Answer(Response response) override { got_.push_back(std::move(response)); }
    std::unique_ptr<AnswerStream> OpenStream() override { return nullptr; }

   private:
    std::vector<Response>& got_;
  };

  IdempotencyTest() {
    auto opened = Store::Open(loop, dir.path() + "/reeve.db");
    EXPECT_TRUE(opened.ok());
    store = std::move(*opened);
    idempotency = std::make_unique<Idempotency>(clock, *store);
  }
  void Ask(uint64_t token, const std::string& key, const std::string& body = "{}") {
    Request request;
    request.method = "POST";
    request.path = "/agents";
    request.headers = {{"idempotency-key", key}};
    request.body = body;
    request.caller = Request::Caller{Scope::kAdmin, token};
    clients.push_back(std::make_shared<Client>(got));
    idempotency->Handle(std::move(request), Reply(clients.back()), handler);
  }
  // Waits until the handler holds so many requests.
  bool UntilHeld(size_t count) {
    return RunUntil(loop, [this, count] { return held.size() >= count; });
  }
  void AnswerAll(size_t bytes) {
    for (Reply& reply : std::exchange(held, {})) reply.Send(Response::Json(200, std::string(bytes, 'x')));
  }

  TempDir dir;
  Loop loop;
  MockClock clock;
  std::unique_ptr<Store> store;
  std::vector<Response> got;
  std::vector<Reply> held;
  std::vector<std::shared_ptr<Client>> clients;  // a Reply holds its own weakly
  const Handler handler = [this](const Request&, Reply reply) { held.push_back(std::move(reply)); };
  std::unique_ptr<Idempotency> idempotency;
};

TEST_F(IdempotencyTest, RequestsInProgressAreBoundedForEachToken) {
  const std::string body(size_t{1} << 20, 'x');
  size_t asked = 0;
  while (got.empty() && asked < 100) Ask(1, "k" + std::to_string(asked++), body);
  ASSERT_EQ(got.size(), 1U);
  EXPECT_EQ(got[0].status, 429);
  EXPECT_EQ(asked, 16U) << "15 of them fit beside their entries, the next one is refused";
  Ask(1, "small");
  Ask(2, "k0", body);
  EXPECT_EQ(got.size(), 1U) << "another token has its own part";
  ASSERT_TRUE(UntilHeld(17));
  AnswerAll(10);
  ASSERT_TRUE(RunUntil(loop, [this] { return got.size() == 18; }));
  Ask(1, "again", body);
  EXPECT_TRUE(UntilHeld(1)) << "answered requests make room";
  AnswerAll(10);
}

TEST_F(IdempotencyTest, TheRequestsInProgressOfAllTokensAreBounded) {
  const std::string body(size_t{1} << 20, 'x');
  for (uint64_t token = 1; token <= 4; ++token) {
    for (int i = 0; i < 15; ++i) Ask(token, "k" + std::to_string(i), body);
  }
  EXPECT_TRUE(got.empty());
  for (int i = 0; i < 15; ++i) Ask(5, "k" + std::to_string(i), body);
  EXPECT_GT(got.size(), 10U);
  EXPECT_EQ(got.back().status, 429);
  ASSERT_TRUE(UntilHeld(60));
  AnswerAll(10);
}

// While the disk is slow, answers wait for it in memory.
TEST_F(IdempotencyTest, AnswersThatDoNotFitAreSentAndNotKept) {
  constexpr size_t kAnswerBytes = size_t{1} << 20;
  for (int i = 0; i < 20; ++i) Ask(1, "k" + std::to_string(i));
  Ask(2, "k");
  ASSERT_TRUE(UntilHeld(21));
  AnswerAll(kAnswerBytes);
  const size_t at_once = got.size();  // the others wait for the disk
  EXPECT_GT(at_once, 8U);
  EXPECT_LT(at_once, 20U);
  ASSERT_TRUE(RunUntil(loop, [this] { return got.size() == 21; }));
  for (const Response& response : got) EXPECT_EQ(response.status, 200);
  got.clear();
  Ask(1, "k0");
  Ask(2, "k");
  ASSERT_TRUE(RunUntil(loop, [this] { return got.size() == 2; }));
  for (const Response& response : got) EXPECT_EQ(response.body.size(), kAnswerBytes);
  EXPECT_TRUE(held.empty()) << "these answers were kept";
  Ask(1, "k19");
  EXPECT_TRUE(UntilHeld(1)) << "this one was not";
  AnswerAll(10);
}

}  // namespace
}  // namespace reeve
