// A scripted day: messages with and without keys, at once and scheduled, approvals, changes, stops, agents
// that are made and deleted; and a daemon that is killed, or whose disk fails, at any moment. The test
// records every acknowledged change independently of the daemon, and compares the record with the daemon's
// state at the end (control/api/API.md: "A 2xx answer to a change means that the change is on disk").
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <map>
#include <random>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "process/clock.h"
#include "tests/support/daemon.h"
#include "tests/support/paths.h"
#include "tests/support/sanitized.h"

namespace reeve {
namespace {

constexpr uint64_t kSeed = 20'261'120;

// Each line is a turn, whose text goes into a ledger of its own first: what was really begun, and how often.
constexpr const char* kWorker = R"(
trap 'echo "{\"type\":\"run.cancelled\"}"; exit 0' INT
while read -r line; do
  echo "$line" >> "$1"
  echo '{"type":"run.started"}'
  echo '{"type":"assistant.message","message_id":"a","text":"'"$line"'"}'
  echo '{"type":"run.completed"}'
done
)";

// Speaks as Claude Code does, and asks in each turn whether it may run the text; the ledger tells what it was
// told.
constexpr const char* kAsker = R"(
n=0
while read -r line; do
  case "$line" in
    *'"initialize"'*)
      id=${line#*'"request_id":"'}; id=${id%%'"'*}
      echo '{"type":"control_response","response":{"subtype":"success","request_id":"'$id'","response":{}}}' ;;
    *'"type":"user"'*)
      n=$((n+1)); ask=p$$-$n
      echo '{"type":"system","subtype":"init","session_id":"s-1"}'
      echo '{"type":"control_request","request_id":"'$ask'","request":{"subtype":"can_use_tool","tool_name":"Bash","tool_use_id":"call-'$ask'","input":{"command":"mkdir '$ask'"}}}' ;;
    *'"control_response"'*)
      echo "$ask $line" >> "$1"
      echo '{"type":"result","subtype":"success","is_error":false,"terminal_reason":"completed","session_id":"s-1"}' ;;
  esac
done
)";

struct Sent {
  std::string agent;
  std::string text;
  std::string key;         // empty: none
  std::string body;        // to send it again
  std::string message_id;  // acknowledged; empty: nobody knows
  bool taken_back = false;
};

class Day : public testing::Test {
 protected:
  Day() {
    WriteFile(work_.path() + "/worker.sh", kWorker);
    WriteFile(work_.path() + "/asker.sh", kAsker);
  }

  void Open(const Daemon& daemon) { connection_ = std::make_unique<HttpConnection>(daemon.address()); }

  [[nodiscard]] Headers Bearer(const Daemon& daemon, const std::string& key = "") const {
    Headers headers = {{"Authorization", "Bearer " + daemon.token()}};
    if (!key.empty()) headers.emplace_back("Idempotency-Key", key);
    return headers;
  }

  HttpAnswer Call(const Daemon& daemon, const std::string& method, const std::string& target,
                  const std::string& body = "", const std::string& key = "") {
    connection_->Send(method, target, body, Bearer(daemon, key));
    if (strike_) strike_();
    return connection_->Receive();
  }

  // A 2xx is a promise; so is nothing else.
  static bool Done(const HttpAnswer& answer) { return answer.status >= 200 && answer.status < 300; }

  void MakeAgents(Daemon& daemon) {
    const std::string always = R"(,"restart":{"policy":"always","max_restarts":1000,"window_ms":1})";
    auto worker = [this](const std::string& id, const std::string& more) {
      return R"({"id":")" + id +
             R"(","kind":"jsonl","kind_options":{"turns":true},"command":["/bin/bash",")" + work_.path() +
             "/worker.sh\",\"" + Ledger(id) + "\"]" + more + "}";
    };
    daemon.Create(worker("worker", always));
    daemon.Create(worker("sleeper", R"(,"limits":{"idle_ms":30})"));
    daemon.Create(R"({"id":"asker","kind":"claude","command":["/bin/bash",")" + work_.path() +
                  "/asker.sh\",\"" + Ledger("asker") + "\"]" + always + "}");
  }
  [[nodiscard]] std::string Ledger(const std::string& agent) const {
    return work_.path() + "/ledger-" + agent;
  }

  // ------------------------------------------------------------------------------------- what people do

  void Say(const Daemon& daemon, const std::string& agent, const std::string& more = "",
           const std::string& key = "") {
    Sent sent;
    sent.agent = agent;
    sent.text = "t" + std::to_string(++texts_);
    sent.key = key;
    sent.body = R"({"text":")" + sent.text + "\"" + more + "}";
    HttpAnswer answer = Call(daemon, "POST", "/agents/" + agent + "/message", sent.body, key);
    if (Done(answer)) sent.message_id = answer.Field("message_id");
    sent_.push_back(std::move(sent));
  }

  // A request with a key that got no answer is sent again; one that got an answer gets the same answer.
  void SayAgain(const Daemon& daemon) {
    for (Sent& sent : sent_) {
      if (sent.key.empty() || again_.count(sent.key) != 0) continue;
      HttpAnswer answer = Call(daemon, "POST", "/agents/" + sent.agent + "/message", sent.body, sent.key);
      if (!Done(answer)) return;
      if (!sent.message_id.empty()) {
        EXPECT_EQ(answer.Field("message_id"), sent.message_id) << sent.key;
        again_.insert(sent.key);
      }
      sent.message_id = answer.Field("message_id");
    }
  }

  void TakeBack(const Daemon& daemon) {
    for (Sent& sent : sent_) {
      if (sent.agent != "sleeper" || sent.message_id.empty() || sent.taken_back || Below(4) != 0) continue;
      HttpAnswer answer = Call(daemon, "DELETE", "/agents/sleeper/queue/" + sent.message_id);
      if (Done(answer)) sent.taken_back = true;
      if (answer.status == 0) return;
    }
  }

  // The requests that are open now or will be in a moment.
  void DecideOne(const Daemon& daemon) {
    std::optional<JsonDocument> list;
    for (int looks = 0; looks < 20; ++looks) {
      const std::string body = daemon.Get("/approvals").body;
      if (auto json = JsonDocument::Parse(body)) list = std::move(*json);
      if (body.empty() || (list && (*list)["approvals"].size() != 0)) break;
      usleep(1'000);
    }
    if (!list || (*list)["approvals"].size() == 0) return;
    const std::string id((*list)["approvals"].At(0)["id"].StringOr(""));
    const std::string decision = Below(2) == 0 ? "allow_once" : "deny";
    HttpAnswer answer =
        Call(daemon, "POST", "/agents/asker/approvals/" + id, R"({"decision":")" + decision + "\"}");
    if (Done(answer)) decided_[id] = decision;
  }

  void Rename(const Daemon& daemon) {
    const int title = ++titles_;
    HttpAnswer answer =
        Call(daemon, "PATCH", "/agents/worker", R"({"title":")" + std::to_string(title) + "\"}");
    if (Done(answer)) title_ = title;
  }

  void MakeOne(const Daemon& daemon) {
    const std::string id = "made" + std::to_string(++made_);
    HttpAnswer answer =
        Call(daemon, "POST", "/agents", R"({"id":")" + id + R"(","kind":"process","command":["/bin/true"]})");
    if (Done(answer)) there_.insert(id);
  }

  void RemoveOne(const Daemon& daemon) {
    if (there_.empty()) return;
    const std::string id = *there_.begin();
    HttpAnswer answer = Call(daemon, "DELETE", "/agents/" + id + "?purge=true");
    there_.erase(id);
    if (Done(answer)) gone_.insert(id);
  }

  void Act(const Daemon& daemon) {
    switch (Below(14)) {
      case 0:
      case 1:
      case 2:
        return Say(daemon, "worker");
      case 3:
        return Say(daemon, "worker", "", "k" + std::to_string(texts_));
      case 4:
      case 5:
        return Say(daemon, "sleeper", R"(,"delay_ms":)" + std::to_string(Below(300)));
      case 6:
        return TakeBack(daemon);
      case 7:
        return Say(daemon, "asker");
      case 8:
      case 9:
        return DecideOne(daemon);
      case 10:
        return Rename(daemon);
      case 11:
        return Below(2) == 0 ? MakeOne(daemon) : RemoveOne(daemon);
      case 12: {
        const char* agents[] = {"worker", "asker", "sleeper"};
        const char* commands[] = {"/restart", "/stop", "/start", "/interrupt"};
        Call(daemon, "POST", std::string("/agents/") + agents[Below(3)] + commands[Below(4)]);
        return;
      }
      default:
        return SayAgain(daemon);
    }
  }

  uint64_t Below(uint64_t end) { return random_() % end; }

  static Daemon::Options AtOnce() {
    Daemon::Options options;
    options.arguments = {"--restart-delay", "0"};
    return options;
  }

  // ------------------------------------------------------------------------------------- what must be so

  void ExpectNoRunFailedForIt(const Daemon& daemon) {
    for (const char* agent : {"worker", "asker", "sleeper"}) {
      for (const std::string& event : AllEvents(daemon, agent)) {
        EXPECT_EQ(event.find("daemon_restarted"), std::string::npos) << agent << ": " << event;
      }
    }
  }

  // Lets all that waits come to its end.
  void Finish(Daemon& daemon) {
    strike_ = {};
    Open(daemon);
    const std::string town = daemon.town_id();
    SayAgain(daemon);
    SayAgain(daemon);  // those that the first round acknowledged
    for (const char* agent : {"worker", "asker", "sleeper"}) {
      EXPECT_TRUE(Eventually([&] {
        EXPECT_EQ(daemon.Post(std::string("/agents/") + agent + "/start").status, 202);
        DecideOne(daemon);
        HttpAnswer now = daemon.Get(std::string("/agents/") + agent);
        return now.Field("queue_depth") == "0" && now.Field("scheduled").empty() && now.Field("run").empty();
      })) << agent
          << ": " << daemon.Get(std::string("/agents/") + agent).body;
    }
  }

  void Check(const Daemon& daemon) {
    for (const char* agent : {"worker", "asker", "sleeper"}) CheckLog(agent, AllEvents(daemon, agent));
    for (const std::string& id : there_) EXPECT_EQ(daemon.Get("/agents/" + id).status, 200) << id;
    for (const std::string& id : gone_) EXPECT_EQ(daemon.Get("/agents/" + id).status, 404) << id;
    if (title_ != 0) {
      EXPECT_GE(std::atoi(daemon.Get("/agents/worker").Field("title").c_str()), title_);
    }
    for (const Sent& sent : sent_) {
      if (sent.message_id.empty() || sent.taken_back) continue;
      HttpAnswer run =
          daemon.Get("/agents/" + sent.agent + "/wait?timeout_ms=0&message_id=" + sent.message_id);
      EXPECT_EQ(run.status, 200) << sent.text << " " << run.wire;
      if (run.Field("status") == "completed" && sent.agent != "asker") {
        EXPECT_EQ(Lines(Ledger(sent.agent))[sent.text], 1) << sent.text << ": completed";
      }
    }
  }

  static std::vector<std::string> AllEvents(const Daemon& daemon, const std::string& agent) {
    std::vector<std::string> all;
    for (std::string cursor = "0";;) {
      auto page =
          JsonDocument::Parse(daemon.Get("/agents/" + agent + "/events?limit=5000&after=" + cursor).body);
      if (!page || (*page)["events"].size() == 0) return all;
      for (const JsonValue& event : (*page)["events"].Elements()) all.push_back(event.Raw());
      cursor = (*page)["cursor"].StringOr("");
    }
  }

  static std::map<std::string, int> Lines(const std::string& path) {
    std::map<std::string, int> lines;
    std::istringstream text(ReadFile(path));
    for (std::string line; std::getline(text, line);) ++lines[line];
    return lines;
  }

  void CheckLog(const std::string& agent, const std::vector<std::string>& events) {
    std::map<std::string, int> texts;              // of user.message
    std::map<std::string, int> ends;               // of runs, by message
    std::map<std::string, std::string> decisions;  // by approval
    std::set<std::string> asked;
    std::string run;
    int64_t seq = 0;
    for (const std::string& envelope : events) {
      auto json = JsonDocument::Parse(envelope);
      ASSERT_TRUE(json);
      const JsonValue event = json->root();
      ASSERT_EQ(event["seq"].AsInt(), ++seq) << agent << ": " << envelope;
      const std::string type(event["type"].StringOr(""));
      const JsonValue data = event["data"];
      if (type == "run.started") {
        EXPECT_EQ(run, "") << agent << ": two at once: " << envelope;
        run = event["run"].StringOr("");
      }
      EXPECT_EQ(event["run"].StringOr(""), run) << agent << ": " << envelope;
      if (type == "run.completed" || type == "run.failed" || type == "run.cancelled") {
        EXPECT_TRUE(asked.empty()) << agent << ": pending at the end of its run: " << *asked.begin();
        ++ends[std::string(data["message_id"].StringOr(""))];
        run.clear();
      }
      if (type == "user.message") ++texts[std::string(data["text"].StringOr(""))];
      if (type == "approval.requested") asked.insert(std::string(data["id"].StringOr("")));
      if (type == "approval.resolved") {
        const std::string id(data["id"].StringOr(""));
        EXPECT_EQ(asked.erase(id), 1U) << agent << ": resolved twice, or never asked: " << envelope;
        decisions[id] = data["decision"].StringOr("");
      }
    }
    EXPECT_EQ(run, "") << agent;
    const auto ledger = Lines(Ledger(agent));
    for (const Sent& sent : sent_) {
      if (sent.agent != agent) continue;
      EXPECT_LE(texts[sent.text], 1) << agent << ": begun twice: " << sent.text;
      if (agent != "asker") {
        EXPECT_LE(ledger.count(sent.text) ? ledger.at(sent.text) : 0, 1)
            << agent << ": done twice: " << sent.text;
      }
      if (sent.taken_back) {
        EXPECT_EQ(texts[sent.text], 0) << agent << ": taken back, and begun: " << sent.text;
      } else if (!sent.message_id.empty()) {
        // Where the writing of its beginning was torn its run has failed, and nobody has begun it.
        EXPECT_TRUE(texts[sent.text] == 1 || torn_) << agent << ": lost: " << sent.text;
        EXPECT_EQ(ends[sent.message_id], 1) << agent << ": " << sent.text;
      }
    }
    if (agent != "asker") return;
    for (const auto& [id, decision] : decided_) EXPECT_EQ(decisions[id], decision) << id;
  }

  TempDir work_;
  std::mt19937_64 random_{kSeed};
  std::unique_ptr<HttpConnection> connection_;
  std::function<void()> strike_;  // between a request and its answer
  std::vector<Sent> sent_;
  std::set<std::string> again_;  // keys that were answered twice
  std::map<std::string, std::string> decided_;
  std::set<std::string> there_, gone_;
  bool torn_ = false;
  int texts_ = 0, titles_ = 0, title_ = 0, made_ = 0;
};

TEST_F(Day, WhatWasAcknowledgedSurvivesKills) {
  constexpr int kKills = kSanitized ? 60 : 200;
  std::cout << "seed " << kSeed << "\n";
  Daemon daemon;
  MakeAgents(daemon);
  for (int kill = 0; kill < kKills && !HasFailure(); ++kill) {
    Open(daemon);
    strike_ = {};
    for (uint64_t i = Below(6); i > 0; --i) Act(daemon);
    // The last one meets the kill half done; what the kernel has of its answer still counts.
    strike_ = [&] {
      const int64_t end = SystemClock().MonotonicMs() + static_cast<int64_t>(Below(5));
      while (SystemClock().MonotonicMs() < end) continue;
      daemon.Kill();
    };
    Act(daemon);
    daemon.Kill();
    daemon.Start();
    ASSERT_TRUE(daemon.listening());
  }
  // Chance may have left no agent that must be there, or none that must be gone.
  strike_ = {};
  Open(daemon);
  if (gone_.empty()) MakeOne(daemon), RemoveOne(daemon);
  if (there_.empty()) MakeOne(daemon);
  Finish(daemon);
  Check(daemon);
  size_t acknowledged = 0;
  for (const Sent& sent : sent_) acknowledged += sent.message_id.empty() ? 0 : 1;
  std::cout << sent_.size() << " messages, " << acknowledged << " acknowledged, " << decided_.size()
            << " decisions\n";
  EXPECT_GT(acknowledged, size_t{kKills});
  EXPECT_GT(decided_.size(), size_t{kKills} / 40);
  EXPECT_FALSE(there_.empty());
  EXPECT_FALSE(gone_.empty());
}

// The daemon alone dies: its agents and their runs go on.
TEST_F(Day, NoAgentNoticesCrashes) {
  const char* wanted = std::getenv("REEVE_CRASHES");
  const int crashes = wanted ? std::atoi(wanted) : 100;
  Daemon daemon(AtOnce());
  MakeAgents(daemon);
  for (int crash = 0; crash < crashes && !HasFailure(); ++crash) {
    Open(daemon);
    strike_ = {};
    for (uint64_t i = Below(6); i > 0; --i) Act(daemon);
    const pid_t before = daemon.pid();
    strike_ = [&] {
      const int64_t end = SystemClock().MonotonicMs() + static_cast<int64_t>(Below(5));
      while (SystemClock().MonotonicMs() < end) continue;
      kill(before, SIGKILL);
    };
    Act(daemon);
    kill(before, SIGKILL);
    ASSERT_TRUE(Eventually([&] { return daemon.pid() != before && daemon.Get("/health").status == 200; }))
        << daemon.log();
  }
  strike_ = {};
  Finish(daemon);
  Check(daemon);
  EXPECT_EQ(daemon.Get("/health").Field("restarts"), std::to_string(crashes));
  ExpectNoRunFailedForIt(daemon);
}

// The same day in small.
class SmallDays : public Day, public testing::WithParamInterface<const char*> {
 protected:
  void SmallDay(Daemon& daemon) {
    Say(daemon, "worker");
    Say(daemon, "worker", "", "key");
    Say(daemon, "sleeper", R"(,"delay_ms":20)");
    Say(daemon, "asker");
    Rename(daemon);
    MakeOne(daemon);
    for (int tries = 0; tries < 20 && decided_.empty(); ++tries) {
      DecideOne(daemon);
      usleep(2'000);
    }
    Call(daemon, "POST", "/agents/worker/restart");
    Say(daemon, "worker");
    RemoveOne(daemon);
    Say(daemon, "sleeper", R"(,"delay_ms":1500)");
    HttpAnswer back = Call(daemon, "DELETE", "/agents/sleeper/queue/" + sent_.back().message_id);
    if (Done(back)) sent_.back().taken_back = true;
    if (!Done(back)) sent_.pop_back();  // nobody knows, and it may have been
  }
};

// The disk fails at each of its steps in turn.
using FaultyDisk = SmallDays;

TEST_P(FaultyDisk, WhatWasAcknowledgedIsThere) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer's runtime must come before anything that is preloaded";
  const std::string how = GetParam();
  const bool kills = how == "kill" || how == "torn";
  torn_ = how == "torn";
  int faults = 0;
  // Each step of the beginning, then ever fewer: a day has some hundreds.
  for (int at = 1; at < 400 && !HasFailure(); at += 1 + at / (kills ? 12 : 4)) {
    sent_.clear(), again_.clear(), decided_.clear(), there_.clear(), gone_.clear();
    title_ = 0;
    for (const char* agent : {"worker", "sleeper", "asker"}) unlink(Ledger(agent).c_str());
    const std::string armed = work_.path() + "/armed";
    unlink(armed.c_str());
    Daemon::Options options;
    options.arguments = {"--no-keeper"};  // the fault is to end all, as that of a machine
    options.environment = {std::string("LD_PRELOAD=") + kFaults,
                           "REEVE_FAULT=" + how + ":" + std::to_string(at), "REEVE_FAULT_ARMED=" + armed};
    Daemon daemon(options);
    MakeAgents(daemon);
    WriteFile(armed, "");
    Open(daemon);
    SmallDay(daemon);
    const bool dead = daemon.Wait(kills ? 50 : 0) == -SIGKILL;
    faults += dead ? 1 : 0;
    if (!kills) {
      EXPECT_EQ(daemon.Get("/health").status, 200) << how << ":" << at << "\n" << daemon.log();
    }
    daemon.Kill();
    daemon.Start({}, false);
    ASSERT_TRUE(daemon.listening()) << how << ":" << at;
    Finish(daemon);
    Check(daemon);
    if (HasFailure()) std::cerr << how << ":" << at << "\n" << daemon.log();
    if (kills && !dead) break;  // the day has no such step any more
  }
  if (kills) {
    EXPECT_GT(faults, 20);
  }
}

// The daemon is killed at each write of a turn in turn: to a log, a checkpoint, an outbox, the store.
using KilledAnywhere = SmallDays;

TEST_P(KilledAnywhere, NoAgentNotices) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer's runtime must come before anything that is preloaded";
  torn_ = false;
  int deaths = 0;
  for (int at = 1; at < 2'000 && !HasFailure(); at += 1 + at / 12) {
    sent_.clear(), again_.clear(), decided_.clear(), there_.clear(), gone_.clear();
    title_ = 0;
    for (const char* agent : {"worker", "sleeper", "asker"}) unlink(Ledger(agent).c_str());
    const std::string armed = work_.path() + "/armed";
    unlink(armed.c_str());
    Daemon::Options options = AtOnce();
    options.environment = {std::string("LD_PRELOAD=") + kFaults,
                           std::string("REEVE_FAULT=") + GetParam() + ":" + std::to_string(at),
                           "REEVE_FAULT_ARMED=" + armed};
    Daemon daemon(options);
    MakeAgents(daemon);
    WriteFile(armed, "");
    Open(daemon);
    SmallDay(daemon);
    ASSERT_TRUE(Eventually([&] { return daemon.Get("/health").status == 200; })) << daemon.log();
    const bool died = daemon.Get("/health").Field("restarts") == "1";
    deaths += died ? 1 : 0;
    unlink(armed.c_str());
    Finish(daemon);
    Check(daemon);
    ExpectNoRunFailedForIt(daemon);
    if (HasFailure()) std::cerr << GetParam() << ":" << at << "\n" << daemon.log();
    if (!died) break;  // the day has no such step any more
  }
  EXPECT_GT(deaths, 20);
}

INSTANTIATE_TEST_SUITE_P(Each, KilledAnywhere, testing::Values("kill", "torn"));
INSTANTIATE_TEST_SUITE_P(Each, FaultyDisk, testing::Values("kill", "torn", "eio", "enospc"),
                         [](const auto& param) { return std::string(param.param); });

}  // namespace
}  // namespace reeve
