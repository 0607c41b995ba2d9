// The files that an agent has changed (GET /agents/{id}/changes), read by the real git.
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/command.h"
#include "tests/support/daemon.h"

namespace reeve {
namespace {

class AgentChanges : public testing::Test {
 protected:
  void Shell(const std::string& script) const {
    ::setenv("GIT_CONFIG_GLOBAL", (dir.path() + "/gitconfig").c_str(), 1);
    const std::string file = dir.path() + "/script";
    WriteFile(file, "set -e\ncd " + dir.path() + "\n" + script);
    const std::string line = "sh " + file + " > " + dir.path() + "/log 2>&1";
    ASSERT_EQ(std::system(line.c_str()), 0) << ReadFile(dir.path() + "/log");
  }
  void SetUp() override {
    WriteFile(dir.path() + "/gitconfig", "[user]\nname = a\nemail = a@a\n[init]\ndefaultBranch = trunk\n");
    Shell(R"(git init -q repo && cd repo && mkdir sub && printf 'one\ntwo\n' > file && echo x > sub/gone
echo old > kept && echo ignored > .gitignore && git add -A && git commit -qm one)");
  }
  // An agent in this folder.
  void Create(const std::string& id, const std::string& folder) const {
    daemon.Create(R"({"id":")" + id + R"(","kind":"process","command":["true"],"cwd":")" + dir.path() +
                  folder + "\"}");
    daemon.WaitFor(id);
  }
  [[nodiscard]] HttpAnswer Ask(const std::string& id) const {
    HttpAnswer answer = daemon.Get("/agents/" + id + "/changes");
    EXPECT_EQ(answer.status, 200) << answer.body;
    return answer;
  }
  // Each file as "status +added -removed"; lines that are absent are "?".
  static std::map<std::string, std::string> Files(const HttpAnswer& answer) {
    std::map<std::string, std::string> files;
    const auto json = JsonDocument::Parse(answer.body);
    for (const JsonValue& file : (*json)["files"].Elements()) {
      const auto count = [&file](const char* name) {
        const auto lines = file[name].AsInt();
        return lines ? std::to_string(*lines) : std::string("?");
      };
      files[std::string(file["path"].StringOr(""))] =
          std::string(file["status"].StringOr("")) + " +" + count("added") + " -" + count("removed");
    }
    return files;
  }

  TempDir dir;
  Daemon daemon;
};

using FileMap = std::map<std::string, std::string>;

TEST_F(AgentChanges, AreThoseSinceTheLastCommit) {
  Create("a1", "/repo/sub");
  EXPECT_EQ(Files(Ask("a1")), FileMap());
  Shell(
      R"(cd repo && printf 'one\nzwei\ndrei\n' > file && rm sub/gone && mkdir new && echo hello > 'new/a b' &&
echo no > ignored && printf 'a\0b' > binary && git -c user.name=a init -q new/nested && echo staged > kept &&
git add kept && touch file)");
  const HttpAnswer answer = Ask("a1");
  EXPECT_EQ(Files(answer), (FileMap{{"file", "modified +2 -1"},
                                    {"sub/gone", "deleted +0 -1"},
                                    {"new/a b", "added +1 -0"},
                                    {"kept", "modified +1 -1"},
                                    {"binary", "added +? -?"}}))
      << answer.body;
  EXPECT_EQ(answer.Field("branch"), "trunk");
  EXPECT_EQ(answer.Field("commit").size(), 40U);
  EXPECT_EQ(answer.Field("truncated"), "false");
  const std::string diff = answer.Field("diff");
  for (const char* line : {"\n-two\n+zwei\n+drei\n", "\n+hello\n", "deleted file mode"})
    EXPECT_NE(diff.find(line), std::string::npos) << diff;
  EXPECT_EQ(diff.find("ignored"), std::string::npos) << diff;
}

TEST_F(AgentChanges, OfARepositoryWithoutACommitAndOfAWorktree) {
  Shell(
      "git init -q empty && echo 1 > empty/first; cd repo && git worktree add -q -b side ../tree && "
      "echo 2 > ../tree/second");
  Create("empty", "/empty");
  EXPECT_EQ(Files(Ask("empty")), (FileMap{{"first", "added +1 -0"}}));
  EXPECT_EQ(Ask("empty").Field("commit"), "");
  Create("tree", "/tree");
  EXPECT_EQ(Files(Ask("tree")), (FileMap{{"second", "added +1 -0"}}));
  EXPECT_EQ(Ask("tree").Field("branch"), "side");
}

TEST_F(AgentChanges, OutsideOfARepositoryAreAnError) {
  Shell("mkdir plain");
  Create("plain", "/plain");
  const HttpAnswer answer = daemon.Get("/agents/plain/changes");
  EXPECT_EQ(answer.status, 404);
  EXPECT_EQ(answer.Field("code"), "repository_not_found");
}

TEST_F(AgentChanges, AreBounded) {
  Shell(R"(cd repo && mkdir many && cd many && seq 1200 | xargs touch && cd .. && seq 300000 > long &&
seq 100000 > lines && yes 0123456789 | head -c 900000 > more)");
  Create("a1", "/repo");
  const HttpAnswer answer = Ask("a1");
  EXPECT_EQ(answer.Field("truncated"), "true");
  EXPECT_EQ(Files(answer).size(), 1000U);
  const std::string diff = answer.Field("diff");
  EXPECT_LE(diff.size(), size_t{1} << 20);
  EXPECT_TRUE(diff.ends_with('\n'));
}

// A repository may name programs in many places. None of them is run, and nothing is written into it.
TEST_F(AgentChanges, RunNoProgramThatTheRepositoryNames) {
  WriteFile(dir.path() + "/evil", "#!/bin/sh\ntouch " + dir.path() + "/was-run\ncat\n");
  Shell(R"(chmod +x evil; cd repo; evil=$PWD/../evil
for name in core.fsmonitor diff.external filter.f.clean filter.f.smudge filter.f.process diff.d.textconv \
  diff.d.command core.alternateRefsCommand core.pager core.sshCommand; do git config $name $evil; done
git config filter.f.required true
mkdir -p .git/hooks; for name in post-index-change pre-commit; do cp $evil .git/hooks/$name; done
echo '* filter=f diff=d' > .gitattributes; cp .gitattributes .git/info/attributes; echo three >> file
rm -f ../was-run; find .git | sort > ../before)");
  Create("a1", "/repo");
  const HttpAnswer answer = Ask("a1");
  EXPECT_EQ(Files(answer)["file"], "modified +1 -0") << answer.body;
  Shell("test ! -e was-run; cd repo; find .git | sort | cmp - ../before");
}

TEST_F(AgentChanges, AreSharedByThoseWhoAskTogether) {
  Shell("echo 1 > repo/first");
  Create("a1", "/repo");
  std::vector<std::unique_ptr<HttpConnection>> connections;
  for (int i = 0; i < 20; ++i) {
    connections.push_back(std::make_unique<HttpConnection>(daemon.address()));
    connections.back()->Send("GET", "/agents/a1/changes", "",
                             {{"Authorization", "Bearer " + daemon.token()}});
  }
  for (auto& one : connections) EXPECT_EQ(Files(one->Receive()), (FileMap{{"first", "added +1 -0"}}));
}

}  // namespace
}  // namespace reeve
