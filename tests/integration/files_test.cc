// Secrets of an agent's process that nobody else sees: files, and a token for the API.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/daemon.h"
#include "tests/support/paths.h"

namespace reeve {
namespace {

constexpr const char* kSecret = "s3cret-of-a-file";
constexpr const char* kOther = "0ther-s3cret-value";

std::string Spec(const std::string& script, const std::string& more = "") {
  JsonArray command;
  for (const char* word : {"/bin/sh", "-c"}) command.Add(word);
  command.Add(script);
  return R"({"id":"a1","kind":"process","command":)" + command.Take() + more + "}";
}

std::string Said(const Daemon& daemon) {
  std::string said;
  for (const std::string& event : daemon.Events("a1", "after=0&types=agent.output"))
    said += JsonField(event, "data.text") + "\n";
  return said;
}

bool UntilSaid(const Daemon& daemon, const std::string& text) {
  return Eventually([&] { return Said(daemon).find(text) != std::string::npos; });
}

// The files below the daemon's folder that hold `text`.
std::vector<std::string> Holders(const Daemon& daemon, const std::string& text) {
  std::vector<std::string> holders;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(
           daemon.data_dir(), std::filesystem::directory_options::skip_permission_denied)) {
    if (!entry.is_regular_file()) continue;
    if (ReadFile(entry.path()).find(text) != std::string::npos) holders.push_back(entry.path().string());
  }
  return holders;
}

std::string FilePath(const Daemon& daemon, const std::string& name) {
  return daemon.data_dir() + "/agents/a1/files/" + name;
}

TEST(Files, AreThereForTheProcessAndForNobodyElse) {
  Daemon daemon;
  const HttpAnswer made =
      daemon.Post("/agents", Spec(R"(cd "$REEVE_FILES" && stat -c %a key; cat key; exec sleep 600)",
                                  R"(,"record":true,"files":{"key":"s3cret-of-a-file\n","empty":""})"));
  ASSERT_EQ(made.status, 201) << made.body;
  EXPECT_EQ(made.Field("files"), R"(["empty","key"])");
  EXPECT_EQ(made.body.find(kSecret), std::string::npos);
  ASSERT_TRUE(UntilSaid(daemon, "600\n" + std::string(kSecret)));
  EXPECT_EQ(daemon.Get("/agents/a1").body.find(kSecret), std::string::npos);
  // Said by the agent itself, it is in the events, but not in the transcript; the store does not have it.
  const HttpAnswer transcript = daemon.Get("/agents/a1/transcript");
  EXPECT_NE(transcript.body.find("***"), std::string::npos);
  EXPECT_EQ(transcript.body.find(kSecret), std::string::npos);
  EXPECT_EQ(daemon.log().find(kSecret), std::string::npos);
  const std::vector<std::string> holders = Holders(daemon, kSecret);
  ASSERT_EQ(std::count(holders.begin(), holders.end(), FilePath(daemon, "key")), 1);
  for (const std::string& holder : holders) {
    EXPECT_TRUE(holder.find("/events/") != std::string::npos || holder == FilePath(daemon, "key")) << holder;
  }
}

TEST(Files, AreReplacedWhileTheAgentRuns) {
  Daemon daemon;
  daemon.Create(Spec(R"(while :; do
  read -r line < "$REEVE_FILES/key" || echo torn; [ "$line" = "$last" ] || echo "now $line"; last=$line
  sleep 0.01
done)",
                     R"(,"files":{"key":"one\n"})"));
  ASSERT_TRUE(UntilSaid(daemon, "now one"));
  const std::string path = "/agents/a1/files/key";
  EXPECT_EQ(daemon.Call("PUT", path, "two\n").status, 204);
  EXPECT_EQ(ReadFile(FilePath(daemon, "key")), "two\n");
  ASSERT_TRUE(UntilSaid(daemon, "now two"));
  for (int i = 0; i < 50; ++i) ASSERT_EQ(daemon.Call("PUT", path, std::to_string(i) + "\n").status, 204);
  ASSERT_TRUE(UntilSaid(daemon, "now 49"));
  EXPECT_EQ(Said(daemon).find("torn"), std::string::npos);
  // Bytes of any kind, under a new name; then it goes again.
  const std::string bytes("\0\xff\n", 3);
  EXPECT_EQ(daemon.Call("PUT", "/agents/a1/files/blob", bytes).status, 204);
  EXPECT_EQ(ReadFile(FilePath(daemon, "blob")), bytes);
  EXPECT_EQ(daemon.Get("/agents/a1").Field("files"), R"(["blob","key"])");
  EXPECT_EQ(daemon.Call("DELETE", "/agents/a1/files/blob").status, 204);
  EXPECT_EQ(daemon.Call("DELETE", "/agents/a1/files/blob").Field("code"), "file_not_found");
  EXPECT_EQ(daemon.Get("/agents/a1").Field("files"), R"(["key"])");
  EXPECT_NE(access(FilePath(daemon, "blob").c_str(), F_OK), 0);
}

TEST(Files, RefusalsNameTheReason) {
  Daemon daemon;
  daemon.Create(Spec("exec sleep 600"));
  for (const char* name : {"..", ".hidden", "a%2Fb", "..%2F..%2Ftoken", "%0a"}) {
    const HttpAnswer answer = daemon.Call("PUT", std::string("/agents/a1/files/") + name, "x");
    EXPECT_TRUE(answer.status == 400 || answer.status == 404) << name << answer.status;
  }
  EXPECT_EQ(daemon.Call("PUT", "/agents/a1/files/big", std::string(262'145, 'x')).status, 413);
  EXPECT_EQ(daemon.Call("PUT", "/agents/a1/files/big", std::string(262'144, 'x')).status, 204);
  EXPECT_EQ(daemon.Call("PUT", "/agents/none/files/a", "x").status, 404);
}

TEST(Files, SurviveAKillAtAnyMoment) {
  Daemon daemon;
  daemon.Create(Spec("exec sleep 600", R"(,"restart":{"policy":"always"},"files":{"key":"0"})"));
  for (int round = 0; round < 5; ++round) {
    std::atomic<int> acknowledged{-1};
    std::atomic<bool> over{false};
    const std::string token = daemon.token();
    std::thread writer([&daemon, &acknowledged, &over, token] {
      HttpConnection connection(daemon.address());
      for (int i = 0; !over; ++i) {
        const HttpAnswer answer =
            connection.Call("PUT", "/agents/a1/files/key", std::to_string(i) + std::string(5'000, '.'),
                            {{"Authorization", "Bearer " + token}});
        if (answer.status != 204) break;
        acknowledged = i;
      }
    });
    EXPECT_TRUE(Eventually([&] { return acknowledged >= 3 * round; }));
    daemon.Kill();
    over = true;
    writer.join();
    const std::string found = ReadFile(FilePath(daemon, "key"));
    ASSERT_GT(found.size(), 5'000U);
    ASSERT_EQ(found.size(), std::to_string(std::stoi(found)).size() + 5'000);
    EXPECT_GE(std::stoi(found), acknowledged.load());
    daemon.Start();
    EXPECT_EQ(daemon.Get("/agents/a1").Field("files"), R"(["key"])");
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(daemon.data_dir() + "/agents/a1/files"))
      names.push_back(entry.path().filename());
    EXPECT_EQ(names, std::vector<std::string>{"key"});
  }
}

TEST(Files, GoWithTheAgent) {
  Daemon daemon;
  daemon.Create(Spec("exec sleep 600", std::string(R"(,"api":"view","env":{"A":")") + kOther +
                                           R"("},"files":{"key":")" + kSecret + "\"}"));
  ASSERT_FALSE(Holders(daemon, kSecret).empty());
  ASSERT_FALSE(Holders(daemon, kOther).empty());
  const HttpAnswer deleted = daemon.Call("DELETE", "/agents/a1");
  ASSERT_TRUE(deleted.status == 202 || deleted.status == 204);
  ASSERT_TRUE(Eventually([&] { return access((daemon.data_dir() + "/agents/a1").c_str(), F_OK) != 0; }));
  EXPECT_EQ(daemon.Call("PUT", "/agents/a1/files/key", kSecret).status, 410);
  daemon.Signal(SIGTERM);  // SQLite's log goes with the last connection
  EXPECT_EQ(daemon.Wait(), 0);
  EXPECT_TRUE(Holders(daemon, kSecret).empty());
  EXPECT_TRUE(Holders(daemon, kOther).empty()) << Holders(daemon, kOther)[0];
  daemon.Start();
  EXPECT_EQ(daemon.Get("/agents/a1/events?after=0").status, 200) << "the log stays";
  EXPECT_EQ(daemon.Call("DELETE", "/agents/a1?purge=true").status, 204);
}

TEST(Files, OfAnAgentThatNeverWasAreSwept) {
  Daemon daemon;
  daemon.Signal(SIGTERM);
  EXPECT_EQ(daemon.Wait(), 0);
  std::filesystem::create_directories(daemon.data_dir() + "/agents/ghost/files");
  WriteFile(daemon.data_dir() + "/agents/ghost/files/key", kSecret);
  daemon.Start();
  EXPECT_TRUE(Eventually([&] { return Holders(daemon, kSecret).empty(); }));
}

// --- the API from within

std::string TokenOf(const Daemon& daemon) {
  std::string token = ReadFile(daemon.data_dir() + "/agents/a1/token");
  return token.substr(0, token.find('\n'));
}

int StatusOf(const Daemon& daemon, const std::string& token, const std::string& method,
             const std::string& target) {
  HttpConnection connection(daemon.address());
  return connection.Call(method, target, "", {{"Authorization", "Bearer " + token}}).status;
}

TEST(ChildApi, AnAgentRunsTheCommandLineOnItsOwnDaemon) {
  Daemon daemon;
  daemon.Create(Spec(std::string("cd /; echo $REEVE_AGENT_ID; env | grep -c REEVE_TOKEN=; ") + kReeveBinary +
                         " run --id=made -- true; echo code $?; exec sleep 600",
                     R"(,"api":"operate","env":{"HOME":"/nowhere"})"));
  // It found server and token; to make agents takes more than "operate".
  ASSERT_TRUE(UntilSaid(daemon, "code 77")) << Said(daemon);
  EXPECT_EQ(Said(daemon).rfind("a1\n0\n", 0), 0U) << Said(daemon);
  EXPECT_EQ(daemon.Get("/agents/a1").Field("api"), "operate");
}

TEST(ChildApi, TheTokenHasTheScopeOfTheSpecAndDiesWithTheAgent) {
  Daemon daemon;
  daemon.Create(Spec("exec sleep 600", R"(,"api":"view","restart":{"policy":"always"})"));
  const std::string token = TokenOf(daemon);
  EXPECT_EQ(token.size(), 64U);
  EXPECT_EQ(StatusOf(daemon, token, "GET", "/agents"), 200);
  EXPECT_EQ(StatusOf(daemon, token, "POST", "/agents/a1/stop"), 403);
  daemon.Kill();
  daemon.Start();
  EXPECT_EQ(TokenOf(daemon), token);
  EXPECT_EQ(StatusOf(daemon, token, "GET", "/agents"), 200);

  HttpConnection connection(daemon.address());
  const Headers own = {{"Authorization", "Bearer " + token}};
  const std::string url = connection.Call("POST", "/agents/a1/stream-ticket", "{}", own).Field("url");
  const std::string spare = connection.Call("POST", "/agents/a1/stream-ticket", "{}", own).Field("url");
  StreamClient stream(daemon.address(), url, {});
  ASSERT_TRUE(stream.UntilEvent("stream.hello"));
  const int deleted = daemon.Call("DELETE", "/agents/a1").status;
  EXPECT_TRUE(deleted == 202 || deleted == 204);
  EXPECT_EQ(StatusOf(daemon, token, "GET", "/agents"), 401);
  EXPECT_EQ(connection.Call("GET", spare).status, 401);
  EXPECT_TRUE(stream.UntilEnd());
  daemon.Kill();
  daemon.Start();
  EXPECT_EQ(StatusOf(daemon, token, "GET", "/agents"), 401);
}

TEST(ChildApi, ALostTokenIsMadeAnew) {
  Daemon daemon;
  daemon.Create(Spec("exec sleep 600", R"(,"api":"view","restart":{"policy":"always"})"));
  const std::string token = TokenOf(daemon);
  daemon.Kill();
  WriteFile(daemon.data_dir() + "/agents/a1/token", "");
  daemon.Start();
  ASSERT_TRUE(Eventually([&] { return TokenOf(daemon).size() == 64; }));
  EXPECT_TRUE(Eventually([&] { return StatusOf(daemon, TokenOf(daemon), "GET", "/agents") == 200; }));
  EXPECT_EQ(StatusOf(daemon, token, "GET", "/agents"), 401);
}

TEST(ChildApi, WithoutItTheProcessGetsNothing) {
  Daemon daemon;
  daemon.Create(Spec("env | grep -c 'REEVE_TOKEN_FILE\\|REEVE_SERVER'; exec sleep 600"));
  ASSERT_TRUE(UntilSaid(daemon, "0\n"));
  EXPECT_EQ(daemon.Get("/agents/a1").Field("api"), "none");
  EXPECT_NE(access((daemon.data_dir() + "/agents/a1/token").c_str(), F_OK), 0);
}

}  // namespace
}  // namespace reeve
