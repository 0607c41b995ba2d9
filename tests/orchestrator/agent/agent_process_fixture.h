// AgentProcessFixture: an AgentProcess with real children, a shell script each. Its adapter does what the
// test says; its owner writes down what it is told.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "orchestrator/agent/agent_process.h"
#include "tests/orchestrator/agent/part_fixture.h"

namespace reeve {

// Runs the spec's command; ready when it prints "ready". Takes a stop politely by closing its stdin.
class ShellAdapter : public Adapter {
 public:
  explicit ShellAdapter(AgentHost& its_host) : host(its_host) { present() = this; }
  ~ShellAdapter() override { present() = nullptr; }
  Status Prepare(SpawnSpec& spawn) override {
    if (spawn.argv.empty()) return Error{"invalid_spec", "no command"};
    spawn.stdin_pipe = true;
    return {};
  }
  void OnSpawned() override { calls += "spawned "; }
  void OnOutput(Child::Output, std::string_view bytes) override {
    output.append(bytes);
    if (output.find("ready\n") != std::string::npos) host.OnReady();
  }
  void OnExited() override { host.Emit("agent.output", R"({"text":"the rest of a line"})"); }
  Status Prompt(const std::string& text) override { return host.WriteStdin(text + "\n"); }
  void PauseReading(bool paused) override { calls += paused ? "pause " : "read "; }
  void Interrupt() override { calls += "interrupt "; }
  void Steer(const std::string& id, const std::string& text) override { calls += "steer " + id + text + " "; }
  void Decide(const std::string& id, const ApprovalAnswer& answer) override {
    calls += "decide " + id + (answer.allow ? " allow " : " deny ");
  }
  void Answer(const std::string& id, const ElicitationAnswer& answer) override {
    calls += "answer " + id + " " + NameOf(answer.action) + " ";
  }
  bool PrepareStop() override {
    calls += "goodbye ";
    if (polite) host.CloseStdin();
    return !polite;
  }

  static ShellAdapter*& present() {
    static ShellAdapter* adapter = nullptr;
    return adapter;
  }
  AgentHost& host;
  std::string calls, output;
  bool polite = false;
};

inline const Kind& Shell() {
  static const Kind kind = [] {
    Kind made;
    made.name = "shell";
    made.make = [](AgentHost& host, const std::string& session) -> std::unique_ptr<Adapter> {
      auto adapter = std::make_unique<ShellAdapter>(host);
      adapter->calls = session.empty() ? "" : "resume " + session + " ";
      return adapter;
    };
    return made;
  }();
  return kind;
}

// Records the reports of an agent's process, one line for each.
class RecordingOwner : public AgentProcess::Owner {
 public:
  void Emit(std::string_view type, std::string_view) override { Add("emit " + std::string(type)); }
  void OnReady() override { Add("ready"); }
  void OnTurnStarted() override { Add("turn started"); }
  void OnTurnEnded(const TurnEnd&) override { Add("turn ended"); }
  void OnApproval(ApprovalRequest request) override { Add("asked " + request.id); }
  void OnApprovalGone(const std::string& id) override { Add("gone " + id); }
  void OnSteered(const std::string& id, const Status&) override { Add("steered " + id); }
  void OnSession(std::string id) override { Add("session " + id); }
  void OnBroken(Error error) override { Add("broken " + error.code); }
  [[nodiscard]] SpawnSpec BaseSpawn() const override {
    SpawnSpec spawn;
    spawn.argv = command;
    spawn.env = {"PATH=/usr/bin:/bin"};
    return spawn;
  }
  [[nodiscard]] const std::string& model() const override { return chosen_model; }
  void OnReceived() override { ++heard; }
  void OnChanged() override {}
  void OnInterruptIgnored() override { Add("interrupt ignored"); }
  void OnExited(const AgentProcess::End& end) override {
    last_end = end;
    Add("exited " + end.how + (end.in_start ? " in start" : ""));
    if (on_exited) on_exited();
  }
  [[nodiscard]] bool Has(const std::string& line) const {
    return (" " + told + ";").find("; " + line + ";") != std::string::npos || told.starts_with(line + ";");
  }
  void Add(const std::string& line) { told += (told.empty() ? "" : " ") + line + ";"; }

  std::vector<std::string> command;
  std::string chosen_model;
  std::string told;
  int heard = 0;
  AgentProcess::End last_end{};
  std::function<void()> on_exited;
};

class AgentProcessFixture : public PartFixture {
 protected:
  AgentProcessFixture() {
    spec.id = "a1";
    Make();
    loop_.BeforeSleep([this] {
      if (process) process->Publish();  // as at the end of an agent's turn
      return false;
    });
  }
  void Make() { process = std::make_unique<AgentProcess>(*context, spec, Shell(), owner); }
  // Starts `script` and returns at once.
  void Start(const std::string& script) {
    owner.command = {"/bin/sh", "-c", script};
    const Status spawned = process->Spawn();
    ASSERT_TRUE(spawned.ok()) << spawned.error().message;
    process->Begin();
  }
  void StartReady(const std::string& script) {
    Start(script);
    ASSERT_TRUE(RunUntil(loop_, [this] { return process->ready(); }));
  }
  [[nodiscard]] bool UntilExited() {
    return RunUntil(loop_, [this] { return !process->alive(); });
  }
  static ShellAdapter& adapter() { return *ShellAdapter::present(); }

  AgentSpec spec;
  RecordingOwner owner;
  std::unique_ptr<AgentProcess> process;
};

inline constexpr char kSleeps[] = "echo ready; exec sleep 600";
inline constexpr char kDeaf[] = "trap '' TERM; echo ready; while :; do sleep 600; done";

}  // namespace reeve
