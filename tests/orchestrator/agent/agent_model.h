// AgentModel: the state that an agent should be in, as control/api/API.md promises it. A value: a test
// applies a command or a fact to the model and to an Agent, and compares them once the agent is quiet.
//
// The model has no moments in between: a process is stopped, a message begun, as soon as it is to be.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "orchestrator/agent/mailbox.h"
#include "tests/orchestrator/agent/puppet.h"

namespace reeve {

struct AgentModel {
  using Mode = Message::Mode;
  struct Entry {
    std::string id;  // in the order of their sending
    Mode mode = Mode::kFollowUp;
    int64_t run_at_ms = 0;
    int64_t queued_ms = 0;  // when it was sent, or fell due
    bool started = false;   // a process was started for it, which has not taken it
    bool through = false;   // it came during the present pause, and is not held by it
  };
  enum class Process { kNone, kStarting, kReady };
  enum class Cancel { kNo, kPerson, kMessage, kLimit };

  // the spec
  bool always = false;  // restart policy; else never
  bool can_steer = false;
  bool has_max_tokens = false;

  Process process = Process::kStarting;
  bool backoff = false, failed = false, deleted = false;
  std::optional<std::string> run;  // the message that began it; empty: the agent itself
  Cancel cancel = Cancel::kNo;     // of the open run
  std::string limit;               // of kLimit
  bool stalled = false;
  std::vector<std::string> steered;  // into the open run
  std::vector<std::string> approvals;
  std::string last_run, last_limit;  // how the last run ended
  std::vector<Entry> waiting;
  std::vector<Entry> steering;  // given to the agent, which has not answered
  std::multimap<int64_t, Entry> scheduled;
  bool paused = false;
  Puppet::Manner manner = Puppet::Manner::kTakes;
  bool draining = false;
  bool down = false;  // the drain has ended the process
  bool wish = false;  // of an agent that is down: the next daemon starts it

  [[nodiscard]] bool alive() const { return process != Process::kNone; }
  [[nodiscard]] bool wanted() const { return down ? wish : alive() || backoff; }
  [[nodiscard]] const char* State() const {
    if (process == Process::kStarting) return "starting";
    if (process == Process::kReady) {
      return !approvals.empty() ? "needs_input" : !run ? "idle" : stalled ? "stalled" : "running";
    }
    return backoff ? "backoff" : failed ? "failed" : "exited";
  }

  // --- the queue
  [[nodiscard]] bool MayRun(const Entry& entry) const { return !paused || entry.through; }
  [[nodiscard]] bool HasNext() const {
    return std::any_of(waiting.begin(), waiting.end(), [this](const Entry& one) { return MayRun(one); });
  }
  std::vector<Entry>::iterator Next() {
    auto may_run = [this](const Entry& one) { return MayRun(one); };
    auto next = std::find_if(waiting.begin(), waiting.end(),
                             [&](const Entry& one) { return may_run(one) && one.mode == Mode::kInterrupt; });
    return next != waiting.end() ? next : std::find_if(waiting.begin(), waiting.end(), may_run);
  }
  void Pause() {
    paused = true;
    HoldAll();
  }
  void Unpause() {
    paused = false;
    HoldAll();
  }
  void HoldAll() {
    for (Entry& entry : waiting) entry.through = false;
    for (Entry& entry : steering) entry.through = false;
  }
  void Add(Entry entry) {
    auto precedes = [](const Entry& one) { return one.through || one.mode != Mode::kFollowUp; };
    auto at = precedes(entry) ? std::find_if_not(waiting.begin(), waiting.end(), precedes) : waiting.end();
    waiting.insert(at, std::move(entry));
  }
  void BeginNext() {
    if (process != Process::kReady || run || draining) return;
    const auto next = Next();
    if (next == waiting.end()) return;
    BeginRun(next->id);
    waiting.erase(next);
  }
  const char* Arrive(Entry entry) {
    const std::string id = entry.id;
    entry.through = paused;
    const bool interrupts = entry.mode == Mode::kInterrupt && run;
    const char* how = "queued";
    if (entry.mode != Mode::kSteer || !can_steer || !run || cancel != Cancel::kNo) {
      Add(std::move(entry));
    } else if (manner == Puppet::Manner::kRefuses) {
      Add(std::move(entry));
    } else {
      how = "steered";
      if (manner == Puppet::Manner::kTakes) steered.push_back(id);
      if (manner == Puppet::Manner::kAnswersLater) steering.push_back(std::move(entry));
    }
    if (!wanted()) Wake();
    if (interrupts && cancel == Cancel::kNo) cancel = Cancel::kMessage;
    return how;
  }

  // --- runs and the process
  void BeginRun(const std::string& message) {
    run = message;
    cancel = Cancel::kNo;
    stalled = false;
  }
  void EndRun(const char* how) {
    last_run = how;
    last_limit = cancel == Cancel::kLimit ? limit : "";
    run.reset();
    steered.clear();
    approvals.clear();
    stalled = false;
    if (last_run == "failed") Pause();
    if (last_run == "completed") Unpause();
  }
  void Wake() {
    failed = backoff = false;
    StartProcess();
  }
  void StartProcess() {
    process = Process::kStarting;
    if (const auto next = Next(); next != waiting.end()) next->started = true;
  }
  // `unasked`: nobody wanted the process to end, so an open run has failed.
  void EndProcess(bool unasked) {
    if (run) EndRun(cancel == Cancel::kLimit || (cancel == Cancel::kNo && unasked) ? "failed" : "cancelled");
    for (Entry& entry : steering) Add(std::move(entry));
    steering.clear();
    process = Process::kNone;
  }
  void CancelByPerson() {
    if (!run || cancel == Cancel::kLimit) return;
    cancel = Cancel::kPerson;
  }
  // The consequences of everything above.
  void Advance() {
    if (draining && !down && !run) ShutDown();
    BeginNext();
  }
  void ShutDown() {
    wish = always && wanted();
    draining = down = true;
    backoff = false;
    if (run && cancel == Cancel::kNo) cancel = Cancel::kMessage;  // no person's doing: nothing is paused
    EndProcess(false);
  }

  // --- commands
  void Start() {
    Unpause();
    if (!alive()) Wake();
    Advance();
  }
  void Stop() {
    if (run || !waiting.empty() || !steering.empty()) Pause();
    if (alive()) failed = false;
    CancelByPerson();
    backoff = wish = false;
    EndProcess(false);
    Advance();
  }
  void Restart() {
    if (!alive()) return Start();
    if (run && cancel == Cancel::kNo) Pause();
    CancelByPerson();
    EndProcess(false);
    StartProcess();
  }
  void Interrupt() {
    if (cancel == Cancel::kNo || cancel == Cancel::kMessage) Pause();
    CancelByPerson();
  }
  void Delete() {
    if (alive()) failed = false;
    if (cancel == Cancel::kNo) CancelByPerson();
    backoff = wish = false;
    deleted = true;
    EndProcess(false);
    waiting.clear();
    scheduled.clear();
    Advance();
  }
  // The disposition, or the code of the error.
  std::string Send(Entry entry, int64_t now_ms) {
    if (deleted) return "agent_deleted";
    const auto steers = static_cast<size_t>(std::count_if(
        waiting.begin(), waiting.end(), [](const Entry& one) { return one.mode == Mode::kSteer; }));
    if (entry.mode == Mode::kSteer && steers + steering.size() >= Mailbox::kMaxSteers) return "queue_full";
    entry.queued_ms = now_ms;
    if (entry.run_at_ms > now_ms) {
      scheduled.emplace(entry.run_at_ms, entry);
      return "scheduled";
    }
    std::string how = Arrive(entry);
    Advance();
    return run == entry.id ? "started" : how;
  }
  void Withdraw(const std::string& id) {
    std::erase_if(waiting, [&id](const Entry& one) { return one.id == id; });
    std::erase_if(scheduled, [&id](const auto& one) { return one.second.id == id; });
  }
  void Drain() {
    draining = true;
    Advance();
  }
  // Another daemon has started, after this one ended in order.
  void Reboot(int64_t now_ms) {
    draining = down = false;
    std::vector<Entry> all;
    all.swap(waiting);
    std::sort(all.begin(), all.end(), [](const Entry& one, const Entry& other) {
      return std::tie(one.queued_ms, one.id) < std::tie(other.queued_ms, other.id);
    });
    for (Entry& entry : all) {
      entry.started = false;
      Add(std::move(entry));
    }
    FallDue(now_ms);
    const bool for_messages = HasNext() && !failed;
    if (!alive() && !deleted && (for_messages || wish)) Wake();
    wish = false;
  }

  // --- facts
  void FallDue(int64_t now_ms) {
    while (!draining && !scheduled.empty() && scheduled.begin()->first <= now_ms) {
      Entry entry = std::move(scheduled.begin()->second);
      scheduled.erase(scheduled.begin());
      entry.queued_ms = entry.run_at_ms;
      Arrive(std::move(entry));
    }
    Advance();
  }
  void Ready() {
    if (process == Process::kStarting) process = Process::kReady;
    Advance();
  }
  void TurnEnds(TurnEnd::Outcome outcome) {
    if (!run) return;
    if (cancel == Cancel::kLimit) {
      EndRun("failed");
    } else if (outcome == TurnEnd::Outcome::kCompleted) {
      EndRun("completed");
    } else {  // an agent may take the interrupt for an error
      EndRun(outcome == TurnEnd::Outcome::kFailed && cancel == Cancel::kNo ? "failed" : "cancelled");
    }
    Advance();
  }
  void AnswerSteering(const std::string& id, bool takes) {
    const auto at =
        std::find_if(steering.begin(), steering.end(), [&id](const Entry& one) { return one.id == id; });
    Entry entry = std::move(*at);
    steering.erase(at);
    if (!takes) {
      Add(std::move(entry));
    } else if (run) {
      steered.push_back(id);
    }
    Advance();
  }
  void Exits(bool broken) {  // of itself
    const bool was_ready = process == Process::kReady;
    EndProcess(true);
    failed = broken || !was_ready;
    const auto next = Next();
    backoff = always || (!failed && next != waiting.end() && !next->started);
    if (!backoff) std::erase_if(waiting, [this](const Entry& one) { return one.started && MayRun(one); });
    Advance();
  }
  void PassLimit(const char* name) {
    if (!run || cancel != Cancel::kNo) return;  // it is ending already
    cancel = Cancel::kLimit;
    limit = name;
  }
  void Stall(Limits::OnStall how) {
    stalled = true;
    if (how == Limits::OnStall::kTell) return;
    PassLimit("stall_ms");
    if (how != Limits::OnStall::kRestart) return;
    EndProcess(false);
    StartProcess();
    Advance();
  }
  void IdleTooLong() {
    EndProcess(false);
    if (HasNext()) Wake();  // words that the agent never answered wait again
  }
};

}  // namespace reeve
