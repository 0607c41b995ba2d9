// Agents that work in clones of their own (orchestrator/workspace/WORKSPACES.md): the real git, and
// repositories that are up to no good.
#include <arpa/inet.h>
#include <glob.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>
#include <algorithm>

#include <cstdio>
#include <cstring>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "tests/support/daemon.h"
#include "tests/support/paths.h"
#include "tests/support/sanitized.h"
#include "tests/support/test_server.h"

namespace reeve {
namespace {

using testing::AnyOf;
using testing::HasSubstr;

// Runs a script in `folder`; its stdout. A failure is the test's.
std::string Shell(const std::string& folder, const std::string& script) {
  const std::string file = folder + "/.shell-" + std::to_string(getpid());
  WriteFile(file,
            "export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null\n"
            "export GIT_AUTHOR_NAME=t GIT_AUTHOR_EMAIL=t@t GIT_COMMITTER_NAME=t GIT_COMMITTER_EMAIL=t@t\n"
            "set -e; cd " +
                folder + "\n" + script);
  FILE* pipe = popen(("sh " + file + " 2>" + file + ".err").c_str(), "r");
  std::string out;
  char buffer[4096];
  for (size_t got = 0; (got = fread(buffer, 1, sizeof buffer, pipe)) > 0;) out.append(buffer, got);
  EXPECT_EQ(pclose(pipe), 0) << script << "\n" << ReadFile(file + ".err");
  unlink(file.c_str());
  unlink((file + ".err").c_str());
  return out;
}

// A repository of one commit, and a daemon that may clone it.
class WorkspaceTest : public ::testing::Test {
 protected:
  WorkspaceTest() {
    Shell(dir.path(), R"(git init -q -b trunk source && cd source
echo one > file && mkdir sub && echo x > sub/x && git add -A && git commit -qm one && git tag v1
git branch feature && echo two > file && git commit -qam two
cd .. && git clone -q --bare source repo.git)");
  }
  static Daemon::Options Options(std::vector<std::string> more = {}) {
    Daemon::Options options;
    options.arguments = {"--workspace-protocol", "file", "--workspace-protocol", "http",
                         "--workspace-protocol", "https"};
    options.arguments.insert(options.arguments.end(), more.begin(), more.end());
    return options;
  }
  [[nodiscard]] std::string Url() const { return "file://" + dir.path() + "/repo.git"; }
  // An agent that runs `script` in a clone; `more` are members of `workspace`, each with a comma before it.
  [[nodiscard]] std::string Spec(const std::string& id, const std::string& script,
                                 const std::string& more = "", const std::string& fields = "",
                                 const std::string& url = "") const {
    JsonArray command;
    for (const std::string& word : {std::string("/bin/sh"), std::string("-c"), script}) command.Add(word);
    return R"({"id":")" + id + R"(","kind":"process","command":)" + command.Take() +
           R"(,"workspace":{"git":")" + (url.empty() ? Url() : url) + "\"" + more + "}" + fields + "}";
  }

  TempDir dir;
};

std::string Said(const Daemon& daemon, const std::string& id = "a1") {
  std::string said;
  for (const std::string& event : daemon.Events(id, "after=0&types=agent.output"))
    said += JsonField(event, "data.text") + "\n";
  return said;
}

// The output of its process, once that has ended.
std::string Output(const Daemon& daemon, const std::string& id = "a1") {
  EXPECT_EQ(daemon.WaitFor(id, "until=terminal").status, 200);
  return Said(daemon, id);
}

std::string First(const Daemon& daemon, const std::string& type, const std::string& field,
                  const std::string& id = "a1") {
  const auto events = daemon.Events(id, "after=0&types=" + type);
  return events.empty() ? "" : JsonField(events[0], field);
}

bool UntilState(const Daemon& daemon, const std::string& state, const std::string& id = "a1") {
  return Eventually([&] { return daemon.Get("/agents/" + id).Field("state") == state; });
}

std::set<std::string> NamesIn(const std::string& folder) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) names.insert(entry.path().filename());
  return names;
}

// --- what it is

TEST_F(WorkspaceTest, IsACloneOfTheRepositorysOwnBranch) {
  Daemon daemon(Options());
  const HttpAnswer made = daemon.Post(
      "/agents",
      Spec("a1", "pwd; cat ../file; git rev-parse --abbrev-ref HEAD; git status --porcelain; git fsck 2>&1",
           "", R"(,"cwd":"sub")"));
  ASSERT_EQ(made.status, 201) << made.body;
  EXPECT_EQ(made.Field("state"), "starting");
  const std::string path = daemon.data_dir() + "/workspaces/a1";
  EXPECT_EQ(Output(daemon), path + "/sub\ntwo\ntrunk\n");
  EXPECT_EQ(First(daemon, "workspace.ready", "data.path"), path);
  EXPECT_EQ(First(daemon, "workspace.ready", "data.branch"), "trunk");
  EXPECT_EQ(First(daemon, "workspace.ready", "data.commit") + "\n",
            Shell(dir.path() + "/source", "git rev-parse trunk"));
  // Nothing of its objects is its own.
  EXPECT_EQ(Shell(path, "find .git/objects -type f ! -path '*/info/*' | wc -l"), "0\n");
  EXPECT_EQ(Shell(path, "git config remote.origin.url"), Url() + "\n");
  EXPECT_EQ(NamesIn(path + "/.git").count("hooks"), 0U);
}

TEST_F(WorkspaceTest, HasTheBranchThatWasAskedFor) {
  Daemon daemon(Options());
  const std::string show = "git log -1 --format='%s %D'; git rev-parse --abbrev-ref '@{u}' 2>&1 | tail -1";
  daemon.Create(Spec("there", show, R"(,"branch":"feature")"));
  daemon.Create(Spec("fresh", show, R"(,"branch":"topic/new")"));
  daemon.Create(Spec("based", show, R"(,"branch":"topic/old","base":"v1")"));
  const std::string one = Shell(dir.path() + "/source", "git rev-parse v1");
  daemon.Create(Spec("commit", show, R"(,"branch":"c","base":")" + one.substr(0, 40) + "\""));
  EXPECT_EQ(Output(daemon, "there"), "one HEAD -> feature, tag: v1, origin/feature\norigin/feature\n");
  EXPECT_THAT(Output(daemon, "fresh"), HasSubstr("two HEAD -> topic/new, origin/trunk"));
  EXPECT_THAT(Output(daemon, "based"), HasSubstr("one HEAD -> topic/old, tag: v1"));
  EXPECT_THAT(Output(daemon, "commit"), HasSubstr("one HEAD -> c, tag: v1"));
  daemon.Create(Spec("wrong", show, R"(,"branch":"x","base":"no-such")"));
  ASSERT_TRUE(UntilState(daemon, "failed", "wrong"));
  EXPECT_EQ(First(daemon, "agent.failed", "data.code", "wrong"), "workspace_failed");
  EXPECT_THAT(daemon.Get("/agents/wrong").Field("reason"), HasSubstr("no branch or tag no-such"));
}

TEST_F(WorkspaceTest, OfAnEmptyRepositoryIsEmpty) {
  Shell(dir.path(), "git init -q --bare -b main empty.git");
  Daemon daemon(Options());
  daemon.Create(Spec("a1", "git symbolic-ref HEAD; ls", "", "", "file://" + dir.path() + "/empty.git"));
  EXPECT_EQ(Output(daemon), "refs/heads/main\n");
}

// As `git clone` does.
TEST_F(WorkspaceTest, OfADetachedHeadIsItsCommit) {
  Shell(dir.path(),
        "git clone -q repo.git work && cd work && git -c user.name=a -c user.email=a@a commit -q "
        "--allow-empty -m "
        "detached && git push -q origin HEAD:refs/hidden/one");
  const std::string commit = Shell(dir.path() + "/work", "git rev-parse HEAD");
  Shell(dir.path() + "/repo.git", "echo " + commit.substr(0, 40) + " > HEAD");
  Daemon daemon(Options());
  daemon.Create(Spec("a1", "git log -1 --format='%H %s'; git symbolic-ref -q HEAD; git status --porcelain"));
  EXPECT_EQ(Output(daemon), commit.substr(0, 40) + " detached\n");
  EXPECT_EQ(First(daemon, "workspace.ready", "data.branch"), "");
  EXPECT_EQ(First(daemon, "workspace.ready", "data.commit") + "\n", commit);
  daemon.Create(Spec("named", "git log -1 --format=%s; git symbolic-ref HEAD", R"(,"branch":"mine")"));
  EXPECT_EQ(Output(daemon, "named"), "detached\nrefs/heads/mine\n");
  daemon.Create(Spec("based", "git symbolic-ref HEAD", R"(,"branch":"trunk")"));
  EXPECT_EQ(Output(daemon, "based"), "refs/heads/trunk\n");
}

// Unknown is not the same as empty.
TEST_F(WorkspaceTest, OfADanglingHeadFailsAndSaysWhy) {
  Shell(dir.path() + "/repo.git", "echo 'ref: refs/heads/gone' > HEAD");
  Daemon daemon(Options());
  daemon.Create(Spec("a1", "ls"));
  ASSERT_TRUE(UntilState(daemon, "failed"));
  EXPECT_THAT(daemon.Get("/agents/a1").Field("reason"), HasSubstr("HEAD names a branch that does not exist"));
  daemon.Create(Spec("new", "ls", R"(,"branch":"mine")"));
  ASSERT_TRUE(UntilState(daemon, "failed", "new"));
  daemon.Create(Spec("based", "git symbolic-ref HEAD", R"(,"branch":"mine","base":"trunk")"));
  EXPECT_EQ(Output(daemon, "based"), "refs/heads/mine\n");
}

TEST_F(WorkspaceTest, IsUsedAsItIsUntilItIsPurged) {
  Daemon daemon(Options());
  daemon.Create(Spec("a1", "cat mine; echo mine > mine"));
  Output(daemon);
  Shell(dir.path(), "mv repo.git away.git");  // nothing is asked for again
  EXPECT_EQ(daemon.Post("/agents/a1/start").status, 202);
  EXPECT_TRUE(Eventually([&] { return Said(daemon).find("mine\n") != std::string::npos; }));
  EXPECT_EQ(daemon.Events("a1", "after=0&types=workspace.ready").size(), 1U);
  daemon.Kill();
  daemon.Start();
  const std::string path = daemon.data_dir() + "/workspaces/a1";
  EXPECT_EQ(ReadFile(path + "/mine"), "mine\n");
  EXPECT_THAT(daemon.Call("DELETE", "/agents/a1").status, AnyOf(202, 204));
  EXPECT_EQ(ReadFile(path + "/mine"), "mine\n");
  EXPECT_THAT(daemon.Call("DELETE", "/agents/a1?purge=true").status, AnyOf(202, 204));
  EXPECT_TRUE(Eventually([&] { return access(path.c_str(), F_OK) != 0; }));
  EXPECT_TRUE(Eventually([&] { return NamesIn(daemon.data_dir() + "/trash").empty(); }));
  // A mirror that nobody needs goes at the next start.
  EXPECT_EQ(NamesIn(daemon.data_dir() + "/mirrors").size(), 1U);
  daemon.Kill();
  daemon.Start();
  EXPECT_TRUE(Eventually([&] { return NamesIn(daemon.data_dir() + "/mirrors").empty(); }));
}

TEST_F(WorkspaceTest, TenAgentsAtOnceShareOneMirrorAndNothingElse) {
  Daemon daemon(Options());
  for (int i = 0; i < 10; ++i) {
    daemon.Create(Spec("a" + std::to_string(i),
                       "git config core.fsmonitor /bin/false; git checkout -q -b mine; git -c user.name=a -c "
                       "user.email=a@a commit -q --allow-empty -m own; git branch --list mine"));
  }
  for (int i = 0; i < 10; ++i) EXPECT_EQ(Output(daemon, "a" + std::to_string(i)), "* mine\n") << i;
  EXPECT_EQ(NamesIn(daemon.data_dir() + "/mirrors").size(), 1U);
  // The next clone has the newer commits of upstream.
  Shell(dir.path() + "/source", "echo three > file; git commit -qam three; git push -q ../repo.git trunk");
  daemon.Create(Spec("late", "cat file"));
  EXPECT_EQ(Output(daemon, "late"), "three\n");
}

TEST_F(WorkspaceTest, BorrowedObjectsStayWhenUpstreamDropsThem) {
  Daemon daemon(Options());
  daemon.Create(Spec("a1", "sleep 600", R"(,"branch":"feature")"));
  ASSERT_TRUE(UntilState(daemon, "running"));
  Shell(dir.path() + "/repo.git",
        "git branch -D feature >/dev/null; git update-ref refs/heads/trunk $(git commit-tree -m other "
        "trunk^{tree}); "
        "git tag -d v1 >/dev/null; git gc -q --prune=now");
  daemon.Create(Spec("a2", "git log --format=%s"));
  EXPECT_EQ(Output(daemon, "a2"), "other\n");
  const std::string mirror =
      daemon.data_dir() + "/mirrors/" + *NamesIn(daemon.data_dir() + "/mirrors").begin();
  Shell(mirror, "git gc -q --auto");
  EXPECT_EQ(Shell(daemon.data_dir() + "/workspaces/a1",
                  "git fsck --connectivity-only >/dev/null 2>&1; git log --format=%s"),
            "one\n");
}

// A git that was killed while it wrote them, or a daemon.
TEST_F(WorkspaceTest, DraftsInAMirrorDoNotStopTheNextFetch) {
  Daemon daemon(Options());
  daemon.Create(Spec("a1", "echo works"));
  EXPECT_EQ(Output(daemon, "a1"), "works\n");
  const std::string mirror =
      daemon.data_dir() + "/mirrors/" + *NamesIn(daemon.data_dir() + "/mirrors").begin();
  Shell(mirror, "git pack-refs --all; echo half > packed-refs.new; echo half > .new-0123456789abcdef");
  Shell(dir.path() + "/repo.git", "git branch -D feature");
  daemon.Create(Spec("a2", "echo works"));
  EXPECT_EQ(Output(daemon, "a2"), "works\n") << daemon.Get("/agents/a2").body;
  EXPECT_EQ(Shell(mirror, "git branch --list feature; ls -A | grep new || true"), "");
}

// --- refusals

TEST_F(WorkspaceTest, RefusalsNameTheFieldAndKeepNoSecret) {
  Daemon daemon(Options());
  const std::pair<const char*, const char*> cases[] = {
      {R"({"git":"https://user:hunter2secret@host/x"})", "workspace.git: must not contain credentials"},
      {R"({"git":"ext::sh -c touch% /tmp/x"})", "workspace.git: must"},
      {R"({"git":"--upload-pack=touch /tmp/x"})", "workspace.git: must not begin with '-'"},
      {R"({"git":"ssh://-oProxyCommand=x/y"})", "workspace.git: must be"},
      {R"({"git":"ssh://host/x"})", "does not allow the protocol ssh"},
      {R"({"git":"https://host/x","branch":"--force"})", "workspace.branch: is not a ref"},
      {R"({"git":"https://host/x","branch":"a..b"})", "workspace.branch: is not a ref"},
      {R"({"git":"https://host/x","base":"a b"})", "workspace.base: is not a ref"},
      {R"({"branch":"x"})", "workspace.git: must be an address"},
      {R"({"git":"https://host/x","depth":1})", "unknown field workspace.depth"},
  };
  for (const auto& [workspace, reason] : cases) {
    const HttpAnswer answer = daemon.Post(
        "/agents", std::string(R"({"kind":"process","command":["true"],"workspace":)") + workspace + "}");
    EXPECT_EQ(answer.status, 400) << workspace;
    EXPECT_THAT(answer.body, HasSubstr(reason)) << workspace;
    EXPECT_EQ(answer.body.find("hunter2"), std::string::npos);
  }
  for (const char* cwd : {"/tmp", "../x", "a/../../x"}) {
    const HttpAnswer answer =
        daemon.Post("/agents", Spec("a1", "true", "", std::string(R"(,"cwd":")") + cwd + "\""));
    EXPECT_THAT(answer.body, HasSubstr("cwd: must be a path below the workspace")) << cwd;
  }
}

TEST_F(WorkspaceTest, WithoutGitItSaysSo) {
  Daemon::Options options = Options();
  options.environment = {"PATH=" + dir.path()};
  Daemon daemon(options);
  const HttpAnswer answer = daemon.Post(
      "/agents", R"({"kind":"process","command":["/bin/true"],"workspace":{"git":")" + Url() + "\"}}");
  EXPECT_EQ(answer.status, 400);
  EXPECT_THAT(answer.body, HasSubstr("git is not installed"));
}

// --- repositories that are up to no good

TEST_F(WorkspaceTest, NothingThatARepositoryHoldsRunsInOurGit) {
  const std::string ran = dir.path() + "/ran";
  const std::string evil = "touch " + ran + "; cat";
  Shell(dir.path() + "/source",
        "mkdir hooks; for h in post-checkout pre-commit reference-transaction; do "
        "printf '#!/bin/sh\ntouch " +
            ran +
            "\n' > hooks/$h; chmod +x hooks/$h; done; cp -r hooks ../repo.git/; "
            "echo '* filter=evil diff=evil' > .gitattributes; "
            "printf '[filter \"evil\"]\n\tsmudge = " +
            evil + "\n\tclean = " + evil + "\n[core]\n\tfsmonitor = touch " + ran +
            "\n' > .gitconfig; ln -s /etc out; ln -s ../../.. up; "
            "printf '[submodule \"x\"]\n\tpath = x\n\turl = ext::sh -c touch%% " +
            ran +
            "\n' > .gitmodules; git add -A; git update-index --add --cacheinfo 160000,$(git rev-parse "
            "HEAD),x; git commit -qm evil; git config core.hooksPath /dev/null; git push -q ../repo.git "
            "trunk; rm -f " +
            ran);
  Daemon daemon(Options());
  daemon.Create(Spec("a1", "readlink out; cat .gitmodules | head -1"));
  EXPECT_EQ(Output(daemon), "/etc\n[submodule \"x\"]\n");
  EXPECT_NE(access(ran.c_str(), F_OK), 0);
  // Its links do not lead the process out of the workspace.
  for (const char* cwd : {"out", "up"}) {
    const std::string id = cwd;
    daemon.Create(Spec(id, "pwd", "", std::string(R"(,"cwd":")") + cwd + "\""));
    ASSERT_TRUE(UntilState(daemon, "failed", id));
    EXPECT_THAT(daemon.Get("/agents/" + id).Field("reason"), HasSubstr("leads out"));
  }
}

TEST_F(WorkspaceTest, RefsThatLookLikeOptionsAreNoMatter) {
  Shell(dir.path() + "/repo.git",
        "c=$(git rev-parse trunk); for n in -f --upload-pack=x; do echo $c > refs/heads/$n; done; "
        "echo 'ref: refs/heads/--upload-pack=x' > HEAD");
  Daemon daemon(Options());
  daemon.Create(Spec("a1", "git rev-parse --abbrev-ref HEAD", R"(,"branch":"trunk")"));
  ASSERT_TRUE(Eventually([&] {
    const std::string state = daemon.Get("/agents/a1").Field("state");
    return state == "exited" || state == "failed";
  }));
  EXPECT_EQ(Said(daemon), "trunk\n") << daemon.Get("/agents/a1").Field("reason");
}

TEST_F(WorkspaceTest, WhatAnAgentPutIntoTheMirrorIsNotRun) {
  Daemon daemon(Options());
  daemon.Create(Spec("a1", "true"));
  Output(daemon);
  const std::string mirror =
      daemon.data_dir() + "/mirrors/" + *NamesIn(daemon.data_dir() + "/mirrors").begin();
  const std::string ran = dir.path() + "/ran";
  Shell(mirror, "mkdir hooks; printf '#!/bin/sh\ntouch " + ran +
                    "\n' > hooks/reference-transaction; chmod +x hooks/*; "
                    "git config url.ext::touch.insteadOf file://; git config core.fsmonitor 'touch " +
                    ran + "'; git config uploadpack.packObjectsHook 'touch " + ran +
                    "'; touch config.lock refs/heads/trunk.lock objects/pack/tmp_pack_x");
  Shell(dir.path() + "/source",
        "echo three > file; git commit -qam three; git push -q ../repo.git trunk; rm -f " + ran);
  daemon.Create(Spec("a2", "cat file"));
  EXPECT_EQ(Output(daemon, "a2"), "three\n");
  EXPECT_NE(access(ran.c_str(), F_OK), 0);
  EXPECT_NE(access((mirror + "/objects/pack/tmp_pack_x").c_str(), F_OK), 0);
}

// --- credentials

// Serves a bare repository's files to whoever has the password; counts the others.
class GuardedRepository {
 public:
  GuardedRepository(Loop& loop, std::string folder)
      : folder_(std::move(folder)),
        server_(loop, [this](TestServer::Connection& peer, const TestServer::Request& request) {
          Answer(peer, request);
        }) {}
  [[nodiscard]] std::string Address(const std::string& credentials) const {
    return "http://" + credentials + "127.0.0.1:" + std::to_string(server_.port());
  }
  [[nodiscard]] int refused() const { return refused_; }

 private:
  void Answer(TestServer::Connection& peer, const TestServer::Request& request) {
    auto said = request.headers.find("authorization");
    if (said == request.headers.end() || said->second != "Basic " + Base64("me:hunter2secret")) {
      if (said != request.headers.end()) ++refused_;
      return peer.Answer(401, "you said hunter3wrong", "WWW-Authenticate: Basic realm=\"x\"\r\n");
    }
    const std::string path = folder_ + request.target.substr(0, request.target.find('?'));
    if (access(path.c_str(), R_OK) != 0) return peer.Answer(404, "");
    peer.Answer(200, ReadFile(path));
  }

  const std::string folder_;
  int refused_ = 0;
  TestServer server_;
};

TEST_F(WorkspaceTest, CredentialsComeFromAFileAndGoNowhereElse) {
  Shell(dir.path() + "/repo.git", "git update-server-info");
  Loop loop;
  const GuardedRepository repository(loop, dir.path());
  const std::string file = dir.path() + "/it's credentials";
  const std::string wrong = repository.Address("me:hunter3wrong@") + "\n";
  WriteFile(file, wrong);
  Daemon daemon(Options({"--git-credentials", file}));
  daemon.Create(Spec("a1", "git config -l; env; cat file", "", "", repository.Address("") + "/repo.git"));
  auto state = [&daemon] { return daemon.Get("/agents/a1").Field("state"); };
  ASSERT_TRUE(RunUntil(
      loop, [&] { return state() == "failed"; }, kPatienceMs));
  EXPECT_GT(repository.refused(), 0);
  EXPECT_THAT(daemon.Get("/agents/a1").Field("reason"), HasSubstr("Authentication failed"));
  EXPECT_EQ(ReadFile(file), wrong) << "git may not write to it";

  WriteFile(file, repository.Address("me:hunter2secret@") + "\n");
  EXPECT_EQ(daemon.Post("/agents/a1/start").status, 202);
  ASSERT_TRUE(RunUntil(
      loop, [&] { return state() == "exited"; }, kPatienceMs));
  EXPECT_THAT(Said(daemon), HasSubstr("two\n"));
  size_t files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(daemon.data_dir())) {
    if (!entry.is_regular_file()) continue;
    ++files;
    EXPECT_EQ(ReadFile(entry.path()).find("hunter"), std::string::npos) << entry.path();
  }
  EXPECT_GT(files, 0U);
  EXPECT_EQ(daemon.log().find("hunter"), std::string::npos);
}

// --- interruptions

// Takes connections and never says a word.
class SilentServer {
 public:
  SilentServer() : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(bind(fd_.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(fd_.get(), 16), 0);
    EXPECT_EQ(getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
    url_ = "http://127.0.0.1:" + std::to_string(ntohs(address.sin_port)) + "/repo.git";
  }
  [[nodiscard]] const std::string& url() const { return url_; }

 private:
  Fd fd_;
  std::string url_;
};

// The gits of this daemon that run.
std::vector<pid_t> Gits(const Daemon& daemon) {
  std::vector<pid_t> gits;
  for (pid_t pid : ProcessesWith("REEVE_TOWN_ID=" + daemon.town_id())) {
    if (ReadFile("/proc/" + std::to_string(pid) + "/comm").rfind("git", 0) == 0) gits.push_back(pid);
  }
  return gits;
}

TEST_F(WorkspaceTest, ANetworkThatHangsIsGivenUp) {
  const SilentServer server;
  Daemon daemon(Options({"--workspace-timeout", "500ms"}));
  const HttpAnswer made = daemon.Post("/agents", Spec("a1", "true", "", "", server.url()));
  ASSERT_EQ(made.status, 201) << made.body;
  ASSERT_TRUE(UntilState(daemon, "failed"));
  EXPECT_EQ(First(daemon, "agent.failed", "data.code"), "workspace_timeout");
  EXPECT_TRUE(Eventually([&] { return Gits(daemon).empty(); }));
  // A start tries again.
  EXPECT_EQ(daemon.Post("/agents/a1/start").status, 202);
  EXPECT_TRUE(Eventually([&] { return daemon.Events("a1", "after=0&types=agent.failed").size() == 2; }));
}

TEST_F(WorkspaceTest, AStopInTheMiddleEndsGit) {
  const SilentServer server;
  Daemon daemon(Options());
  for (const char* id : {"a1", "a2"}) daemon.Create(Spec(id, "true", "", "", server.url()));
  ASSERT_TRUE(Eventually([&] { return !Gits(daemon).empty(); }));
  EXPECT_EQ(daemon.Get("/agents/a1").Field("state"), "starting");
  EXPECT_EQ(daemon.Post("/agents/a1/stop").status, 202);
  ASSERT_TRUE(UntilState(daemon, "exited"));
  EXPECT_TRUE(Eventually([&] { return !Gits(daemon).empty(); })) << "for the other one";
  EXPECT_THAT(daemon.Call("DELETE", "/agents/a2?purge=true").status, AnyOf(202, 204));
  EXPECT_TRUE(Eventually([&] { return Gits(daemon).empty(); }));
  EXPECT_TRUE(Eventually([&] { return daemon.Get("/agents/a2").status == 404; }));
  // One repository that hangs holds nobody else up.
  daemon.Create(Spec("a3", "true", "", "", server.url()));
  daemon.Create(Spec("a4", "cat file"));
  EXPECT_EQ(Output(daemon, "a4"), "two\n");
}

TEST_F(WorkspaceTest, ItIsBegunAnewAfterAHandover) {
  const SilentServer server;
  Daemon daemon(Options());
  daemon.Create(Spec("a1", "true", "", "", server.url()));
  ASSERT_TRUE(Eventually([&] { return !Gits(daemon).empty(); }));
  const std::vector<pid_t> before = Gits(daemon);
  ASSERT_TRUE(daemon.HandOver());
  EXPECT_EQ(daemon.Get("/agents/a1").Field("state"), "starting");
  ASSERT_TRUE(Eventually([&] { return !Gits(daemon).empty(); }));
  const std::vector<pid_t> after = Gits(daemon);
  ASSERT_FALSE(after.empty());
  for (pid_t pid : after) EXPECT_EQ(std::count(before.begin(), before.end(), pid), 0);
  EXPECT_THAT(daemon.Call("DELETE", "/agents/a1").status, AnyOf(202, 204));
  EXPECT_TRUE(Eventually([&] { return Gits(daemon).empty(); }));
}

TEST_F(WorkspaceTest, AKillInTheMiddleLeavesNothingHalf) {
  Shell(dir.path() + "/source",
        "for i in $(seq 400); do head -c 3000 /dev/urandom > blob$i; done; git add -A; git commit -qm many; "
        "git push -q ../repo.git trunk");
  Daemon daemon(Options());
  // Each moment is one step further on.
  const char* moments[] = {"mirrors/*",
                           "mirrors/*/objects/pack/*",
                           "workspaces/.new-*",
                           "workspaces/.new-*/.git",
                           "workspaces/.new-*/.git/index*",
                           "workspaces/.new-*/blob1"};
  for (const char* moment : moments) {
    const std::string id = "r" + std::to_string(std::strlen(moment));
    daemon.Create(Spec(id, "ls | wc -l; git status --porcelain", "", R"(,"restart":{"policy":"always"})"));
    ASSERT_TRUE(Eventually([&] {
      glob_t found{};
      const std::string pattern = daemon.data_dir() + "/" + moment;
      const bool there = glob(pattern.c_str(), 0, nullptr, &found) == 0;
      globfree(&found);
      return there || access((daemon.data_dir() + "/workspaces/" + id).c_str(), F_OK) == 0;
    }));
    daemon.Kill();
    daemon.Start();
    ASSERT_TRUE(Eventually([&] { return Said(daemon, id).find("402\n") != std::string::npos; }))
        << Said(daemon, id) << daemon.Get("/agents/" + id).body;
    EXPECT_THAT(daemon.Call("DELETE", "/agents/" + id + "?purge=true").status, AnyOf(202, 204));
  }
  EXPECT_TRUE(Eventually([&] { return NamesIn(daemon.data_dir() + "/workspaces").empty(); }));
  EXPECT_TRUE(Gits(daemon).empty());
}

// After a power cut its name would say that it is whole.
TEST_F(WorkspaceTest, ItHasItsNameOnlyOnceItIsOnTheDisk) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer's runtime must come before anything that is preloaded";
  const std::string armed = dir.path() + "/armed";
  WriteFile(armed, "");
  Daemon::Options options = Options();
  options.environment = {std::string("LD_PRELOAD=") + kFaults, "REEVE_FAULT=syncfs",
                         "REEVE_FAULT_ARMED=" + armed};
  Daemon daemon(options);
  daemon.Create(Spec("a1", "cat file"));
  ASSERT_TRUE(UntilState(daemon, "failed"));
  EXPECT_THAT(daemon.Get("/agents/a1").Field("reason"), HasSubstr("workspace: sync "));
  EXPECT_TRUE(Eventually([&] { return NamesIn(daemon.data_dir() + "/workspaces").empty(); }));
  unlink(armed.c_str());
  EXPECT_EQ(daemon.Post("/agents/a1/start").status, 202);
  EXPECT_TRUE(Eventually([&] { return Said(daemon) == "two\n"; }));
}

// A ref or an object that a power cut leaves empty would be in every later fetch's way. Packs git syncs
// anyway.
TEST_F(WorkspaceTest, WhatComesIntoAMirrorIsSynced) {
  const std::string git = Shell(dir.path(), "command -v git");
  WriteFile(dir.path() + "/bin-git", "#!/bin/sh\necho $(" + git.substr(0, git.size() - 1) +
                                         " config core.fsync): \"$@\" >> " + dir.path() + "/ran\nexec " +
                                         git.substr(0, git.size() - 1) + " \"$@\"\n");
  Shell(dir.path(), "mkdir bin; mv bin-git bin/git; chmod +x bin/git");
  Daemon::Options options = Options();
  options.environment = {"PATH=" + dir.path() + "/bin:" + std::getenv("PATH")};
  Daemon daemon(options);
  daemon.Create(Spec("a1", "cat file"));
  EXPECT_EQ(Output(daemon), "two\n");
  EXPECT_THAT(ReadFile(dir.path() + "/ran"), testing::ContainsRegex("loose-object,reference: [^\n]* fetch "));
}

TEST_F(WorkspaceTest, AFailedStartIsTriedAgainByPolicy) {
  Daemon daemon(Options());
  Shell(dir.path(), "mv repo.git away.git");
  daemon.Create(Spec("a1", "cat file", "", R"(,"restart":{"policy":"on_failure"})"));
  ASSERT_TRUE(UntilState(daemon, "backoff"));
  Shell(dir.path(), "mv away.git repo.git");
  EXPECT_TRUE(Eventually([&] { return Said(daemon) == "two\n"; }));
}

// --- work that is not committed

std::string Wip(const std::string& repository, const std::string& command) {
  return Shell(repository, "git " + command + " reeve/a1/wip 2>/dev/null || true");
}

// Another repository, of the agent's choice, gets nothing.
TEST_F(WorkspaceTest, WorkIsSavedNowhereButInTheClone) {
  Shell(dir.path(), "git init -q other");
  const std::string other = dir.path() + "/other/.git";
  Daemon daemon(Options({"--workspace-wip", "commit"}));
  const std::vector<std::pair<std::string, std::string>> tricks = {
      {"link", "mv .git real; ln -s " + other + " .git"},
      {"file", "mv .git real; echo gitdir: " + other + " > .git"},
      {"common", "echo " + other + " > .git/commondir"},
      {"objects", "mv .git/objects/* " + other + "/objects/; rm -rf .git/objects; ln -s " + other +
                      "/objects .git/objects"},
      {"refs",
       "cp -r .git/refs/* " + other + "/refs/; rm -rf .git/refs; ln -s " + other + "/refs .git/refs"}};
  for (const auto& [id, trick] : tricks) {
    daemon.Create(Spec(id, "echo mine > mine; " + trick + "; echo at work; exec sleep 600"));
    ASSERT_TRUE(
        Eventually([&, one = id] { return Said(daemon, one).find("at work\n") != std::string::npos; }));
  }
  const std::string before = Shell(other, "find . | sort");
  daemon.Signal(SIGTERM);
  (void)daemon.Wait();
  EXPECT_EQ(Shell(other, "find . | sort"), before);
  for (const auto& [id, trick] : tricks) {
    EXPECT_THAT(daemon.LogFiles(id), HasSubstr("leads out of the clone")) << trick;
  }
}

TEST_F(WorkspaceTest, ADrainKeepsUncommittedWork) {
  Daemon daemon(Options({"--workspace-wip", "push"}));
  daemon.Create(
      Spec("a1",
           "echo ignored > .gitignore; echo mine > mine; echo x > ignored; git add mine; echo changed > "
           "file; rm sub/x; ln -s /etc out; git init -q nested; echo excluded >> .git/info/exclude; echo "
           "x > excluded; echo at work; exec sleep 600"));
  daemon.Create(Spec("clean", "echo at work; exec sleep 600"));
  for (const char* id : {"a1", "clean"}) {
    ASSERT_TRUE(Eventually([&] { return Said(daemon, id).find("at work\n") != std::string::npos; }));
  }
  const std::string clone = daemon.data_dir() + "/workspaces/a1";
  const std::string before = Shell(clone, "git status --porcelain; git rev-parse HEAD; git write-tree");
  daemon.Signal(SIGTERM);
  EXPECT_EQ(daemon.Wait(), 0);
  EXPECT_EQ(Shell(clone, "git status --porcelain; git rev-parse HEAD; git write-tree"), before);
  for (const std::string& repository : {clone, dir.path() + "/repo.git"}) {
    EXPECT_EQ(Wip(repository, "diff --name-status trunk"),
              "A\t.gitignore\nM\tfile\nA\tmine\nA\tout\nD\tsub/x\n");
    EXPECT_EQ(Wip(repository, "log -1 --format='%an: %s'"), "reeve: Uncommitted work of agent a1\n");
  }
  EXPECT_EQ(Shell(dir.path() + "/repo.git", "git branch --list 'reeve/clean/*'"), "");
  daemon.Start();
  EXPECT_EQ(First(daemon, "workspace.saved", "data.branch"), "reeve/a1/wip");
  EXPECT_EQ(First(daemon, "workspace.saved", "data.pushed"), "true");
  EXPECT_EQ(First(daemon, "workspace.saved", "data.branch", "clean"), "");
  EXPECT_EQ(NamesIn(daemon.data_dir() + "/workspaces"), (std::set<std::string>{"a1", "clean"}));
}

// A new container: an empty data folder, the same spec.
TEST_F(WorkspaceTest, AWorkspaceThatIsMadeAnewContinuesFromItsSavedWork) {
  const std::string work =
      "git checkout -q -b topic; echo committed > own; git add own; git -c user.name=a -c user.email=a@a "
      "commit -qm own; echo mine > mine; git add mine; echo changed > file; rm sub/x; echo at work; exec "
      "sleep 600";
  const std::string look =
      "git symbolic-ref HEAD; git log -1 --format=%s; git status --porcelain; cat own file mine; echo more > "
      "more; echo at work; exec sleep 600";
  const std::string seen =
      "refs/heads/topic\nown\n M file\n D sub/x\n?? mine\ncommitted\nchanged\nmine\nat work\n";
  {
    Daemon first(Options({"--workspace-wip", "push"}));
    first.Create(Spec("a1", work));
    ASSERT_TRUE(Eventually([&] { return Said(first) == "at work\n"; }));
    first.Signal(SIGTERM);
    EXPECT_EQ(first.Wait(), 0);
  }
  const std::string saved = Wip(dir.path() + "/repo.git", "rev-parse");
  {
    Daemon second(Options({"--workspace-wip", "push"}));
    second.Create(Spec("a1", look));
    ASSERT_TRUE(Eventually([&] { return Said(second).find("at work\n") != std::string::npos; }));
    EXPECT_EQ(Said(second), seen);
    EXPECT_EQ(First(second, "workspace.ready", "data.branch"), "topic");
    EXPECT_EQ(First(second, "workspace.continued", "data.branch"), "reeve/a1/wip");
    EXPECT_EQ(First(second, "workspace.continued", "data.commit") + "\n", saved);
    second.Signal(SIGTERM);
    EXPECT_EQ(second.Wait(), 0);
  }
  EXPECT_EQ(Wip(dir.path() + "/repo.git", "diff --name-status trunk"),
            "M\tfile\nA\tmine\nA\tmore\nA\town\nD\tsub/x\n");
  EXPECT_EQ(Shell(dir.path() + "/repo.git", "git branch --contains " + saved), "  reeve/a1/wip\n");
  EXPECT_EQ(Shell(dir.path() + "/repo.git", "git branch --list 'reeve/*'"), "  reeve/a1/wip\n");
}

// Once the work is pushed where it belongs, the saved copy is out of date.
TEST_F(WorkspaceTest, SavedWorkThatUpstreamHasIsNotContinued) {
  const std::string git = "git -c user.name=a -c user.email=a@a ";
  {
    Daemon daemon(Options({"--workspace-wip", "push"}));
    daemon.Create(Spec("a1", "echo mine > mine; echo at work; exec sleep 600"));
    daemon.Create(
        Spec("a2", "echo mine > two; git add two; " + git + "commit -qm two; echo at work; exec sleep 600"));
    for (const char* id : {"a1", "a2"})
      ASSERT_TRUE(Eventually([&] { return Said(daemon, id) == "at work\n"; })) << id;
    daemon.Signal(SIGTERM);
    EXPECT_EQ(daemon.Wait(), 0);
  }
  EXPECT_EQ(Shell(dir.path() + "/repo.git", "git show reeve/a2/wip:two || true"), "mine\n")
      << "an unpushed commit is work, too";
  {
    Daemon daemon(Options({"--workspace-wip", "push"}));
    daemon.Create(Spec("a1", "git add mine; " + git +
                                 "commit -qm mine; git push -q origin HEAD; echo at work; exec sleep 600"));
    ASSERT_TRUE(Eventually([&] { return Said(daemon) == "at work\n"; }));
    daemon.Signal(SIGTERM);
    EXPECT_EQ(daemon.Wait(), 0);
  }
  Shell(dir.path() + "/source",
        "git pull -q ../repo.git trunk; echo later > later; git add later; git commit -qm later; git push -q "
        "../repo.git trunk");
  Daemon daemon(Options({"--workspace-wip", "push"}));
  daemon.Create(Spec("a1", "git log -1 --format=%s; git status --porcelain"));
  EXPECT_EQ(Output(daemon), "later\n");
  EXPECT_EQ(First(daemon, "workspace.continued", "data.branch"), "");
}

// Two daemons with the same agent, or a person who pushes there.
TEST_F(WorkspaceTest, SavedWorkOfSomebodyElseIsKept) {
  Daemon daemon(Options({"--workspace-wip", "push"}));
  daemon.Create(Spec("a1", "echo mine > mine; echo at work; exec sleep 600"));
  ASSERT_TRUE(Eventually([&] { return Said(daemon) == "at work\n"; }));
  const std::string other = Shell(dir.path() + "/source",
                                  "echo theirs > theirs; git add theirs; git commit -qm theirs; "
                                  "git push -q ../repo.git HEAD:refs/heads/reeve/a1/wip; git rev-parse HEAD");
  daemon.Signal(SIGTERM);
  EXPECT_EQ(daemon.Wait(), 0);
  const std::string kept = "reeve/a1/wip-" + other.substr(0, 12);
  EXPECT_EQ(Shell(dir.path() + "/repo.git", "git rev-parse " + kept), other);
  EXPECT_EQ(Wip(dir.path() + "/repo.git", "show reeve/a1/wip:mine; true"), "mine\n") << daemon.log();
  daemon.Start();
  EXPECT_EQ(First(daemon, "workspace.saved", "data.kept"), kept);
}

// Agents that take their time to end do not hold up the work of one that has.
TEST_F(WorkspaceTest, ADrainKeepsWorkWhileOthersStillRun) {
  Daemon daemon(Options({"--workspace-wip", "commit", "--drain-timeout", "10m"}));
  for (int i = 0; i < 9; ++i)
    daemon.Create(Spec("a" + std::to_string(i), "trap '' TERM; echo at work; while :; do sleep 1; done"));
  daemon.Create(Spec("z", "echo mine > mine; echo at work; exec sleep 600"));
  for (const char* id : {"a0", "a1", "a2", "a3", "a4", "a5", "a6", "a7", "a8", "z"})
    ASSERT_TRUE(Eventually([&] { return Said(daemon, id).find("at work\n") != std::string::npos; })) << id;
  daemon.Signal(SIGTERM);
  EXPECT_TRUE(
      Eventually([&] { return First(daemon, "workspace.saved", "data.branch", "z") == "reeve/z/wip"; }));
}

TEST_F(WorkspaceTest, NothingThatAnAgentWroteRunsWhenItsWorkIsKept) {
  const std::string ran = dir.path() + "/ran";
  Daemon daemon(Options({"--workspace-wip", "push"}));
  daemon.Create(
      Spec("a1", R"(export GIT_AUTHOR_NAME=t GIT_AUTHOR_EMAIL=t@t GIT_COMMITTER_NAME=t GIT_COMMITTER_EMAIL=t@t
evil() { git -C $1 config core.fsmonitor "touch )" +
                     ran + R"("; git -C $1 config filter.evil.clean "touch )" + ran +
                     R"(; cat"; git -C $1 config filter.evil.process "touch )" + ran + R"("
  echo '* filter=evil' > $1/.gitattributes; mkdir -p $1/.git/hooks
  for h in post-commit pre-push reference-transaction post-index-change; do
    printf '#!/bin/sh\ntouch )" +
                     ran + R"(\n' > $1/.git/hooks/$h; chmod +x $1/.git/hooks/$h; done; }
git init -q nested; git -C nested commit -q --allow-empty -m n; git add nested; git commit -qm nested
echo x > nested/x; git -C nested add x; git -C nested commit -qm x; echo y > nested/x
evil nested; evil .
git config remote.origin.pushurl "ext::touch )" +
                     ran + R"("; git config core.sshCommand "touch )" + ran + R"("
git config url.ext::touch.insteadOf file://; git config alias.update-ref '!touch )" +
                     ran + R"('
rm -f )" + ran + R"(; echo mine > mine; echo at work; exec sleep 600)"));
  ASSERT_TRUE(Eventually([&] { return Said(daemon).find("at work\n") != std::string::npos; }));
  unlink(ran.c_str());
  daemon.Signal(SIGTERM);
  EXPECT_EQ(daemon.Wait(), 0);
  EXPECT_NE(access(ran.c_str(), F_OK), 0);
  EXPECT_EQ(Wip(dir.path() + "/repo.git", "show reeve/a1/wip:mine; true"), "mine\n") << daemon.log();
  // It would have.
  Shell(daemon.data_dir() + "/workspaces/a1", "git status >/dev/null 2>&1 || true");
  EXPECT_EQ(access(ran.c_str(), F_OK), 0);
}

TEST_F(WorkspaceTest, WorkThatCannotBePushedIsCommittedAndToldOf) {
  Daemon daemon(Options({"--workspace-wip", "push"}));
  daemon.Create(Spec("a1", "echo mine > mine; echo at work; exec sleep 600"));
  ASSERT_TRUE(Eventually([&] { return Said(daemon) == "at work\n"; }));
  Shell(dir.path(), "mv repo.git away.git");
  daemon.Signal(SIGTERM);
  EXPECT_EQ(daemon.Wait(), 0);
  EXPECT_EQ(Wip(daemon.data_dir() + "/workspaces/a1", "show reeve/a1/wip:mine; true"), "mine\n")
      << "committed at least";
  daemon.Start();
  EXPECT_EQ(First(daemon, "agent.error", "data.code"), "workspace_failed");
  // The next drain tries again, although no process has worked since.
  Shell(dir.path(), "mv away.git repo.git");
  daemon.Signal(SIGTERM);
  EXPECT_EQ(daemon.Wait(), 0);
  EXPECT_EQ(Wip(dir.path() + "/repo.git", "show reeve/a1/wip:mine; true"), "mine\n") << daemon.log();
}

// As many as are saved at once: the work of the one after them is kept and pushed all the same.
TEST_F(WorkspaceTest, PushesThatHangHoldUpNobodyElsesWork) {
  Shell(dir.path(), "git clone -q --bare repo.git stuck.git");
  Daemon daemon(Options({"--workspace-wip", "push", "--drain-timeout", "1s"}));
  std::vector<std::string> ids;
  for (int i = 0; i < 8; ++i) {
    daemon.Create(Spec(ids.emplace_back("a" + std::to_string(i)), "echo mine > mine; echo on; exec sleep 600",
                       "", "", "file://" + dir.path() + "/stuck.git"));
  }
  daemon.Create(Spec(ids.emplace_back("z"), "echo mine > mine; echo on; exec sleep 600"));
  for (const std::string& id : ids) ASSERT_TRUE(Eventually([&] { return Said(daemon, id) == "on\n"; }));
  Shell(dir.path(), "mkfifo stuck.git/packed-refs.pipe; mv stuck.git/packed-refs.pipe stuck.git/packed-refs");
  daemon.Signal(SIGTERM);
  EXPECT_EQ(daemon.Wait(), 0);
  EXPECT_EQ(Shell(dir.path() + "/repo.git", "git show reeve/z/wip:mine || true"), "mine\n") << daemon.log();
  for (const std::string& id : ids) {
    EXPECT_EQ(Shell(daemon.data_dir() + "/workspaces/" + id, "git show reeve/" + id + "/wip:mine || true"),
              "mine\n");
  }
  daemon.Start();
  EXPECT_EQ(First(daemon, "workspace.saved", "data.pushed", "z"), "true");
  EXPECT_EQ(First(daemon, "agent.error", "data.code", "a7"), "workspace_timeout");
}

}  // namespace
}  // namespace reeve
