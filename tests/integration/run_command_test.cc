// `reeve run` (api.md §8): starts an agent in a running daemon, shows what it says, exits as it did.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <csignal>
#include <cstdlib>
#include <string>
#include <vector>

#include "tests/support/command.h"
#include "tests/support/daemon.h"
#include "tests/support/paths.h"
#include "tests/support/talking_agent.h"
#include "tests/support/tmux.h"

namespace reeve {
namespace {

std::vector<std::string> WordsFor(const Daemon& daemon, std::vector<std::string> words) {
  words.insert(words.begin(), {"run", "--data", daemon.data_dir()});
  return words;
}

TEST(RunCommand, WritesAVeryLongMessageOnce) {
  Daemon daemon;
  const std::string piece(700'000, 'x');
  std::string lines;
  for (int i = 0; i < 2; ++i) lines += R"({"type":"assistant.delta","text":")" + piece + "\"}\n";
  lines += R"({"type":"assistant.message","text":")" + piece.substr(0, 300'000) + "\"}\n";
  WriteFile(daemon.data_dir() + "/says", lines);
  Command command(WordsFor(daemon, {"--kind", "jsonl", "--", "cat", daemon.data_dir() + "/says"}));
  EXPECT_EQ(command.Wait(), 0) << command.err();
  // Output that was written before the end was reported stays, and none is printed twice.
  EXPECT_TRUE(command.out() == piece + piece + "\n") << command.out().size();
}

TEST(RunCommand, ShowsTheOutputAndExitsAsTheProgramDid) {
  Daemon daemon;
  Command fine(WordsFor(daemon, {"--", "sh", "-c", "echo out; echo err >&2"}));
  EXPECT_EQ(fine.Wait(), 0);
  EXPECT_EQ(fine.out(), "out\n");
  EXPECT_NE(fine.err().find("err\n"), std::string::npos);
  Command failed(WordsFor(daemon, {"--id", "a3", "--", "sh", "-c", "printf last; exit 3"}));
  EXPECT_EQ(failed.Wait(), 3);
  EXPECT_EQ(failed.out(), "last");
  EXPECT_EQ(daemon.Get("/agents/a3").Field("exit.code"), "3");
  Command killed(WordsFor(daemon, {"--", "sh", "-c", "kill -9 $$"}));
  EXPECT_EQ(killed.Wait(), 128 + SIGKILL);
}

TEST(RunCommand, LeavesTheProgramItsOptions) {
  Daemon daemon;
  Command echo({"run", "--data", daemon.data_dir(), "echo", "--id", "hi", "--help"});
  EXPECT_EQ(echo.Wait(), 0) << echo.err();
  EXPECT_EQ(echo.out(), "--id hi --help\n");
}

TEST(RunCommand, SaysWhatToDoInstead) {
  Daemon daemon;
  daemon.Create(R"({"id":"a1","kind":"process","command":["true"]})");
  auto error = [&daemon](std::vector<std::string> words) {
    Command command(WordsFor(daemon, words));
    EXPECT_NE(command.Wait(), 0);
    return command.err();
  };
  EXPECT_EQ(error({}), "reeve: run: say what to run: reeve run -- PROGRAM, or --kind claude --prompt TEXT\n");
  EXPECT_EQ(error({"--kind", "cluade", "--prompt", "hi"}),
            "reeve: run: kind: there is no kind cluade: did you mean claude?\n");
  EXPECT_EQ(
      error({"--id", "a1", "true"}),
      "reeve: run: agent a1 exists; choose another --id. `reeve start a1` starts it again, `reeve rm --purge "
      "a1` deletes it and its log\n");
  EXPECT_EQ(error({"--label", "foo", "true"}), "reeve: run: --label: 'foo' is not KEY=VALUE\n");
}

TEST(RunCommand, RunsWhereItIsCalledWithWhatItIsGiven) {
  Daemon daemon;
  TempDir folder;
  Command here(
      WordsFor(daemon, {"--cwd", folder.path(), "--env", "KEY=a=b", "--", "sh", "-c", "pwd; echo $KEY"}));
  EXPECT_EQ(here.Wait(), 0);
  EXPECT_EQ(here.out(), folder.path() + "\na=b\n");
  Command as_i_am(WordsFor(daemon, {"--id", "here", "--", "pwd"}));
  EXPECT_EQ(as_i_am.Wait(), 0);
  EXPECT_EQ(daemon.Get("/agents/here").Field("cwd") + "\n", as_i_am.out());
  Command prompted(
      WordsFor(daemon, {"--prompt", "hello there", "--", "sh", "-c", "read line; echo got $line"}));
  EXPECT_EQ(prompted.Wait(), 0);
  EXPECT_EQ(prompted.out(), "got hello there\n");
}

// Not where the daemon was started.
TEST(RunCommand, FindsAProgramByItsPathFromWhereItRuns) {
  Daemon daemon;
  TempDir folder;
  WriteFile(folder.path() + "/hello", "#!/bin/sh\necho hello\n");
  ASSERT_EQ(chmod((folder.path() + "/hello").c_str(), 0755), 0);
  Command here({{kReeveBinary, "run", "--data", daemon.data_dir(), "--", "./hello"}, folder.path()});
  EXPECT_EQ(here.Wait(), 0) << here.err();
  EXPECT_EQ(here.out(), "hello\n");
  Command there(WordsFor(daemon, {"--cwd", folder.path(), "--", "./hello"}));
  EXPECT_EQ(there.Wait(), 0) << there.err();
  Command nowhere(WordsFor(daemon, {"--cwd", "/", "--", "./hello"}));
  EXPECT_EQ(nowhere.Wait(), 64);
}

TEST(RunCommand, ShowsWhatAnAssistantSaysOnce) {
  Daemon daemon;
  const std::string script = daemon.data_dir() + "/says.sh";
  WriteFile(script, R"(cat <<'END'
{"type":"assistant.delta","text":"an "}
{"type":"assistant.delta","text":"answer"}
{"type":"assistant.message","text":"an answer"}
{"type":"tool.started","call_id":"c1","name":"bash","input":{"command":"ls"}}
{"type":"assistant.message","text":"whole"}
{"something":"else"}
END
)");
  Command command(WordsFor(daemon, {"--kind", "jsonl", "--", "sh", script}));
  EXPECT_EQ(command.Wait(), 0);
  EXPECT_EQ(command.out(), "an answer\nwhole\n{\"something\":\"else\"}\n");
  EXPECT_NE(command.err().find("* bash ls\n"), std::string::npos) << command.err();
}

TEST(RunCommand, PassesSignalsOn) {
  Daemon daemon;
  // The first is the program's own.
  Command asked(WordsFor(
      daemon, {"--", "sh", "-c", "trap 'echo caught; exit 5' INT; echo up; while :; do sleep 0.01; done"}));
  ASSERT_TRUE(asked.Says("up\n"));
  asked.Signal(SIGINT);
  EXPECT_EQ(asked.Wait(), 130) << asked.err();
  EXPECT_EQ(asked.out(), "up\ncaught\n");
  // A second one stops what did not end by it.
  Command stopped(WordsFor(daemon, {"--id", "a2", "--", "sh", "-c", "trap '' INT; echo up; sleep 600"}));
  ASSERT_TRUE(stopped.Says("up\n"));
  stopped.Signal(SIGINT);
  ASSERT_TRUE(Eventually([&] { return stopped.err().find("interrupting the run") != std::string::npos; }));
  EXPECT_EQ(daemon.Get("/agents/a2").Field("state"), "running");
  stopped.Signal(SIGINT);
  EXPECT_EQ(stopped.Wait(), 130);
  EXPECT_EQ(daemon.WaitFor("a2").Field("state"), "exited");
  // A third leaves it.
  Command left(WordsFor(
      daemon, {"--id", "a3", "--", "sh", "-c", "trap '' INT TERM; echo up; while :; do sleep 0.01; done"}));
  ASSERT_TRUE(left.Says("up\n"));
  for (const char* said : {"interrupting the run", "stopping agent a3", "agent a3 keeps running"}) {
    left.Signal(SIGINT);
    ASSERT_TRUE(Eventually([&] { return left.err().find(said) != std::string::npos; })) << left.err();
  }
  EXPECT_EQ(left.Wait(), 130);
  for (const int signum : {SIGTERM, SIGHUP}) {
    const std::string id = "b" + std::to_string(signum);
    Command command(WordsFor(daemon, {"--id", id, "--", "sh", "-c", "echo up; sleep 600"}));
    ASSERT_TRUE(command.Says("up\n"));
    command.Signal(signum);
    EXPECT_EQ(command.Wait(), 130);
    EXPECT_EQ(daemon.Get("/agents/" + id).Field("state"), "exited");
  }
}

TEST(RunCommand, RemovesTheAgentWhenItHasEnded) {
  Daemon daemon;
  for (int round = 0; round < 2; ++round) {  // its id is free again
    Command command(WordsFor(daemon, {"--rm", "--id", "a1", "--", "sh", "-c", "echo out; exit 3"}));
    EXPECT_EQ(command.Wait(), 3) << command.err();
    EXPECT_EQ(command.out(), "out\n");
    EXPECT_EQ(daemon.Get("/agents/a1").status, 404);
  }
  Command stopped(WordsFor(daemon, {"--rm", "--id", "a2", "--", "sh", "-c", "echo up; sleep 600"}));
  ASSERT_TRUE(stopped.Says("up\n"));
  stopped.Signal(SIGTERM);
  EXPECT_EQ(stopped.Wait(), 130);
  EXPECT_EQ(daemon.Get("/agents/a2").status, 404);
  // Also when nobody waits for its end.
  Command left(WordsFor(daemon, {"--rm", "--id", "a3", "--", "sh", "-c",
                                 "trap '' INT TERM; echo up; while :; do sleep 0.01; done"}));
  ASSERT_TRUE(left.Says("up\n"));
  for (const char* said : {"interrupting the run", "stopping agent a3"}) {
    left.Signal(SIGINT);
    ASSERT_TRUE(Eventually([&] { return left.err().find(said) != std::string::npos; })) << left.err();
  }
  left.Signal(SIGINT);
  left.Signal(SIGINT);
  EXPECT_EQ(left.Wait(), 130);
  EXPECT_TRUE(Eventually([&] { return daemon.Get("/agents/a3").status == 404; }));
  Command both(WordsFor(daemon, {"--rm", "-d", "--", "true"}));
  EXPECT_EQ(both.Wait(), 64);
}

TEST(RunCommand, DetachedPrintsTheIdAndLeaves) {
  Daemon daemon;
  Command command(WordsFor(daemon, {"-d", "--name", "a1", "-l", "team=web", "-l", "stage=test", "--title",
                                    "The server", "--restart", "on_failure", "--", "sleep", "600"}));
  EXPECT_EQ(command.Wait(), 0) << command.err();
  EXPECT_EQ(command.out(), "a1\n");
  const HttpAnswer agent = daemon.WaitFor("a1", "until=ready");
  EXPECT_EQ(agent.Field("labels.team") + agent.Field("labels.stage"), "webtest");
  EXPECT_EQ(agent.Field("title"), "The server");
  EXPECT_EQ(agent.Field("restart.policy"), "on_failure");
  Command json(WordsFor(daemon, {"-d", "--json", "--", "true"}));
  EXPECT_EQ(json.Wait(), 0);
  EXPECT_EQ(JsonField(json.out(), "kind"), "process");
  Command label(WordsFor(daemon, {"-l", "web", "--", "true"}));
  EXPECT_EQ(label.Wait(), 64);
}

TEST(RunCommand, GivesItAnEnvironment) {
  Daemon daemon;
  TempDir folder;
  WriteFile(folder.path() + "/env", "# settings\n\nA=from the file\nB=x=y # no comment\r\n  HERE\nC=3\n");
  const std::vector<std::string> print = {"--", "sh", "-c", "echo \"$A|$B|$C|$HERE|$THERE\""};
  std::vector<std::string> words = {"-e", "C=wins", "--env-file", folder.path() + "/env", "-e", "THERE"};
  words.insert(words.end(), print.begin(), print.end());
  Command command(WordsFor(daemon, words), {"HERE=here", "THERE=there"});
  EXPECT_EQ(command.Wait(), 0) << command.err();
  EXPECT_EQ(command.out(), "from the file|x=y # no comment|wins|here|there\n");
  Command unset(WordsFor(daemon, {"-e", "NOT_SET", "--", "true"}));
  EXPECT_EQ(unset.Wait(), 64);
  EXPECT_NE(unset.err().find("NOT_SET is not set"), std::string::npos) << unset.err();
  Command line(WordsFor(daemon, {"--env-file", folder.path() + "/env", "--", "true"}));
  EXPECT_EQ(line.Wait(), 65);
  EXPECT_NE(line.err().find("line 5: neither NAME=value nor a NAME that is set"), std::string::npos)
      << line.err();
  // A value of several lines may be a key's.
  for (const char* secret : {"MIIEvQIBADANBgkqhkiG9w0", "abc+/def==", "c2VjcmV0+"}) {
    WriteFile(folder.path() + "/key", "KEY=-----BEGIN\n" + std::string(secret) + "\n");
    Command key(WordsFor(daemon, {"--env-file", folder.path() + "/key", "--", "true"}));
    EXPECT_EQ(key.Wait(), 65) << secret;
    EXPECT_NE(key.err().find("line 2: "), std::string::npos) << key.err();
    EXPECT_EQ(key.err().find(secret), std::string::npos) << key.err();
  }
  Command file(WordsFor(daemon, {"--env-file", folder.path() + "/none", "--", "true"}));
  EXPECT_EQ(file.Wait(), 66);
}

TEST(RunCommand, TakesASpecOfAFile) {
  Daemon daemon;
  TempDir folder;
  WriteFile(folder.path() + "/spec", R"({"kind":"process","command":["sh","-c","pwd; echo $A $B"],"cwd":"/",
      "env":{"A":"1","B":"2"},"labels":{"team":"web"}})");
  Command command(WordsFor(daemon, {"--spec", folder.path() + "/spec", "-e", "B=3", "--id", "a1"}));
  EXPECT_EQ(command.Wait(), 0) << command.err();
  EXPECT_EQ(command.out(), "/\n1 3\n");
  EXPECT_EQ(daemon.Get("/agents/a1").Field("labels.team"), "web");
  WriteFile(folder.path() + "/spec", "[]");
  Command array(WordsFor(daemon, {"--spec", folder.path() + "/spec", "--", "true"}));
  EXPECT_EQ(array.Wait(), 65);
  Command none(WordsFor(daemon, {"--spec", folder.path() + "/none", "--", "true"}));
  EXPECT_EQ(none.Wait(), 66);
}

TEST(RunCommand, PrintsBytesAsTheyAre) {
  Daemon daemon;
  const std::string script = daemon.data_dir() + "/bytes.sh";
  WriteFile(script, "printf '\\033[31mred\\tx\\033[0m\\n\\377\\n\\n'");
  Command command(WordsFor(daemon, {"--", "sh", script}));
  EXPECT_EQ(command.Wait(), 0);
  EXPECT_EQ(command.out(), "\x1b[31mred\tx\x1b[0m\n\xff\n\n");
}

// --- bytes

// Byte for byte: what the program writes is what `reeve run` writes.
TEST(RunCommand, WritesExactlyWhatTheProgramWrites) {
  Daemon daemon;
  std::string noise = "no line end at the end, CR\r\nand \r\r; caf\xe9 \xc3\xa9 and NUL";
  noise.push_back('\0');
  for (int i = 0; i < 20'000; ++i) noise += static_cast<char>((i * 7919 + i / 13) % 256);
  noise += "\n" + std::string(2'500'000, 'x') + "\r\n\n\xc3";
  WriteFile(daemon.data_dir() + "/noise", noise);
  for (const char* kind : {"process", "jsonl"}) {
    Command command(WordsFor(daemon, {"--kind", kind, "--", "cat", daemon.data_dir() + "/noise"}));
    EXPECT_EQ(command.Wait(), 0) << command.err().substr(0, 500);
    EXPECT_TRUE(command.out() == noise) << kind << " " << command.out().size();
  }
  Command errors(WordsFor(daemon, {"-q", "--", "sh", "-c", "cat " + daemon.data_dir() + "/noise >&2"}));
  EXPECT_EQ(errors.Wait(), 0);
  EXPECT_TRUE(errors.err() == noise) << errors.err().size();
}

TEST(RunCommand, ShowsAPromptBeforeItsLineEnds) {
  Daemon daemon;
  Command command(WordsFor(
      daemon, {"-i", "--id", "a1", "--", "sh", "-c", "printf 'Overwrite? [y/N] '; read x; echo \"got $x\""}));
  ASSERT_TRUE(command.Says("Overwrite? [y/N] ")) << command.err();
  ASSERT_EQ(daemon.Post("/agents/a1/message", R"({"text":"y"})").status, 202);
  EXPECT_EQ(command.Wait(), 0) << command.err();
  EXPECT_EQ(command.out(), "Overwrite? [y/N] got y\n");
}

// --- input

TEST(RunCommand, PassesItsInputToTheProgramToItsEnd) {
  Daemon daemon;
  std::string input;
  for (uint32_t i = 0; i < 300'000; ++i) input += static_cast<char>((i * 7919 + i / 13) % 256);
  Command command(WordsFor(daemon, {"--", "cat"}), {}, input);
  EXPECT_EQ(command.Wait(), 0) << command.err();
  EXPECT_TRUE(command.out() == input) << command.out().size();
  Command empty(WordsFor(daemon, {"--", "wc", "-c"}));
  EXPECT_EQ(empty.Wait(), 0);
  EXPECT_EQ(empty.out(), "0\n");
  // One that does not read it all.
  Command head(WordsFor(daemon, {"--", "head", "-c", "5"}), {}, input);
  EXPECT_EQ(head.Wait(), 0) << head.err();
  EXPECT_EQ(head.out(), input.substr(0, 5));
  Command none(WordsFor(daemon, {"--no-stdin", "--", "wc", "-c"}), {}, "data");
  EXPECT_EQ(none.Wait(), 0);
  EXPECT_EQ(none.out(), "0\n");
}

TEST(RunCommand, PassesAPipeOn) {
  Daemon daemon;
  const std::string run = std::string(kReeveBinary) + " run --data " + daemon.data_dir();
  Command pipe({{"sh", "-c", "(echo one; echo two) | " + run + " -- wc -l"}, ""});
  EXPECT_EQ(pipe.Wait(), 0) << pipe.err();
  EXPECT_EQ(pipe.out(), "2\n");
}

TEST(RunCommand, KeepsStdinOpenOnRequest) {
  Daemon daemon;
  Command open(WordsFor(daemon, {"-i", "--id", "a1", "--", "sh", "-c", "read a; read b; echo \"$a, $b\""}),
               {}, "first\n");
  ASSERT_TRUE(Eventually([&] { return daemon.Get("/agents/a1").Field("state") == "running"; }));
  ASSERT_EQ(daemon.Post("/agents/a1/message", R"({"text":"second"})").status, 202);
  EXPECT_EQ(open.Wait(), 0) << open.err();
  EXPECT_NE(open.out().find("first"), std::string::npos) << open.out();
  EXPECT_NE(open.out().find("second"), std::string::npos) << open.out();
  Command detached(WordsFor(daemon, {"-d", "--id", "a2", "--", "sh", "-c", "read a; echo \"got $a\""}), {},
                   "ours\n");
  EXPECT_EQ(detached.Wait(), 0);
  ASSERT_EQ(daemon.Post("/agents/a2/message", R"({"text":"a message"})").status, 202);
  EXPECT_EQ(daemon.WaitFor("a2", "until=terminal").Field("status"), "completed");
  Command both(WordsFor(daemon, {"-i", "--no-stdin", "--", "true"}));
  EXPECT_EQ(both.Wait(), 64);
  Command prompt(WordsFor(daemon, {"--no-stdin", "--prompt", "x", "--", "cat"}));
  EXPECT_EQ(prompt.Wait(), 64);
}

// A program that waits for its input to end, such as `rg needle`, does not hang.
TEST(RunCommand, ATerminalIsNoInput) {
  Daemon daemon;
  Tmux terminal({kReeveBinary, "run", "--data", daemon.data_dir(), "--", "wc", "-c"});
  ASSERT_TRUE(terminal.Shows("0\n")) << terminal.Screen();
  EXPECT_EQ(terminal.Wait(), 0);
}

TEST(RunCommand, InputOfTheApiCanBeRepeatedAndEnds) {
  Daemon daemon;
  daemon.Create(R"({"id":"a1","kind":"process","command":["cat"]})");
  daemon.WaitFor("a1", "until=ready");
  EXPECT_EQ(daemon.Post("/agents/a1/stdin?offset=0", "abc").Field("offset"), "3");
  EXPECT_EQ(daemon.Post("/agents/a1/stdin?offset=0", "abcde").Field("offset"), "5")
      << "the first three were there";
  EXPECT_EQ(daemon.Post("/agents/a1/stdin", "f").Field("offset"), "6");
  EXPECT_EQ(daemon.Post("/agents/a1/stdin?offset=9", "x").status, 409);
  EXPECT_EQ(daemon.Post("/agents/a1/stdin?offset=x", "x").status, 400);
  EXPECT_EQ(daemon.Post("/agents/a1/stdin?close=yes", "x").status, 400);
  EXPECT_EQ(daemon.Post("/agents/a1/stdin?close=true", "").status, 202);
  EXPECT_EQ(daemon.WaitFor("a1", "until=terminal").Field("exit_code"), "0");
  const auto said = daemon.Events("a1", "after=0&types=agent.output");
  ASSERT_EQ(said.size(), 1U);
  EXPECT_EQ(JsonField(said[0], "data.text") + JsonField(said[0], "data.partial"), "abcdeftrue");
  EXPECT_EQ(daemon.Post("/agents/a1/stdin", "x").status, 409);
  daemon.Create(R"({"id":"a2","kind":"jsonl","command":["cat"]})");
  EXPECT_EQ(daemon.Post("/agents/a2/stdin", "x").status, 422);
}

// --- output that nobody takes

TEST(RunCommand, AReaderThatGoesAwayInterruptsTheRun) {
  Daemon daemon;
  const std::string run = std::string(kReeveBinary) + " run --data " + daemon.data_dir();
  Command removed({{"sh", "-c", run + " --rm --id a1 -- yes | head -1; echo end >&2"}, ""});
  EXPECT_EQ(removed.Wait(), 0);
  EXPECT_EQ(removed.out(), "y\n");
  EXPECT_EQ(daemon.Get("/agents/a1").status, 404);
  Command kept({{"bash", "-c", run + " --id a2 -- yes | head -1; exit ${PIPESTATUS[0]}"}, ""});
  EXPECT_EQ(kept.Wait(), 141) << kept.err();
  EXPECT_EQ(daemon.WaitFor("a2", "until=exited").Field("last_run.status"), "cancelled");
  // One that ignores the interrupt is stopped.
  Command stubborn(
      {{"bash", "-c",
        run + " --rm --id a3 -- sh -c 'trap \"\" INT; while :; do echo y; sleep 0.01; done' | head -1"},
       ""});
  EXPECT_EQ(stubborn.Wait(), 0);
  EXPECT_EQ(daemon.Get("/agents/a3").status, 404);
}

TEST(RunCommand, AFullDiskIsSaidAtOnce) {
  Daemon daemon;
  const std::string run = std::string(kReeveBinary) + " run --data " + daemon.data_dir();
  Command full({{"sh", "-c", run + " --id a1 -- sh -c 'echo x; sleep 600' >/dev/full"}, ""});
  EXPECT_EQ(full.Wait(), 74);
  EXPECT_NE(full.err().find("stdout: No space left on device"), std::string::npos) << full.err();
  EXPECT_EQ(daemon.WaitFor("a1", "until=exited").Field("state"), "exited");
  Command follows(
      {{"sh", "-c",
        std::string(kReeveBinary) + " agents logs -f a1 --data " + daemon.data_dir() + " >/dev/full"},
       ""});
  EXPECT_EQ(follows.Wait(), 74);
  EXPECT_NE(follows.err().find("No space left"), std::string::npos) << follows.err();
}

// --- words that are no text

TEST(RunCommand, WhatIsNotUtf8IsRefusedAndNamed) {
  Daemon daemon;
  TempDir folder;
  Command word(WordsFor(daemon, {"--", "cat", "caf\xe9.txt"}));
  EXPECT_EQ(word.Wait(), 64);
  EXPECT_NE(word.err().find("'caf\\xe9.txt' is not UTF-8"), std::string::npos) << word.err();
  Command option(WordsFor(daemon, {"-e", "A=\xff", "--", "true"}));
  EXPECT_EQ(option.Wait(), 64);
  Command variable(WordsFor(daemon, {"-e", "LATIN", "--", "true"}), {"LATIN=caf\xe9"});
  EXPECT_EQ(variable.Wait(), 64);
  EXPECT_NE(variable.err().find("the value of LATIN is not UTF-8"), std::string::npos) << variable.err();
  WriteFile(folder.path() + "/env", "A=1\nB=caf\xe9\n");
  Command file(WordsFor(daemon, {"--env-file", folder.path() + "/env", "--", "true"}));
  EXPECT_EQ(file.Wait(), 65);
  EXPECT_NE(file.err().find("line 2: it is not UTF-8"), std::string::npos) << file.err();
  WriteFile(folder.path() + "/spec", "{\"command\":[\"cat\",\"caf\xe9\"]}");
  Command spec(WordsFor(daemon, {"--spec", folder.path() + "/spec"}));
  EXPECT_EQ(spec.Wait(), 65);
  const std::string latin = folder.path() + "/caf\xe9";
  ASSERT_EQ(mkdir(latin.c_str(), 0700), 0);
  Command here({{kReeveBinary, "run", "--data", daemon.data_dir(), "--", "pwd"}, latin});
  EXPECT_EQ(here.Wait(), 64);
  EXPECT_NE(here.err().find("caf\\xe9 is not UTF-8"), std::string::npos) << here.err();
  Command prompt(WordsFor(daemon, {"--prompt", "-", "--", "cat"}), {}, "caf\xe9");
  EXPECT_EQ(prompt.Wait(), 64);
}

// --- files

TEST(RunCommand, SkipsByteOrderMarksAndReadsLargeFiles) {
  Daemon daemon;
  TempDir folder;
  const std::string mark = "\xEF\xBB\xBF";
  WriteFile(folder.path() + "/env", mark + "A=1\n");
  WriteFile(folder.path() + "/spec", mark + R"({"command":["sh","-c","echo $A ${#B}"],"env":{"B":")" +
                                         std::string(100'000, 'x') + "\"}}");
  WriteFile(folder.path() + "/token",
            mark + "view " + std::string(20, 'v') + "\n# the daemon's\n" + daemon.token());
  Command command(WordsFor(daemon, {"--spec", folder.path() + "/spec", "--env-file", folder.path() + "/env",
                                    "--token-file", folder.path() + "/token"}));
  EXPECT_EQ(command.Wait(), 0) << command.err();
  EXPECT_EQ(command.out(), "1 100000\n");
  WriteFile(folder.path() + "/spec", std::string((size_t{1} << 20) + 1, ' '));
  Command large(WordsFor(daemon, {"--spec", folder.path() + "/spec", "--", "true"}));
  EXPECT_EQ(large.Wait(), 65);
  EXPECT_NE(large.err().find("larger than 1MiB"), std::string::npos) << large.err();
}

// --- starting

TEST(RunCommand, SaysThatItsFolderIsGone) {
  Daemon daemon;
  Command gone({{"sh", "-c",
                 "mkdir gone; cd gone; rmdir ../gone; exec " + std::string(kReeveBinary) + " run --data " +
                     daemon.data_dir() + " -- pwd"},
                daemon.data_dir()});
  EXPECT_EQ(gone.Wait(), 64) << gone.out();
  EXPECT_NE(gone.err().find("the current directory: No such file or directory"), std::string::npos)
      << gone.err();
  EXPECT_EQ(gone.out(), "");
}

TEST(RunCommand, HintsAtAProgramThatOnlyItsOwnPathHas) {
  Daemon daemon;
  TempDir folder;
  const std::string tool = folder.path() + "/tool-of-mine";
  WriteFile(tool, "echo hello\n");  // without #!, as a shell runs it
  ASSERT_EQ(chmod(tool.c_str(), 0755), 0);
  const std::string path = "PATH=" + folder.path() + ":" + std::getenv("PATH");
  Command missing(WordsFor(daemon, {"--", "tool-of-mine"}), {path});
  EXPECT_EQ(missing.Wait(), 64);
  EXPECT_NE(missing.err().find("here it is " + tool), std::string::npos) << missing.err();
  Command given(WordsFor(daemon, {"-e", "PATH", "--", "tool-of-mine"}), {path});
  EXPECT_EQ(given.Wait(), 0) << given.err();
  EXPECT_EQ(given.out(), "hello\n");
}

TEST(RunCommand, TakesThreeHundredArgumentsAndOddNames) {
  Daemon daemon;
  std::vector<std::string> words = {"--", "sh", "-c", "echo $#", "sh"};
  for (int i = 0; i < 300; ++i) words.emplace_back("x");
  Command command(WordsFor(daemon, words));
  EXPECT_EQ(command.Wait(), 0) << command.err();
  EXPECT_EQ(command.out(), "300\n");
  Command odd(WordsFor(daemon, {"-e", "npm_config.x-y=1", "--", "env"}));  // a shell would drop it
  EXPECT_EQ(odd.Wait(), 0);
  EXPECT_NE(odd.out().find("npm_config.x-y=1\n"), std::string::npos) << odd.out();
}

TEST(RunCommand, EndsWithTheAnswerOfAnAgentWithTurns) {
  Daemon daemon;
  TalkingAgent talker(daemon);
  const std::vector<std::string> program = {"--kind", "claude", "--", "/bin/sh", talker.script()};
  auto words = [&](std::vector<std::string> more) {
    more.insert(more.end(), program.begin(), program.end());
    return WordsFor(daemon, more);
  };
  Command command(words({"--id", "a1", "--prompt", "-"}), {}, "work");
  EXPECT_EQ(command.Wait(), 0) << command.err();
  EXPECT_EQ(command.out(), "it failed\n");
  EXPECT_NE(command.err().find("* bash make -j4 && echo done\n  failed"), std::string::npos) << command.err();
  EXPECT_EQ(daemon.Get("/agents/a1").Field("state"), "idle");  // it stays, for more
  Command quiet(words({"-q", "--rm", "--id", "a2", "--prompt", "work"}));
  EXPECT_EQ(quiet.Wait(), 0);
  EXPECT_EQ(quiet.out() + quiet.err(), "it failed\n");
  EXPECT_EQ(daemon.Get("/agents/a2").status, 404);
  Command asks(words({"--id", "a3", "--prompt", "ask"}));
  ASSERT_TRUE(Eventually([&] { return asks.err().find("? asks to use bash") != std::string::npos; }));
  EXPECT_NE(asks.err().find("    make -j4 && echo done\n"), std::string::npos) << asks.err();
  asks.Signal(SIGINT);
  EXPECT_EQ(asks.Wait(), 130);
  EXPECT_EQ(daemon.WaitFor("a3", "until=idle").Field("last_run.status"), "cancelled");
  Command refused(words({"--permission", "deny", "--prompt", "ask"}));
  EXPECT_EQ(refused.Wait(), 0);
  EXPECT_EQ(refused.out(), "denied\n");
  // An unfinished line at the end is not lost.
  Command half(words({"--id", "a4", "--prompt", "slow"}));
  ASSERT_TRUE(Eventually([&] {
    return daemon.Get("/agents/a4/snapshot").Field("open.texts").find("\"half a \"") != std::string::npos;
  }));
  half.Signal(SIGINT);
  EXPECT_EQ(half.Wait(), 130);
  EXPECT_EQ(half.out(), "half a \n");
  // Without a prompt it waits for messages; there is no run to interrupt then.
  Command idle(words({"--id", "a5"}));
  daemon.WaitFor("a5", "until=ready");
  ASSERT_TRUE(Eventually([&] { return idle.err().find("agent a5") != std::string::npos; }));
  idle.Signal(SIGINT);
  idle.Wait();
  EXPECT_EQ(daemon.Get("/agents/a5").Field("state"), "exited");
  Command empty(words({"--prompt", "-"}));
  EXPECT_EQ(empty.Wait(), 64);
}

TEST(RunCommand, PrintsEventsWithJson) {
  Daemon daemon;
  Command command(WordsFor(daemon, {"--id", "a1", "--json", "--", "sh", "-c", "echo out; exit 4"}));
  EXPECT_EQ(command.Wait(), 4);
  std::string expected;
  for (const std::string& event : daemon.Events("a1")) expected += event + "\n";
  EXPECT_EQ(command.out(), expected);
  EXPECT_EQ(command.err(), "");
}

TEST(RunCommand, WorksInACloneOfARepository) {
  TempDir folder;
  const std::string make =
      "export GIT_CONFIG_GLOBAL=/dev/null GIT_AUTHOR_NAME=t GIT_AUTHOR_EMAIL=t@t "
      "GIT_COMMITTER_NAME=t GIT_COMMITTER_EMAIL=t@t; cd " +
      folder.path() +
      " && git init -q -b trunk repo && cd repo && mkdir sub && echo one >sub/file && git add -A && git "
      "commit -qm one && git branch feature";
  ASSERT_EQ(std::system(make.c_str()), 0);
  Daemon::Options options;
  options.arguments = {"--workspace-protocol", "file"};
  Daemon daemon(options);
  const std::string git = "file://" + folder.path() + "/repo";
  Command command(WordsFor(daemon, {"--workspace", git + "#feature", "--cwd", "sub", "--", "sh", "-c",
                                    "git symbolic-ref HEAD; cat file"}));
  EXPECT_EQ(command.Wait(), 0) << command.err();
  EXPECT_EQ(command.out(), "refs/heads/feature\none\n");
  EXPECT_EQ(command.err().find("workspace"), std::string::npos) << command.err();  // not on a terminal
  Command none(WordsFor(daemon, {"--workspace", git + "-that-is-not-there", "--", "true"}));
  EXPECT_EQ(none.Wait(), 1);
  EXPECT_NE(none.err().find("! agent failed"), std::string::npos) << none.err();
}

TEST(RunCommand, ExitsAsTheLastOfSeveralRuns) {
  Daemon daemon;
  TempDir folder;
  Command command(WordsFor(daemon, {"--cwd", folder.path(), "--restart", "on_failure", "--", "sh", "-c",
                                    "echo again; if [ -e tried ]; then exit 0; fi; : >tried; exit 3"}));
  EXPECT_EQ(command.Wait(), 0) << command.err();
  EXPECT_EQ(command.out(), "again\nagain\n");
}

TEST(RunCommand, ShowsItOnATerminal) {
  Daemon daemon;
  TalkingAgent talker(daemon);
  Tmux terminal({kReeveBinary, "run", "--data", daemon.data_dir(), "--kind", "claude", "--prompt", "slow",
                 "--", "/bin/sh", talker.script()});
  ASSERT_TRUE(terminal.Shows("half a\n")) << terminal.Screen();
  talker.Finish();
  ASSERT_TRUE(terminal.Shows("half a sentence\n")) << terminal.Screen();
  EXPECT_EQ(terminal.Wait(), 0);
}

TEST(RunCommand, GoesOnAfterARestartOfTheDaemon) {
  Daemon daemon;
  Command stopped(WordsFor(daemon, {"--", "sh", "-c", "echo up; sleep 600"}));
  ASSERT_TRUE(stopped.Says("up\n"));
  daemon.Kill();
  daemon.Start();
  EXPECT_EQ(stopped.Wait(), 1);
  EXPECT_NE(stopped.err().find("cut off: the daemon was killed"), std::string::npos) << stopped.err();
  EXPECT_EQ(stopped.out(), "up\n");  // not once more
  Command again(WordsFor(daemon, {"-i", "--id", "a2", "--restart", "on_failure", "--", "sh", "-c",
                                  "echo up; read line; echo got $line"}));
  ASSERT_TRUE(again.Says("up\n"));
  daemon.Kill();
  daemon.Start();
  ASSERT_TRUE(again.Says("up\nup\n")) << again.err();
  ASSERT_EQ(daemon.Post("/agents/a2/message", R"({"text":"hello"})").status, 202);
  EXPECT_EQ(again.Wait(), 0) << again.err();
  EXPECT_EQ(again.out(), "up\nup\ngot hello\n");
}

TEST(RunCommand, SaysWhatIsWrong) {
  Daemon daemon;
  const std::string data = daemon.data_dir();
  Command kind(WordsFor(daemon, {"--kind", "nonsense", "--", "true"}));
  EXPECT_EQ(kind.Wait(), 64);
  EXPECT_NE(kind.err().find("nonsense"), std::string::npos);
  Command nothing(WordsFor(daemon, {}));
  EXPECT_EQ(nothing.Wait(), 64);
  Command option({"run", "--no-such-option"});
  EXPECT_EQ(option.Wait(), 64);
  Command token({"run", "--server", daemon.address(), "--", "true"},
                {"REEVE_TOKEN=not-the-token-of-this-daemon-at-all"});
  EXPECT_EQ(token.Wait(), 77);
  Command no_token({"run", "--server", daemon.address(), "--", "true"});
  EXPECT_EQ(no_token.Wait(), 77);
  daemon.Kill();
  Command down({"run", "--server", daemon.address(), "--", "true"},
               {"REEVE_TOKEN=whatever-it-is-nobody-will-hear-it"});
  EXPECT_EQ(down.Wait(), 69);
}

TEST(RunCommand, FindsServerAndTokenInTheEnvironment) {
  Daemon daemon;
  Command command({"run", "--", "echo", "hi"},
                  {"REEVE_SERVER=" + daemon.address(), "REEVE_TOKEN=" + daemon.token()});
  EXPECT_EQ(command.Wait(), 0) << command.err();
  EXPECT_EQ(command.out(), "hi\n");
  TempDir folder;
  Daemon::Options options;
  options.listen = "unix://" + folder.path() + "/reeve.sock";
  Daemon local(options);
  Command by_socket(
      {"run", "--server", options.listen, "--token-file", local.data_dir() + "/token", "--", "echo", "hi"});
  EXPECT_EQ(by_socket.Wait(), 0) << by_socket.err();
}

TEST(VersionCommand, SaysTheVersion) {
  Command command({"version"});
  EXPECT_EQ(command.Wait(), 0);
  EXPECT_EQ(command.out(), "reeve " REEVE_VERSION "\n");
}

}  // namespace
}  // namespace reeve
