// The states of an agent (agent.h), held against a model of them: thousands of random sequences of commands
// and facts, each in whatever state it meets, with real processes and the real store. After each step, once
// all is quiet, the agent must be where the model is; also when it was handed over to another, which is no
// step for the model.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>

#include <iostream>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "orchestrator/agent/agent.h"
#include "process/clock.h"
#include "process/http_client.h"
#include "process/log.h"
#include "process/loop.h"
#include "process/reaper.h"
#include "tests/support/loop_fixture.h"

namespace reeve {
namespace {

constexpr uint64_t kSeed = 20'261'121;

// An agent with turns that says what the test wants said.
class Puppet : public Adapter {
 public:
  explicit Puppet(AgentHost& its_host) : host(its_host) { present()[host.spec().id] = this; }
  ~Puppet() override { present().erase(host.spec().id); }
  Status Prepare(SpawnSpec& spawn) override {
    spawn.argv = {"/bin/sleep", "600"};
    return {};
  }
  void OnSpawned() override {}
  void OnOutput(Child::Output, std::string_view) override {}
  void OnExited() override {}
  Status Prompt(const std::string&) override { return {}; }
  void Interrupt() override {}

  // Those that live, by their agents' ids.
  static std::map<std::string, Puppet*>& present() {
    static std::map<std::string, Puppet*> puppets;
    return puppets;
  }
  AgentHost& host;
};

const Kind* PuppetKind(std::string_view) {
  static const Kind kind = [] {
    Kind made;
    made.name = "puppet";
    made.can.turns = made.can.interrupt = made.can.approve = true;
    made.make = [](AgentHost& host, const std::string&) -> std::unique_ptr<Adapter> {
      return std::make_unique<Puppet>(host);
    };
    return made;
  }();
  return &kind;
}

// What an agent should be. All of it is what control/api/API.md promises.
struct Model {
  bool always = false;  // restart policy; else never
  enum class Process { kNone, kStarting, kReady } process = Process::kStarting;
  bool backoff = false, failed = false, deleted = false;
  bool run = false, by_person = false;  // interrupted
  int approvals = 0;
  // What waits: true, it came during the pause there is, and goes through it.
  std::vector<bool> waiting;
  bool paused = false;

  [[nodiscard]] bool alive() const { return process != Process::kNone; }
  [[nodiscard]] const char* State() const {
    if (process == Process::kStarting) return "starting";
    if (process == Process::kReady) return approvals > 0 ? "needs_input" : run ? "running" : "idle";
    return backoff ? "backoff" : failed ? "failed" : "exited";
  }
  void Pause() {
    paused = true;
    for (auto&& through : waiting) through = false;
  }
  void Resume() {
    paused = false;
    for (auto&& through : waiting) through = false;
  }
  [[nodiscard]] bool HasNext() const { return !waiting.empty() && (!paused || waiting.front()); }
  void TakeNext() {
    if (process != Process::kReady || run || !HasNext()) return;
    waiting.erase(waiting.begin());
    run = true;
    by_person = false;
  }
  void EndRun(bool completed, bool failed_run) {
    if (!run) return;
    run = false;
    if (failed_run) Pause();
    if (completed) Resume();
  }
  void Gone() {
    process = Process::kNone;
    approvals = 0;
  }

  // --- commands
  void Start() {
    Resume();
    if (!alive()) {
      backoff = failed = false;
      process = Process::kStarting;
    }
    TakeNext();
  }
  void Stop() {
    if (!waiting.empty() || run) Pause();
    if (alive()) failed = false;
    by_person = true;
    EndRun(false, false);
    backoff = false;
    Gone();
  }
  void Interrupt() {
    if (!by_person) Pause();
    by_person = true;
  }
  void Restart() {
    if (!alive()) return Start();
    if (run && !by_person) Pause();
    by_person = true;
    EndRun(false, false);
    Gone();
    process = Process::kStarting;
  }
  void Message() {
    // Before the first that does not go through.
    auto at = waiting.begin();
    while (at != waiting.end() && *at) ++at;
    if (paused) {
      waiting.insert(at, true);
    } else {
      waiting.push_back(false);
    }
    if (!alive() && !backoff) {
      failed = false;
      process = Process::kStarting;
    }
    TakeNext();
  }
  void Delete() {
    waiting.clear();
    by_person = true;
    EndRun(false, false);
    backoff = false;
    deleted = true;
    if (alive()) failed = false;
    Gone();
  }
  // --- facts
  void Ready() {
    if (process != Process::kStarting) return;
    process = Process::kReady;
    TakeNext();
  }
  void Exits(bool broken) {  // of itself
    const bool not_ready = process == Process::kStarting;
    if (run && !by_person) Pause();  // it failed; what a person had interrupted is cancelled
    run = false;
    Gone();
    failed = broken || not_ready;
    const bool again = always || (!failed && HasNext());
    backoff = again;
  }
};

ApprovalRequest Asking(const std::string& id) {
  ApprovalRequest request;
  request.id = id;
  request.tool = "bash";
  request.input = R"({"command":"ls"})";
  return request;
}

struct Pair {
  std::unique_ptr<Agent> agent;
  Model model;
  std::string story;
  int approvals = 0;  // made
};

class AgentModel : public testing::Test {
 protected:
  AgentModel() {
    log::SetLevel(log::Level::kError);
    auto opened = Store::Open(loop_, dir_.path() + "/reeve.db");
    EXPECT_TRUE(opened.ok());
    store_ = std::move(*opened);
    for (const char* folder : {"/events", "/transcripts", "/agents"})
      mkdir((dir_.path() + folder).c_str(), 0700);
    auto folder = [this](const char* name) { return dir_.path() + name; };
    context_ = std::make_unique<AgentContext>(AgentContext{loop_,
                                                           clock_,
                                                           http_,
                                                           *store_,
                                                           reaper_,
                                                           nullptr,
                                                           folder("/events"),
                                                           folder("/transcripts"),
                                                           folder("/agents"),
                                                           {},
                                                           "",
                                                           nullptr,
                                                           "model",
                                                           {},
                                                           {},
                                                           {},
                                                           {},
                                                           {},
                                                           PuppetKind});
    context_->next_epoch = [this] { return ++epoch_; };
    context_->want_spawn = [this](Agent& agent) {
      loop_.Post([this, id = agent.id()] {
        for (Pair& pair : pairs_) {
          if (pair.agent && pair.agent->id() == id) pair.agent->Spawn();
        }
      });
    };
    context_->dirty = [](Agent&) {};
    context_->discard = [](const std::string&) {};
  }

  // Until nothing moves any more: what was handed to the store is answered, no process is on its way.
  void Settle() {
    for (int round = 0; round < 3; ++round) {
      bool answered = false;
      store_->FindMessage("none",
                          [&answered](const Result<std::optional<MessageRecord>>&) { answered = true; });
      ASSERT_TRUE(RunUntil(loop_, [&] {
        for (const Pair& pair : pairs_) {
          const Agent::State state = pair.agent->state();
          if (state == Agent::State::kStopping) return false;
          if (state == Agent::State::kStarting && !pair.agent->has_process()) return false;
        }
        return answered;
      }));
    }
  }

  // Time passes beside the steps: a backoff may be over.
  static void CatchUp(Pair& pair) {
    if (!pair.model.backoff || pair.agent->state() != Agent::State::kStarting) return;
    pair.story += " (backoff-over)";
    pair.model.backoff = pair.model.failed = false;
    pair.model.process = Model::Process::kStarting;
  }

  // All that an agent says of itself; but its log is opened again, with a new epoch.
  static std::string Says(const Agent& agent) {
    auto json = JsonDocument::Parse(agent.ToJson());
    std::string says;
    for (const auto& [name, value] : json->root().Members()) {
      if (name != "cursor") says.append(name).append(": ").append(value.Raw()).append("\n");
    }
    return says + agent.QueueJson();
  }

  // As a new binary of the daemon takes it over.
  void HandOver(Pair& pair) {
    ASSERT_TRUE(pair.agent->settled()) << pair.story;
    const std::string before = Says(*pair.agent);
    std::vector<int> keep;
    auto saved = JsonDocument::Parse(pair.agent->HandOver(keep));
    ASSERT_TRUE(saved);
    pair.agent->Release();
    pair.agent.reset();
    auto adopted = Agent::Adopt(*context_, saved->root());
    ASSERT_TRUE(adopted.ok()) << pair.story << ": " << adopted.error().message;
    pair.agent = std::move(*adopted);
    EXPECT_EQ(Says(*pair.agent), before) << pair.story;
    pair.agent->Resume();
  }

  void Step(Pair& pair) {
    CatchUp(pair);
    if (random_() % 8 == 0) {
      pair.story += " handover";
      ASSERT_NO_FATAL_FAILURE(HandOver(pair));
      CatchUp(pair);
    }
    Agent& agent = *pair.agent;
    Model& model = pair.model;
    auto found = Puppet::present().find(agent.id());
    Puppet* puppet = found == Puppet::present().end() ? nullptr : found->second;
    auto ignore = [](const Status&) {};
    auto note = [&pair](const char* what) { pair.story += std::string(" ") + what; };
    switch (random_() % 16) {
      case 0:
        note("start");
        EXPECT_EQ(agent.Start(ignore).ok(), !model.deleted);
        if (!model.deleted) model.Start();
        return;
      case 1: {
        note("stop");
        const bool may = !model.deleted && (model.alive() || model.backoff);
        EXPECT_EQ(agent.Stop(0, ignore).ok(), may);
        if (may) model.Stop();
        return;
      }
      case 2:
        note("restart");
        EXPECT_EQ(agent.Restart(0, ignore).ok(), !model.deleted);
        if (!model.deleted) model.Restart();
        return;
      case 3:
        note("interrupt");
        EXPECT_EQ(agent.Interrupt().ok(), model.run);
        if (model.run) model.Interrupt();
        return;
      case 4:
      case 5:
      case 6: {
        note("message");
        Message message;
        message.text = "x";
        agent.Send(message, [deleted = model.deleted](const Result<Agent::Accepted>& accepted) {
          EXPECT_EQ(accepted.ok(), !deleted);
        });
        if (!model.deleted) model.Message();
        return;
      }
      case 7:
        if (random_() % 4 != 0 || model.deleted) return;
        note("delete");
        EXPECT_TRUE(agent.Delete(false, ignore).ok());
        return model.Delete();
      case 8:
      case 9:
      case 10:
        if (!puppet) return;
        note("ready");
        puppet->host.OnReady();
        return model.Ready();
      case 11:
      case 12: {
        if (!puppet || model.process != Model::Process::kReady) return;
        using Outcome = TurnEnd::Outcome;
        const auto outcome = static_cast<Outcome>(random_() % 3);
        const char* names[] = {"completed", "failed", "cancelled"};
        note(names[static_cast<int>(outcome)]);
        puppet->host.OnTurnEnded({outcome, {"told", "so"}});
        model.approvals = model.run ? 0 : model.approvals;
        // An agent may take the interrupt for an error.
        const bool failed = outcome == Outcome::kFailed && !model.by_person;
        model.EndRun(outcome == Outcome::kCompleted, failed);
        return model.TakeNext();
      }
      case 13:
        if (!puppet || model.process != Model::Process::kReady || model.run) return;
        note("begins-itself");
        puppet->host.OnTurnStarted();
        model.run = true;
        model.by_person = false;
        return;
      case 14:
        if (!puppet || !model.run) return;
        note("asks");
        puppet->host.OnApproval(Asking("p" + std::to_string(++pair.approvals)));
        ++model.approvals;
        return;
      default:
        if (!puppet) return;
        if (random_() % 2 == 0) {
          note("dies");
          puppet->host.Signal(SIGKILL);
          // On its way for a moment, in which it may seem to live.
          ASSERT_TRUE(RunUntil(loop_, [&agent] { return !agent.has_process(); }));
          return model.Exits(false);
        }
        note("breaks");
        puppet->host.OnBroken({"broken", "by the test"});
        return model.Exits(true);
    }
  }

  static void Compare(Pair& pair) {
    CatchUp(pair);
    auto json = JsonDocument::Parse(pair.agent->ToJson());
    ASSERT_TRUE(json);
    const Model& model = pair.model;
    EXPECT_EQ((*json)["state"].StringOr(""), model.State()) << pair.story;
    EXPECT_EQ((*json)["queue_depth"].AsInt(), static_cast<int64_t>(model.waiting.size())) << pair.story;
    EXPECT_EQ((*json)["queue_paused"].AsBool(), model.paused) << pair.story;
    EXPECT_EQ((*json)["pending_approvals"].AsInt(), model.approvals) << pair.story;
    EXPECT_EQ(static_cast<bool>((*json)["run"]), model.run) << pair.story;
  }

  TempDir dir_;
  SystemClock clock_;
  Loop loop_;
  Reaper reaper_{loop_};
  HttpClient http_{loop_};
  std::unique_ptr<Store> store_;
  std::unique_ptr<AgentContext> context_;
  uint64_t epoch_ = 0;
  std::vector<Pair> pairs_;
  std::mt19937_64 random_{kSeed};
};

TEST_F(AgentModel, IsWhereItShouldBeAfterEveryStep) {
  constexpr int kBatches = 25;
  constexpr int kAtOnce = 80;
  constexpr int kSteps = 14;
  std::cout << "seed " << kSeed << ", " << kBatches * kAtOnce << " sequences\n";
  for (int batch = 0; batch < kBatches && !HasFailure(); ++batch) {
    for (int i = 0; i < kAtOnce; ++i) {
      auto spec_json = JsonDocument::Parse(R"({"id":"a)" + std::to_string(batch * kAtOnce + i) +
                                           R"(","kind":"puppet","restart":{"policy":")" +
                                           (i % 2 == 0 ? "always" : "never") + R"(","max_restarts":1000}})");
      auto spec = AgentSpec::FromJson(spec_json->root());
      ASSERT_TRUE(spec.ok()) << spec.error().message;
      auto made = Agent::Create(*context_, std::move(*spec), "", [](const Status&) {});
      ASSERT_TRUE(made.ok()) << made.error().message;
      pairs_.emplace_back();
      pairs_.back().agent = std::move(*made);
      pairs_.back().model.always = i % 2 == 0;
      pairs_.back().story = i % 2 == 0 ? "always:" : "never:";
    }
    Settle();
    for (int step = 0; step < kSteps && !HasFailure(); ++step) {
      for (Pair& pair : pairs_) Step(pair);
      Settle();
      for (Pair& pair : pairs_) Compare(pair);
    }
    pairs_.clear();
  }
}

}  // namespace
}  // namespace reeve
