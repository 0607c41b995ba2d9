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
  Create("a1", "/repo");
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

TEST_F(AgentChanges, AreThoseInTheAgentsFolder) {
  Shell(
      "cd repo && mkdir 'sub/*' && echo 1 > 'sub/*/in' && echo 2 >> sub/gone && echo 3 >> file && echo 4 > out");
  Create("a1", "/repo/sub");
  EXPECT_EQ(Files(Ask("a1")), (FileMap{{"sub/*/in", "added +1 -0"}, {"sub/gone", "modified +1 -0"}}));
  Create("a2", "/repo/sub/*");
  EXPECT_EQ(Files(Ask("a2")), (FileMap{{"sub/*/in", "added +1 -0"}}));
}

// The agent may have written anything into .git, and those who may look at its changes may not read other
// files.
TEST_F(AgentChanges, ShowNothingThatTheRepositoryPointsTo) {
  Shell(R"(mkdir secret && cd secret && git init -q && echo password > committed && git add -A &&
git commit -qm secret && echo password > new; cd ..
for name in worktree link gitdir commondir refs packed head; do git clone -q repo $name; done
git -C worktree config core.worktree $PWD/secret; echo 1 > worktree/mine
mv link/.git moved; ln -s ../secret/.git link/.git
rm -r gitdir/.git; echo "gitdir: $PWD/secret/.git" > gitdir/.git
echo $PWD/secret/.git > commondir/.git/commondir
for name in refs packed head; do echo $PWD/secret/.git/objects > $name/.git/objects/info/alternates; done
rm -r refs/.git/refs; ln -s $PWD/secret/.git/refs refs/.git/refs
git -C secret pack-refs --all; rm -rf packed/.git/refs/heads/*; ln -sf $PWD/secret/.git/packed-refs packed/.git/packed-refs
git -C secret rev-parse HEAD > hash; rm head/.git/HEAD; ln -s $PWD/hash head/.git/HEAD)");
  Create("worktree", "/worktree");
  EXPECT_EQ(Files(Ask("worktree")), (FileMap{{"mine", "added +1 -0"}}));
  for (const char* name : {"link", "gitdir", "commondir", "refs", "packed", "head"}) {
    Create(name, std::string("/") + name);
    const HttpAnswer answer = daemon.Get(std::string("/agents/") + name + "/changes");
    EXPECT_EQ(answer.status, 502) << name << answer.body;
    EXPECT_EQ(answer.Field("code"), "changes_unavailable") << name;
    EXPECT_EQ(answer.body.find("password"), std::string::npos) << answer.body;
  }
}

// git prints lines that it does not understand, and the files may be links.
TEST_F(AgentChanges, RepeatNoLineOfAFileInAnError) {
  Shell(
      "echo password > secret; cd repo/.git; ln -s ../../../../secret objects/info/alternates;"
      "printf '%040d\\n' 1 > refs/heads/trunk");
  Create("a1", "/repo");
  const HttpAnswer answer = daemon.Get("/agents/a1/changes");
  EXPECT_EQ(answer.status, 502) << answer.body;
  EXPECT_NE(answer.body.find("git read-tree failed"), std::string::npos) << answer.body;
  EXPECT_EQ(answer.body.find("password"), std::string::npos) << answer.body;
}

TEST_F(AgentChanges, LeaveOutTheDaemonsData) {
  Shell("git init -q home; touch home/seen");
  Daemon::Options options;
  options.data_dir = dir.path() + "/home/data";
  const Daemon other(options);
  const auto ask = [&](const char* id, const std::string& folder) {
    other.Create(R"({"id":")" + std::string(id) + R"(","kind":"process","command":["true"],"cwd":")" +
                 dir.path() + folder + "\"}");
    other.WaitFor(id);
    return other.Get("/agents/" + std::string(id) + "/changes");
  };
  EXPECT_EQ(Files(ask("above", "/home")), (FileMap{{"seen", "added +0 -0"}}));
  EXPECT_EQ(ask("within", "/home/data").status, 502);
}

TEST_F(AgentChanges, AreFoundBelowFoldersWithAnyName) {
  Shell(R"(git clone -q repo 'a:b"c\d' && cd 'a:b"c\d' && echo zwei >> file)");
  Create("a1", R"(/a:b\"c\\d)");
  EXPECT_EQ(Files(Ask("a1")), (FileMap{{"file", "modified +1 -0"}}));
}

TEST_F(AgentChanges, OfARepositoryWithSha256AreRefused) {
  Shell("git init -q --object-format=sha256 wide");
  Create("a1", "/wide");
  const HttpAnswer answer = daemon.Get("/agents/a1/changes");
  EXPECT_EQ(answer.status, 502);
  EXPECT_NE(answer.body.find("SHA-256"), std::string::npos) << answer.body;
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
