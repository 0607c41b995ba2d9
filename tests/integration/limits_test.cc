// Silence, limits and idleness (control/api/API.md, "Limits"), with real programs that keep silent, spend too
// much or do not listen.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <optional>
#include <string>
#include <vector>

#include "process/clock.h"
#include "tests/support/daemon.h"

namespace reeve {
namespace {

using Strings = std::vector<std::string>;

// A jsonl program with turns: `turn` is the shell that a prompt, in $line, runs.
std::string Turns(const Daemon& daemon, const std::string& turn, const std::string& limits,
                  const std::string& before = "") {
  const std::string path = daemon.data_dir() + "/a1.sh";
  WriteFile(path,
            "say() { printf '%s\\n' \"$1\"; }\n" + before + "\nwhile read -r line; do\n" + turn + "\ndone\n");
  return R"({"id":"a1","kind":"jsonl","kind_options":{"turns":true},"command":["/bin/bash",")" + path +
         R"("],"limits":)" + limits + "}";
}

Strings Types(const Daemon& daemon, const std::string& query) {
  Strings types;
  for (const std::string& event : daemon.Events("a1", "after=0&types=" + query)) {
    types.push_back(JsonField(event, "type"));
  }
  return types;
}

std::string OfFirst(const Daemon& daemon, const std::string& type, const std::string& field) {
  const Strings events = daemon.Events("a1", "after=0&types=" + type);
  return events.empty() ? "no " + type : JsonField(events[0], field);
}

bool UntilState(const Daemon& daemon, const std::string& state) {
  return Eventually([&] { return daemon.Get("/agents/a1").Field("state") == state; });
}

void Prompt(const Daemon& daemon, const std::string& text) {
  ASSERT_EQ(daemon.Post("/agents/a1/message", R"({"text":")" + text + "\"}").status, 202);
}

constexpr const char* kStart = "say '{\"type\":\"run.started\"}'";
constexpr const char* kEnd = "say '{\"type\":\"run.completed\"}'";

// A silent tool and a model that hangs are different troubles.
TEST(Stall, SaysWhetherAToolOrTheModelIsWaitedFor) {
  Daemon daemon;
  daemon.Create(
      Turns(daemon,
            std::string(kStart) +
                "\n[ \"$line\" = tool ] && say '{\"type\":\"tool.started\",\"call_id\":\"c1\",\"name\":"
                "\"bash\",\"input\":{}}'\nsleep 600",
            R"({"stall_ms":150})"));
  Prompt(daemon, "tool");
  ASSERT_TRUE(UntilState(daemon, "stalled"));
  EXPECT_EQ(OfFirst(daemon, "agent.stalled", "data.waiting_for"), "tool");
  EXPECT_EQ(OfFirst(daemon, "agent.stalled", "data.open_call.call_id"), "c1");
  EXPECT_EQ(OfFirst(daemon, "agent.stalled", "data.waiting_since"), OfFirst(daemon, "tool.started", "time"));
  EXPECT_EQ(daemon.Get("/agents/a1").Field("open_call.name"), "bash");
  EXPECT_NE(daemon.Get("/agents").body.find(R"("waiting_for":"tool")"), std::string::npos);
  EXPECT_EQ(daemon.Post("/agents/a1/restart", R"({"grace_ms":0})").status, 202);
  ASSERT_TRUE(UntilState(daemon, "idle"));
  EXPECT_EQ(daemon.Get("/agents/a1").Field("waiting_for"), "");
  Prompt(daemon, "model");
  ASSERT_TRUE(UntilState(daemon, "stalled"));
  const Strings stalls = daemon.Events("a1", "after=0&types=agent.stalled");
  ASSERT_EQ(stalls.size(), 2U);
  EXPECT_EQ(JsonField(stalls[1], "data.waiting_for"), "model");
  EXPECT_EQ(JsonField(stalls[1], "data.open_call"), "");
}

TEST(Stall, IsToldAndEndsWithTheNextOutput) {
  Daemon daemon;
  const std::string gate = daemon.data_dir() + "/gate";
  daemon.Create(Turns(daemon,
                      std::string(kStart) + "\nwhile [ ! -e " + gate + " ]; do sleep 0.02; done\n" + kEnd,
                      R"({"stall_ms":150})"));
  Prompt(daemon, "work");
  ASSERT_TRUE(UntilState(daemon, "stalled"));
  EXPECT_GE(std::stoi(OfFirst(daemon, "agent.stalled", "data.silent_ms")), 150);
  EXPECT_EQ(daemon.Get("/agents/a1").Field("run.status"), "running");
  WriteFile(gate, "");
  ASSERT_TRUE(UntilState(daemon, "idle"));
  EXPECT_EQ(Types(daemon, "agent.stalled,agent.resumed,run.*"),
            (Strings{"run.started", "agent.stalled", "agent.resumed", "run.completed"}));
}

// The two clocks: a program that only repeats that it tries again is heard, but gets nowhere.
TEST(Stall, OutputIsASignOfLifeAndNoProgress) {
  Daemon daemon;
  daemon.Create(Turns(daemon,
                      std::string(kStart) +
                          "\nsay '{\"type\":\"assistant.message\",\"text\":\"x\"}'\n"
                          "for i in 1 2 3 4 5 6 7 8; do sleep 0.1; echo trying again; done\nread -r go\n" +
                          kEnd,
                      R"({"stall_ms":60000})"));
  Prompt(daemon, "work");
  ASSERT_TRUE(Eventually([&] { return Types(daemon, "agent.output").size() == 8; }));
  HttpAnswer agent = daemon.Get("/agents/a1");
  const std::optional<int64_t> progress = ParseTime(agent.Field("last_progress_at"));
  const std::optional<int64_t> output = ParseTime(agent.Field("last_output_at"));
  ASSERT_TRUE(progress && output) << agent.body;
  EXPECT_LT(*progress, *output);
  EXPECT_EQ(agent.Field("state"), "running");
}

TEST(Stall, CanInterruptTheRun) {
  Daemon daemon;
  daemon.Create(Turns(daemon,
                      std::string(kStart) + "\nstop=; until [ \"$stop\" ]; do sleep 0.02; done\n" +
                          "say '{\"type\":\"run.cancelled\"}'",
                      R"({"stall_ms":100,"on_stall":"interrupt"})", "trap 'stop=1' INT"));
  Prompt(daemon, "work");
  ASSERT_TRUE(UntilState(daemon, "idle") &&
              Eventually([&] { return Types(daemon, "run.failed").size() == 1; }));
  EXPECT_EQ(OfFirst(daemon, "run.failed", "data.error.code"), "stalled");
  EXPECT_EQ(OfFirst(daemon, "run.failed", "data.limit"), "stall_ms");
  EXPECT_EQ(Types(daemon, "agent.starting").size(), 1U);
  EXPECT_EQ(daemon.Get("/agents/a1").Field("last_run.limit"), "stall_ms");
}

TEST(Stall, CanReplaceTheProcess) {
  Daemon daemon;
  daemon.Create(Turns(daemon,
                      std::string("if [ \"$line\" = fine ]; then ") + kStart + "; " + kEnd +
                          "; continue; fi\n" + kStart + "\nwhile :; do sleep 0.02; done",
                      R"({"stall_ms":100,"on_stall":"restart"})", "trap '' INT"));
  Prompt(daemon, "work");
  ASSERT_TRUE(Eventually([&] { return Types(daemon, "agent.ready").size() == 2; }));
  EXPECT_EQ(Types(daemon, "run.*,agent.exited"), (Strings{"run.started", "run.failed", "agent.exited"}));
  Prompt(daemon, "fine");
  EXPECT_TRUE(Eventually([&] { return Types(daemon, "run.completed").size() == 1; }));
}

TEST(WallLimit, FailsATurnThatTakesTooLongWhateverTheProgramCallsIt) {
  Daemon daemon;
  daemon.Create(Turns(daemon,
                      std::string(kStart) + "\nstop=; until [ \"$stop\" ]; do sleep 0.02; done\n" + kEnd,
                      R"({"wall_ms":200})", "trap 'stop=1' INT"));
  Prompt(daemon, "work");
  ASSERT_TRUE(Eventually([&] { return Types(daemon, "run.failed").size() == 1; }));
  EXPECT_EQ(OfFirst(daemon, "run.failed", "data.error.code"), "limit_exceeded");
  EXPECT_EQ(OfFirst(daemon, "run.failed", "data.limit"), "wall_ms");
  EXPECT_EQ(Types(daemon, "run.*"), (Strings{"run.started", "run.failed"}));
}

TEST(WallLimit, StopsAProcessWhoseLifeIsTheRun) {
  Daemon daemon;
  daemon.Create(
      R"({"id":"a1","kind":"process","command":["sh","-c","echo up; exec sleep 600"],"limits":{"wall_ms":200}})");
  EXPECT_EQ(daemon.WaitFor("a1").Field("state"), "exited");
  EXPECT_EQ(OfFirst(daemon, "run.failed", "data.limit"), "wall_ms");
}

// It takes the interrupt for nothing: within ten seconds it is replaced, and the run is over once.
TEST(WallLimit, ReplacesAProgramThatDoesNotListen) {
  Daemon daemon;
  daemon.Create(Turns(daemon, std::string(kStart) + "\nwhile :; do sleep 0.1; done", R"({"wall_ms":100})",
                      "trap '' INT"));
  Prompt(daemon, "work");
  ASSERT_TRUE(Eventually([&] { return Types(daemon, "agent.ready").size() == 2; }));
  EXPECT_EQ(Types(daemon, "run.*"), (Strings{"run.started", "run.failed"}));
  EXPECT_EQ(OfFirst(daemon, "run.failed", "data.limit"), "wall_ms");
  EXPECT_EQ(OfFirst(daemon, "agent.error", "data.code"), "interrupt_ignored");
}

TEST(SpendingLimits, EndTheRunThatPassesThem) {
  for (const char* limit : {R"("max_tokens":1000)", R"("max_cost_usd":0.5)"}) {
    Daemon daemon;
    daemon.Create(Turns(
        daemon,
        std::string(kStart) +
            "\nsay "
            "'{\"type\":\"usage.updated\",\"input_tokens\":900,\"output_tokens\":100,\"cost_usd\":0.5}'\n"
            "sleep 0.1; echo still allowed\n"
            "say "
            "'{\"type\":\"usage.updated\",\"input_tokens\":900,\"output_tokens\":101,\"cost_usd\":0.51}'\n"
            "stop=; until [ \"$stop\" ]; do sleep 0.02; done\nsay '{\"type\":\"run.cancelled\"}'",
        "{" + std::string(limit) + "}", "trap 'stop=1' INT"));
    Prompt(daemon, "work");
    ASSERT_TRUE(Eventually([&] { return Types(daemon, "run.failed").size() == 1; })) << limit;
    EXPECT_EQ(Types(daemon, "agent.output,run.failed"), (Strings{"agent.output", "run.failed"}));
    EXPECT_NE(std::string(limit).find(OfFirst(daemon, "run.failed", "data.limit")), std::string::npos)
        << limit;
    HttpAnswer agent = daemon.Get("/agents/a1");
    EXPECT_EQ(agent.Field("usage.input_tokens"), "900");
    EXPECT_EQ(agent.Field("usage.output_tokens"), "101");
    daemon.Kill();
    daemon.Start();
    EXPECT_EQ(daemon.Get("/agents/a1").Field("usage.output_tokens"), "101");
  }
}

TEST(IdleLimit, StopsTheProcessUntilAMessageWakesIt) {
  Daemon daemon;
  daemon.Create(Turns(daemon, std::string(kStart) + "\n" + kEnd, R"({"idle_ms":150})"));
  ASSERT_TRUE(UntilState(daemon, "exited"));
  Prompt(daemon, "wake up");
  EXPECT_EQ(JsonField(daemon.WaitFor("a1", "until=terminal").body, "status"), "completed");
  ASSERT_TRUE(UntilState(daemon, "exited"));
  EXPECT_EQ(Types(daemon, "agent.starting,agent.exited,run.completed"),
            (Strings{"agent.starting", "agent.exited", "agent.starting", "run.completed", "agent.exited"}));
}

TEST(KindsRoute, TellsWhatEachCanAndWhetherItsProgramIsHere) {
  Daemon::Options options;
  TempDir bin;
  WriteFile(bin.path() + "/kilo", "#!/bin/sh\n[ \"$1\" = --version ] && echo kilo v7.7.7-test\n");
  chmod((bin.path() + "/kilo").c_str(), 0755);
  options.environment = {"PATH=" + bin.path() + ":/usr/bin:/bin"};
  Daemon daemon(options);
  HttpAnswer answer = daemon.Get("/kinds");
  ASSERT_EQ(answer.status, 200);
  auto json = JsonDocument::Parse(answer.body);
  Strings seen;
  for (const JsonValue& kind : (*json)["kinds"].Elements()) {
    const std::string_view name = kind["name"].StringOr("");
    if (name == "kilo" || name == "opencode") seen.emplace_back(name);
    if (name == "kilo") {
      EXPECT_EQ(kind["version"].StringOr(""), "7.7.7-test");
      EXPECT_EQ(kind["found"].AsBool(), true);
      EXPECT_EQ(kind["can"]["approve"].AsBool(), true);
    } else if (name == "opencode") {
      EXPECT_EQ(kind["found"].AsBool(), false);
      EXPECT_EQ(kind["install"].StringOr(""), "npm install -g opencode-ai");
    }
  }
  EXPECT_EQ(seen.size(), 2U) << answer.body;
  HttpAnswer refused = daemon.Post("/agents", R"({"kind":"opencode"})");
  EXPECT_EQ(refused.status, 400);
  EXPECT_NE(refused.Field("detail").find("npm install -g opencode-ai"), std::string::npos) << refused.body;
}

}  // namespace
}  // namespace reeve
