// POST /agents/batch: control/api/API.md.
#include <gtest/gtest.h>

#include <string>

#include "tests/support/daemon.h"

namespace reeve {
namespace {

std::string Cat(const std::string& id) {
  return JsonObject().Set("id", id).Set("kind", "process").SetRaw("command", R"(["cat"])").Take();
}

TEST(Batch, TellsOfEachWhatBecameOfIt) {
  Daemon daemon;
  for (const char* id : {"a1", "a2", "a3"}) daemon.Create(Cat(id));
  daemon.Create(Cat("gone"));
  EXPECT_EQ(daemon.Call("DELETE", "/agents/gone").status, 202);
  HttpAnswer stop =
      daemon.Post("/agents/batch", R"({"action":"stop","ids":["a2","../a1","a1","gone","a2"]})");
  EXPECT_EQ(stop.status, 200) << stop.wire;
  EXPECT_EQ(stop.Field("done"), R"([{"id":"a2"},{"id":"a1"}])");
  EXPECT_EQ(stop.Field("failed"),
            R"([{"id":"../a1","code":"agent_not_found","detail":"there is no agent ../a1"},)"
            R"({"id":"gone","code":"agent_deleted","detail":"agent gone has been deleted"}])");
  daemon.WaitFor("a1");
  daemon.WaitFor("a2");
  EXPECT_EQ(daemon.Get("/agents/a3").Field("state"), "running");

  HttpAnswer start = daemon.Post("/agents/batch", R"({"action":"start","ids":["a1","a2"]})");
  EXPECT_EQ(start.Field("done"), R"([{"id":"a1"},{"id":"a2"}])");
  EXPECT_EQ(start.Field("failed"), "[]");
  daemon.WaitFor("a1", "until=ready");

  HttpAnswer gone = daemon.Post("/agents/batch", R"({"action":"delete","ids":["a1","a2","a3"]})");
  EXPECT_EQ(gone.Field("done"), R"([{"id":"a1"},{"id":"a2"},{"id":"a3"}])");
  EXPECT_EQ(daemon.Get("/agents").Field("agents"), "[]");
}

TEST(Batch, RefusesWhatItDoesNotUnderstand) {
  Daemon daemon;
  daemon.Create(Cat("a1"));
  std::string many = "\"a1\"";
  for (int i = 0; i < 1'000; ++i) many += ",\"a1\"";
  for (const std::string& body :
       {std::string(R"({"action":"restart","ids":["a1"]})"), std::string(R"({"ids":["a1"]})"),
        std::string(R"({"action":"stop"})"), std::string(R"({"action":"stop","ids":[]})"),
        std::string(R"({"action":"stop","ids":"a1"})"), std::string(R"({"action":"stop","ids":["a1",3]})"),
        std::string(R"({"action":"stop","ids":["a1"],"purge":true})"),
        R"({"action":"stop","ids":[)" + many + "]}"}) {
    EXPECT_EQ(daemon.Post("/agents/batch", body).status, 400) << body.substr(0, 100);
  }
  EXPECT_EQ(daemon.Get("/agents/a1").Field("state"), "running");
}

TEST(Batch, DeletingIsForAdmins) {
  TempDir folder;
  WriteFile(folder.path() + "/tokens", "admin-token-0123456789\noperate operator-token-0123456789\n");
  Daemon::Options options;
  options.arguments = {"--token-file", folder.path() + "/tokens"};
  Daemon daemon(options);
  const Headers admin = {{"Authorization", "Bearer admin-token-0123456789"}};
  const Headers operating = {{"Authorization", "Bearer operator-token-0123456789"}};
  HttpConnection connection(daemon.address());
  EXPECT_EQ(connection.Call("POST", "/agents", Cat("a1"), admin).status, 201);
  EXPECT_EQ(connection.Call("POST", "/agents/batch", R"({"action":"delete","ids":["a1"]})", operating).status,
            403);
  EXPECT_EQ(connection.Call("POST", "/agents/batch", R"({"action":"stop","ids":["a1"]})", operating).status,
            200);
  EXPECT_EQ(connection.Call("POST", "/agents/batch", R"({"action":"delete","ids":["a1"]})", admin).status,
            200);
}

}  // namespace
}  // namespace reeve
