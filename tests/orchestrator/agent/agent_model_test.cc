// An agent, held against a model of it (agent_model.h): thousands of random sequences of commands and facts,
// each in whatever state it meets, with real processes and the real store. After each step, once all is
// quiet, the agent must be where the model is. A handover to another binary in between changes nothing; an
// orderly end of the daemon, and the start of the next one, are steps.
#include "tests/orchestrator/agent/agent_model.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <functional>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "tests/orchestrator/agent/agent_walk.h"
#include "tests/orchestrator/agent/puppet.h"
#include "tests/support/sanitized.h"

namespace reeve {
namespace {

// Steps of the wall clock, which the test sets: a scheduled message waits for one or several steps.
constexpr int64_t kTickMs = 8;

class AgentModelWalk : public AgentWalk {
 protected:
  void Step(Pair& pair) {
    CatchUp(pair);
    if (!pair.model.draining && random_() % 8 == 0) {
      ASSERT_NO_FATAL_FAILURE(HandOver(pair));
      CatchUp(pair);
    }
    pair.model.manner = static_cast<Puppet::Manner>(random_() % 3);
    Puppet::manners()[pair.agent->id()] = pair.model.manner;
    const uint64_t kind = random_() % 32;
    if (pair.model.down && kind >= 16) return Reboot(pair);
    if (kind < 4) return Command(pair, kind);
    if (kind < 12) return Send(pair);
    if (kind < 13) return Withdraw(pair);
    if (kind < 14) return EndDaemonOrAgent(pair);
    if (kind < 16) return PassTime(pair);
    Puppet* puppet = Puppet::Of(pair.agent->id());
    if (!puppet) return;
    if (kind < 28) return Fact(pair, *puppet, kind);
    if (kind < 31) return PassLimit(pair, *puppet);
    Die(pair, *puppet);
  }

  void Command(Pair& pair, uint64_t which) {
    Agent& agent = *pair.agent;
    const AgentModel& before = pair.model;
    const bool may = !before.deleted;
    const bool alive = may && before.wanted();
    const bool runs = before.run.has_value();
    if (before.draining && (which == 0 || which == 2)) return;  // refused above the agent
    switch (which) {
      case 0:
        return Try(
            pair, "start", [may](AgentModel& model) { may ? model.Start() : void(); },
            [&] {
              EXPECT_EQ(Accepts([&agent](Agent::Done done) { agent.Start(std::move(done)); }), may)
                  << pair.story;
            });
      case 1:
        return Try(
            pair, "stop", [alive](AgentModel& model) { alive ? model.Stop() : void(); },
            [&] {
              EXPECT_EQ(Accepts([&agent](Agent::Done done) { agent.Stop(0, std::move(done)); }), alive)
                  << pair.story;
            });
      case 2:
        return Try(
            pair, "restart", [may](AgentModel& model) { may ? model.Restart() : void(); },
            [&] {
              EXPECT_EQ(Accepts([&agent](Agent::Done done) { agent.Restart(0, std::move(done)); }), may)
                  << pair.story;
            });
      default:
        return Try(
            pair, "interrupt", [runs](AgentModel& model) { runs ? model.Interrupt() : void(); },
            [&] {
              EXPECT_EQ(Accepts([&agent](Agent::Done done) { agent.Interrupt(std::move(done)); }), runs)
                  << pair.story;
            });
    }
  }

  void Send(Pair& pair) {
    if (pair.model.draining) return;  // refused above the agent
    const std::string number = std::to_string(++pair.made);
    AgentModel::Entry entry;
    entry.id = pair.agent->id() + "-" + std::string(3 - number.size(), '0') + number;
    const Message::Mode modes[] = {Message::Mode::kFollowUp, Message::Mode::kFollowUp, Message::Mode::kSteer,
                                   Message::Mode::kInterrupt};
    entry.mode = modes[random_() % 4];
    const bool later = random_() % 4 == 0;
    if (later) entry.run_at_ms = pair.clock->wall_ms + kTickMs * static_cast<int64_t>(1 + random_() % 3);
    std::string expected;
    Try(
        pair, std::string(later ? "schedule-" : "send-") + NameOf(entry.mode) + number,
        [&](AgentModel& model) { expected = model.Send(entry, pair.clock->wall_ms); },
        [&] {
          Message message;
          message.id = entry.id;
          message.text = "x";
          message.mode = entry.mode;
          message.run_at_ms = entry.run_at_ms;
          pair.agent->Send(message, [=, story = pair.story](const Result<Agent::Accepted>& accepted) {
            const std::string how = accepted.ok() ? accepted->disposition : accepted.error().code;
            EXPECT_EQ(how, expected) << story;
          });
        });
  }

  void Withdraw(Pair& pair) {
    std::vector<std::string> ids;
    for (const auto& entry : pair.model.waiting) ids.push_back(entry.id);
    for (const auto& [at, entry] : pair.model.scheduled) ids.push_back(entry.id);
    if (ids.empty()) return;
    const std::string& id = ids[random_() % ids.size()];
    Try(
        pair, "withdraw", [&id](AgentModel& model) { model.Withdraw(id); },
        [&] {
          EXPECT_TRUE(Accepts([&](Agent::Done done) { pair.agent->Withdraw(id, done); })) << pair.story;
        });
  }

  void EndDaemonOrAgent(Pair& pair) {
    Agent& agent = *pair.agent;
    if (pair.model.draining && pair.model.run) {  // its time is over
      return Try(
          pair, "shutdown", [](AgentModel& model) { model.ShutDown(); }, [&agent] { agent.Shutdown(0); });
    }
    if (random_() % 2 == 0 && !pair.model.draining) {
      return Try(
          pair, "drain", [](AgentModel& model) { model.Drain(); }, [&agent] { agent.Drain(0); });
    }
    if (pair.model.deleted || random_() % 4 != 0) return;
    Try(
        pair, "delete", [](AgentModel& model) { model.Delete(); },
        [&] {
          EXPECT_TRUE(Accepts([&agent](Agent::Done done) { agent.Delete(false, std::move(done)); }))
              << pair.story;
        });
  }

  // The daemon has ended in order; the next one finds the agent in the store.
  void Reboot(Pair& pair) {
    Try(
        pair, "reboot", [&pair](AgentModel& model) { model.Reboot(pair.clock->wall_ms); },
        [&] {
          const std::string id = pair.agent->id();
          EventLog* log = pair.agent->open_log();
          ASSERT_TRUE(!log || log->Commit().ok());
          pair.agent.reset();
          auto loaded = LoadAgent(*pair.context, id);
          ASSERT_TRUE(loaded.ok()) << pair.story << ": " << loaded.error().message;
          pair.agent = std::move(*loaded);
        });
  }

  void PassTime(Pair& pair) {
    const int64_t now = pair.clock->wall_ms + kTickMs * static_cast<int64_t>(1 + random_() % 2);
    Try(
        pair, "time", [now](AgentModel& model) { model.FallDue(now); },
        [&] {
          pair.clock->Advance(now - pair.clock->wall_ms);
          if (!pair.model.draining && random_() % 4 == 0) HandOver(pair);
        });
  }

  void Fact(Pair& pair, Puppet& puppet, uint64_t which) {
    const AgentModel& model = pair.model;
    AgentHost& host = puppet.host;
    if (model.process == AgentModel::Process::kStarting) {
      return Try(
          pair, "ready", [](AgentModel& changed) { changed.Ready(); }, [&host] { host.OnReady(); });
    }
    if (which < 19) {
      const auto outcome = static_cast<TurnEnd::Outcome>(random_() % 3);
      return Try(
          pair, TurnEnd::kOutcomes[static_cast<int>(outcome)],
          [outcome](AgentModel& changed) { changed.TurnEnds(outcome); },
          [&] {
            host.OnTurnEnded({outcome, {"told", "so"}});
          });
    }
    if (which >= 21 && !model.steering.empty()) {
      const std::string id = model.steering.front().id;
      const bool takes = random_() % 2 == 0;
      return Try(
          pair, takes ? "takes" : "refuses", [&](AgentModel& changed) { changed.AnswerSteering(id, takes); },
          [&] {
            host.OnSteered(id, takes ? Status() : Error{"refused", "by the test"});
          });
    }
    if (which == 19 && !model.run) {
      return Try(
          pair, "begins-itself", [](AgentModel& changed) { changed.BeginRun(""); },
          [&host] { host.OnTurnStarted(); });
    }
    if (which < 22 && model.run) {
      const std::string id = "p" + std::to_string(++pair.made);
      auto asks = [&id](AgentModel& changed) {
        changed.approvals.push_back(id);
        changed.stalled = false;  // a person is waited for
      };
      return Try(pair, "asks", asks, [&] { host.OnApproval(AskForBash(id)); });
    }
    if (which < 24 && !model.approvals.empty()) {
      const std::string id = model.approvals[random_() % model.approvals.size()];
      return Try(
          pair, "decide", [&id](AgentModel& changed) { std::erase(changed.approvals, id); },
          [&] {
            EXPECT_TRUE(Accepts([&](Agent::Done done) {
              pair.agent->Decide(id, Decision::kDeny, "", "", std::move(done));
            })) << pair.story;
          });
    }
    Try(
        pair, "speaks", [](AgentModel& changed) { changed.stalled = false; },
        [&host] { host.OnReceived("x"); });
  }

  // A limit of one millisecond passes by itself, so nothing waits for a clock.
  void PassLimit(Pair& pair, Puppet& puppet) {
    Agent& agent = *pair.agent;
    const AgentModel& model = pair.model;
    const Limits usual = agent.spec().limits;
    Limits limits = usual;
    auto pass = [&](const std::function<bool()>& passed) {
      SetLimits(agent, limits);
      EXPECT_TRUE(RunUntil(loop_, passed)) << pair.story;
      SetLimits(agent, usual);
    };
    if (!model.run) {
      if (model.process != AgentModel::Process::kReady || model.HasNext()) return;
      limits.idle_ms = 1;
      return Try(
          pair, "idles", [](AgentModel& changed) { changed.IdleTooLong(); },
          [&] { pass([&agent] { return agent.state() != Agent::State::kIdle; }); });
    }
    const uint64_t which = random_() % 3;
    if (which == 0) {
      return Try(
          pair, "spends",
          [](AgentModel& changed) { changed.has_max_tokens ? changed.PassLimit("max_tokens") : void(); },
          [&] { puppet.host.Emit("usage.updated", R"({"input_tokens":900,"output_tokens":101})"); });
    }
    // A run that follows at once would meet the limit too: it is lifted only once that is on disk.
    if (which == 1 && model.waiting.empty() && model.cancel == AgentModel::Cancel::kNo) {
      limits.wall_ms = 1;
      return Try(
          pair, "takes-too-long", [](AgentModel& changed) { changed.PassLimit("wall_ms"); },
          [&] { pass([&agent] { return agent.runs().open()->limit == "wall_ms"; }); });
    }
    if (!model.waiting.empty() || model.stalled || !model.approvals.empty()) return;
    limits.stall_ms = 1;
    limits.on_stall = static_cast<Limits::OnStall>(random_() % 3);
    Try(
        pair, "stalls" + std::to_string(static_cast<int>(limits.on_stall)),
        [&limits](AgentModel& changed) { changed.Stall(limits.on_stall); },
        [&] { pass([&agent] { return agent.state() != Agent::State::kRunning; }); });
  }

  static void SetLimits(Agent& agent, const Limits& limits) {
    AgentSpec spec = agent.spec();
    spec.limits = limits;
    agent.Update([spec](const AgentSpec&) -> Result<AgentSpec> { return spec; }, {"limits"},
                 [](const Result<bool>& updated) { EXPECT_TRUE(updated.ok()); });
  }

  void Die(Pair& pair, Puppet& puppet) {
    Agent& agent = *pair.agent;
    if (random_() % 2 == 0) {
      return Try(
          pair, "breaks", [](AgentModel& model) { model.Exits(true); },
          [&puppet] {
            puppet.host.OnBroken({"broken", "by the test"});
          });
    }
    Try(
        pair, "dies", [](AgentModel& model) { model.Exits(false); },
        [&] {
          puppet.host.Signal(SIGKILL);
          // It is on its way for a moment, in which it seems to live.
          EXPECT_TRUE(RunUntil(loop_, [&agent] { return !agent.has_process(); })) << pair.story;
        });
  }
};

TEST_F(AgentModelWalk, IsWhereItShouldBeAfterEveryStep) {
  constexpr int kBatches = kSanitized ? 8 : 24;
  constexpr int kAtOnce = 40;  // more would take so long that an agent is replaced for ignoring an interrupt
  constexpr int kSteps = 18;
  std::cout << "seed " << kSeed << ", " << kBatches * kAtOnce << " sequences\n";
  for (int batch = 0; batch < kBatches && !HasFailure(); ++batch) {
    for (int i = 0; i < kAtOnce; ++i) {
      ASSERT_NO_FATAL_FAILURE(Make("a" + std::to_string(batch * kAtOnce + i)));
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
