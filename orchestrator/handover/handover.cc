#include "orchestrator/handover/handover.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <utility>

#include "orchestrator/agent/agent.h"
#include "orchestrator/json/json.h"
#include "orchestrator/store/store.h"
#include "orchestrator/town.h"
#include "process/http_client.h"
#include "process/log.h"
#include "process/loop.h"
#include "process/random.h"

namespace reeve {

namespace {

constexpr size_t kMaxSaid = size_t{64} << 10;  // of a trial's output
constexpr int64_t kLookMs = 2;
// The signals that a daemon gets once it can handle them.
sigset_t HeldSignals() {
  sigset_t held;
  sigemptyset(&held);
  for (int signum : {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2}) sigaddset(&held, signum);
  return held;
}

Error Failed(const std::string& reason) { return {"upgrade_failed", reason}; }

std::string_view LastLine(std::string_view text) {
  while (!text.empty() && text.back() == '\n') text.remove_suffix(1);
  const size_t end = text.rfind('\n');
  return text.substr(end == std::string_view::npos ? 0 : end + 1).substr(0, 1024);
}

}  // namespace

struct Handover::Trial {
  std::unique_ptr<Child> child;
  std::array<std::string, 2> said;  // by Child::Output
  bool late = false;
};

Handover::Handover(Parts parts)
    : parts_(std::move(parts)), deadline_(parts_.loop, [this] {
        if (!trial_) return Go();
        trial_->late = true;
        trial_->child->Stop(0);
      }) {}

Handover::~Handover() = default;

void Handover::Begin(const std::string& binary, Tried tried) {
  if (!binary_.empty()) return tried(Error{"conflict", "an upgrade is under way"});
  if (parts_.town.draining()) return tried(Error{"draining", "the daemon is shutting down"});
  binary_ = binary.empty() ? parts_.binary : binary;
  failure_.clear();
  tried_ = std::move(tried);
  log::Info("upgrade: trying {}", binary_);
  if (Status started = StartTrial(); !started) {
    auto refused = std::exchange(tried_, nullptr);
    GiveUp(started.error().message);
    refused(Failed(started.error().message));
  }
}

Status Handover::StartTrial() {
  HandoverState state = parts_.save();
  state.agents = parts_.town.HandOver();
  auto memory = PutInMemory(state.ToText());
  if (!memory) return memory.error();
  SpawnSpec spawn;
  spawn.argv = {binary_, "serve"};
  for (std::string& word : parts_.arguments()) spawn.argv.push_back(std::move(word));
  spawn.argv.emplace_back("--handover-trial");
  spawn.stdin_from = memory->get();
  for (char** entry = environ; *entry; ++entry) spawn.env.emplace_back(*entry);
  const std::string marker = "REEVE_TRIAL=" + RandomHex(8);
  spawn.env.push_back(marker);
  trial_ = std::make_unique<Trial>();
  auto child = Child::Start({parts_.loop, parts_.helpers}, std::move(spawn), marker,
                            {[this](Child::Output from, std::string_view bytes) {
                               std::string& said = trial_->said[static_cast<size_t>(from)];
                               if (said.size() < kMaxSaid) said += bytes.substr(0, kMaxSaid - said.size());
                             },
                             [this](const ExitStatus& exit) { OnTrialDone(exit); }});
  if (!child) {
    trial_.reset();
    return child.error();
  }
  trial_->child = std::move(*child);
  deadline_.Start(kTrialMs);
  return {};
}

void Handover::OnTrialDone(const ExitStatus& exit) {
  deadline_.Stop();
  const std::unique_ptr<Trial> trial = std::move(trial_);
  auto tried = std::exchange(tried_, nullptr);
  auto said = JsonDocument::Parse(LastLine(trial->said[0]));
  const bool ready = said && exit.code == 0 && (*said)["ready"].AsBool().value_or(false);
  const std::string version(said ? (*said)["version"].StringOr("") : "");
  if (ready && !trial->late && !version.empty()) {
    tried(version);
    return HoldAndGo();
  }
  std::string reason;
  if (trial->late) {
    reason = "did not report that it is ready within " + std::to_string(kTrialMs / 1000) + " s";
  } else if (said && (*said)["error"].AsString()) {
    reason = (*said)["error"].StringOr("");
  } else {
    reason = exit.signal != 0 ? "ended by signal " + std::to_string(exit.signal)
                              : "ended with code " + std::to_string(exit.code);
    reason += " without reporting that it is ready";
    const std::string_view last = LastLine(trial->said[1]);
    if (!last.empty()) (reason += ": ") += last;
  }
  reason = binary_ + ": " + reason;
  GiveUp(reason);
  tried(Failed(reason));
}

void Handover::HoldAndGo() {
  parts_.hold([this] { deadline_.Start(0); });  // in a turn of its own, so that nothing else is on the stack
  deadline_.Start(kRequestsMs);
  settle_until_ms_ = parts_.loop.NowMs() + kRequestsMs + kSettleMs;
}

void Handover::Go() {
  Status status = parts_.town.draining() ? Error{"draining", "the daemon is shutting down"} : Settle();
  // Work on the pool reports its end in a later turn.
  if (status && parts_.loop.offloaded() != 0 && parts_.loop.NowMs() < settle_until_ms_) {
    return deadline_.Start(kLookMs);
  }
  if (status && parts_.loop.offloaded() != 0) status = Error{"busy", "files are still being written"};
  if (status) status = parts_.become(binary_);
  parts_.release();
  GiveUp(status.error().message);
}

// Repeats until the store's answers cause no more writes, and no log has anything left to write.
Status Handover::Settle() {
  do {
    if (Status settled = parts_.store.Settle(kSettleMs); !settled) return settled;
    if (Status settled = parts_.town.logs().Settle(); !settled) return settled;
  } while (!parts_.town.logs().settled());
  return parts_.store.Settle(kSettleMs);
}

void Handover::GiveUp(const std::string& reason) {
  log::Failure("upgrade: failed, this binary continues: {}", reason);
  failure_ = reason;
  binary_.clear();
}

Status TryHandover(int fd, const std::string& data_dir) {
  auto state = ReadState(fd);
  if (!state) return state.error();
  if (Status known = Store::Check(data_dir + "/reeve.db"); !known) return known;
  Loop loop;
  HttpClient http(loop);
  for (const std::string& line : state->agents) {
    auto agent = JsonDocument::Parse(line);
    if (!agent) return Error{"handover_state", "the state of an agent: " + agent.error().message};
    if (Status tried = Agent::TryAdopt(loop, http, agent->root()); !tried) return tried;
  }
  return {};
}

void HoldSignals() {
  const sigset_t held = HeldSignals();
  pthread_sigmask(SIG_BLOCK, &held, nullptr);
}

void LetSignalsIn() {
  const sigset_t held = HeldSignals();
  pthread_sigmask(SIG_UNBLOCK, &held, nullptr);
}

std::string ProgramPath(const char* argv0) {
  namespace fs = std::filesystem;
  std::error_code error;
  const char* path = std::getenv("PATH");
  const std::string found = FindProgram(argv0 ? argv0 : "", path ? path : "");
  if (!found.empty()) return fs::absolute(found, error).lexically_normal().string();
  return fs::read_symlink("/proc/self/exe", error).string();
}

}  // namespace reeve
