#include "control/daemon.h"

#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "control/cli/line/exit_code.h"
#include "orchestrator/store/data_folder.h"
#include "process/log.h"

namespace reeve {

namespace {

constexpr int64_t kGoodbyeMs = 2'000;  // time for viewers to end, then for connections
constexpr int64_t kRuntimeRetryMs = 1'000;
constexpr int kLastViewerTurns = 100;  // before this daemon ends, viewers get what their sockets take

Scope ScopeOf(AgentSpec::Api api) {
  if (api == AgentSpec::Api::kAdmin) return Scope::kAdmin;
  return api == AgentSpec::Api::kOperate ? Scope::kOperate : Scope::kView;
}

}  // namespace

// The keeper holds the lock from the first daemon on.
Result<Fd> Daemon::Lock(const Config& config, KeeperParent* keeper) {
  if (keeper) {
    for (const uint64_t key : keeper->Kept(ProcessParent::Purpose::kLock)) return keeper->Take(key);
  }
  auto lock = LockDataDir(config.data);
  if (lock && keeper) (void)keeper->Keep(lock->get(), ProcessParent::Purpose::kLock);
  return lock;
}

Result<Daemon::Base> Daemon::MakeBase(const Config& config, int keeper_fd) {
  auto loop = std::make_unique<Loop>();
  auto reaper = std::make_unique<Reaper>(*loop);
  std::unique_ptr<KeeperParent> keeper;
  std::unique_ptr<CrashPage> crash_page;
  if (keeper_fd >= 0) {
    auto connected = KeeperParent::Connect(*loop, Fd(keeper_fd));
    if (!connected) return connected.error();
    keeper = std::move(*connected);
    // Nothing may become of what fails now: the next daemon does it again. The kernel kills this one too
    // late, some moments after the keeper's sockets have closed.
    keeper->link().OnLost([] {
      log::Failure(
          "the keeper has ended or its replies make no sense; this daemon ends, and commits nothing more");
      _exit(1);
    });
    auto page = CrashPage::Open(*keeper);
    if (!page) return page.error();
    crash_page = std::move(*page);
    log::CopyTo([to = crash_page.get()](std::string_view line) { to->Log(line); });
  }
  const bool follows = keeper && !keeper->Kept(ProcessParent::Purpose::kLock).empty();
  auto lock = Lock(config, keeper.get());
  if (!lock) return lock.error();
  // A killed daemon left it. Until this daemon listens, nobody may follow it to a port that is another's now.
  if (!follows) (void)std::remove(RuntimeFile::PathIn(config.data).c_str());
  auto tokens = Tokens::Load(TokenSourceOf(config));
  if (!tokens) return tokens.error();
  if (Status safe = CheckExposure(config, tokens->configured()); !safe) {
    if (!follows) return safe.error();
    // The earlier daemon was just as exposed, and that is no reason to end running agents. The trial could
    // not see it, because it has no sockets.
    log::Failure("{}", safe.error().message);
  }
  if (Status threads = loop->StartThreads(); !threads) return threads.error();
  auto cgroups = CgroupRoot::Open(keeper ? keeper->link().keeper_pid() : 0);
  if (cgroups) {
    (*cgroups)->SweepDead();
  } else {
    log::Info("agents run without cgroups: {}", cgroups.error().message);
  }
  auto store = Store::Open(*loop, config.data + "/reeve.db");
  if (!store) return store.error();
  return Base{std::move(*lock),
              std::move(*tokens),
              std::move(loop),
              std::move(reaper),
              std::move(keeper),
              std::move(crash_page),
              cgroups ? std::move(*cgroups) : nullptr,
              std::move(*store),
              follows,
              {}};
}

Result<HandoverState> Daemon::ReadEarlier(Base& base) {
  const auto keys = base.keeper->Kept(ProcessParent::Purpose::kTownCheckpoint);
  for (auto key = keys.rbegin(); key != keys.rend(); ++key) {  // the newest valid one
    auto checkpoint = Checkpoint::Open(base.keeper->Take(*key), *key);
    if (!checkpoint) return checkpoint.error();
    base.earlier_towns.push_back(*key);
    if (!checkpoint->valid()) continue;
    auto text = checkpoint->Read(0);
    if (!text) return text.error();
    return HandoverState::Parse(*text);
  }
  return HandoverState();
}

// Whether the upgrade that the earlier daemon ended for has succeeded: the keeper tells of no death since.
bool Daemon::Became(const Base& base, const HandoverState& earlier) {
  return !earlier.becoming.empty() && base.keeper && !base.keeper->link().last_end();
}

Result<std::unique_ptr<Daemon>> Daemon::Start(ConfigSources sources, const Config& config, Options options) {
  auto base = MakeBase(config, options.keeper);
  if (!base) return base.error();
  const bool follows = base->follows;
  auto earlier = follows ? ReadEarlier(*base) : HandoverState();
  if (!earlier) return earlier.error();
  HandoverState state = std::move(*earlier);
  std::unique_ptr<Daemon> daemon(
      new Daemon(std::move(sources), config, std::move(options), std::move(*base), state));
  if (Status ready = daemon->BringBack(state); !ready) return ready.error();
  if (Status listening = daemon->Listen(state.listeners); !listening) return listening.error();
  if (!state.becoming.empty() && !Became(daemon->base_, state)) {
    daemon->handover_.SetFailure(state.becoming + ": it did not become ready, as the log says");
  }
  if (follows) {
    daemon->town_.Resume();
    daemon->base_.keeper->ForgetTheRest();
    log::Info("continuing after reeve {}: {} agents", state.version, daemon->town_.agents().size());
  }
  daemon->CommitTurn();
  if (KeeperParent* keeper = daemon->base_.keeper.get()) {
    if (Status saved = daemon->CommitTown(); !saved) return saved.error();
    // Until now the next daemon would have needed those of the earlier one.
    for (const uint64_t key : daemon->base_.earlier_towns) keeper->Drop(key);
    keeper->link().Ready();
  }
  return daemon;
}

Daemon::Daemon(ConfigSources sources, const Config& config, Options options, Base base,
               const HandoverState& earlier)
    : options_(std::move(options)),
      config_(config),
      handovers_(earlier.handovers + (Became(base, earlier) ? 1 : 0)),
      started_ms_(base.follows ? earlier.started_ms : clock_.MonotonicMs()),
      base_(std::move(base)),
      http_(*base_.loop),
      town_(*base_.loop, clock_, http_, *base_.store, *base_.reaper, parent(), base_.cgroups.get(),
            TownOptions()),
      kinds_(*base_.loop, *base_.reaper, base_.cgroups.get()),
      tickets_(clock_),
      viewers_(*base_.loop, town_, tickets_, ViewerLimitsOf(config)),
      exports_(*base_.loop, town_, *base_.store, Exports::Limits{}),
      waits_(*base_.loop, town_),
      pages_(*base_.loop, town_),
      gate_(base_.tokens, NamesOf(config)),
      live_(std::move(sources), config,
            {town_, viewers_, exports_, gate_, base_.tokens, [this](uint64_t token) { ForgetToken(token); }}),
      idempotency_(clock_, *base_.store),
      api_{*base_.loop, clock_, town_,  kinds_, tickets_, viewers_,
           exports_,    waits_, pages_, gate_,  *this,    config.base_path},
      gateway_(api_, idempotency_),
      mcp_(api_, idempotency_),
      serving_(base_.loop->BeforeSleep([this] {
        CommitTurn();
        const bool more = viewers_.Serve();
        gateway_.EndTurn();
        return more || town_.logs().dirty();
      })),
      server_(*base_.loop, Server::Limits{}, Dispatching(gate_, idempotency_),
              Admission(gate_, router_, config.base_path)),
      handover_(HandoverParts()),
      heap_trim_(*base_.loop),
      runtime_retry_(*base_.loop, [this] { WriteRuntime(); }),
      last_step_(*base_.loop, [this] { base_.loop->Stop(); }) {
  exports_.SetTimeouts(config.stall_timeout_ms);
  town_.OnChange([this](Agent& agent, Town::Change change) {
    switch (change) {
      case Town::Change::kMade:
        viewers_.AgentMade(agent);
        return waits_.AgentMade(agent);
      case Town::Change::kDeleted:
        return viewers_.AgentDeleted(agent);
      case Town::Change::kPurged:
        return viewers_.AgentPurged(agent);
    }
  });
  AddRoutes(router_, api_);
  AddGatewayRoute(router_, gateway_);
  AddMcpRoute(router_, mcp_);
}

Daemon::~Daemon() { log::CopyTo({}); }

Town::Options Daemon::TownOptions() {
  Town::Options options;
  options.data_dir = config_.data;
  options.name = config_.town;
  options.log = LogLimitsOf(config_);
  options.sync = config_.fsync == "interval";
  options.api.grant = [this](const std::string& agent, const std::string& token, AgentSpec::Api api) {
    base_.tokens.Grant(agent, token, ScopeOf(api));
  };
  options.api.revoke = [this](const std::string& agent) {
    if (auto gone = base_.tokens.Revoke(agent)) ForgetToken(*gone);
  };
  options.git = GitOptionsOf(config_);
  options.binary = options_.program;
  options.crash_page = base_.crash_page.get();
  return options;
}

Status Daemon::BringBack(HandoverState& earlier) {
  Status ready = base_.follows ? town_.Adopt() : town_.Load();
  if (ready) tickets_.Restore(std::move(earlier.tickets));
  if (ready) gateway_.owners().AfterStart();
  return ready;
}

Status Daemon::Listen(const std::vector<ListenerState>& inherited) {
  runtime_ = {static_cast<int>(getpid()), 0, {}, REEVE_VERSION};
  std::vector<ListenerState> there = inherited;
  if (base_.keeper && !base_.follows) {
    // The keeper holds the descriptors that it was started with, under their numbers.
    for (const std::string& url : config_.listen) {
      if (url.starts_with("fd://"))
        there.push_back({std::strtoull(url.c_str() + 5, nullptr, 10), url, "", "", 0, 0});
    }
  }
  const auto addresses =
      server_.Inherit(there, config_.listen, [this](uint64_t key) { return parent().Take(key); });
  for (const ListenerState& listener : there) {
    if (addresses.count(listener.url) == 0) parent().Drop(listener.key);  // it is no longer wanted
  }
  for (const std::string& url : config_.listen) {
    const auto known = addresses.find(url);
    auto listening = known == addresses.end() ? server_.Listen(url) : known->second;
    if (!listening && base_.follows) {
      log::Failure("{}", listening.error().message);
      continue;
    }
    if (!listening) return listening.error();
    if (known == addresses.end() || !base_.follows)
      std::printf("reeve: listening on %s\n", listening->c_str());
    runtime_.listen.push_back(listening->rfind('/', 0) == 0 ? "unix://" + *listening : *listening);
  }
  if (base_.keeper) {
    server_.KeepListeners(
        [this](int socket) { return base_.keeper->Keep(socket, ProcessParent::Purpose::kListener); });
    runtime_.keeper_pid = static_cast<int>(base_.keeper->link().keeper_pid());
  }
  town_.SetServer(LocalAddress(runtime_.listen));
  WriteRuntime();
  std::fflush(stdout);
  return {};
}

// Without it only the commands on this machine do not find the daemon, which is no reason not to serve.
void Daemon::WriteRuntime() {
  const Status written = runtime_.Write(config_.data);
  if (!written && runtime_failure_.empty()) log::Failure("{}", written.error().message);
  runtime_failure_ = written ? "" : written.error().message;
  if (!written) runtime_retry_.Start(kRuntimeRetryMs);
}

void Daemon::Run() {
  Loop& loop = *base_.loop;
  for (int signum : {SIGTERM, SIGINT}) {
    loop.OnSignal(signum, [this] { OnStopSignal(); });
  }
  loop.OnSignal(SIGHUP, [this] { (void)Reload(); });
  loop.OnSignal(SIGUSR2, [this] {
    Upgrade("", [](const Result<std::string>& tried) {
      if (!tried) log::Warning("upgrade: {}", tried.error().message);
    });
  });
  LetSignalsIn();
  loop.Run();
  (void)std::remove(RuntimeFile::PathIn(config_.data).c_str());
  if (base_.keeper) base_.keeper->link().Bye(kOk);
  log::Info("stopped");
}

// Closes everything that a token opened which is no longer valid.
void Daemon::ForgetToken(uint64_t token) {
  tickets_.RevokeToken(token);
  viewers_.CloseByToken(token);
  exports_.CloseByToken(token);
  mcp_.CloseByToken(token);
}

// -------------------------------------------------------------------------------------------------- drain

void Daemon::OnStopSignal() {
  if (std::exchange(asked_to_stop_, true)) {  // the second signal
    if (base_.keeper) base_.keeper->link().Bye(kCancelled);
    _exit(kCancelled);  // the agents end with us, or with the keeper
  }
  Drain({}, {});
}

void Daemon::Drain(std::optional<int64_t> timeout_ms, Drained done) {
  if (unfinished_ && done) return done(*unfinished_);
  if (done) want_to_know_.push_back(std::move(done));
  if (town_.draining()) return;
  log::Info("draining");
  town_.drain().Begin(timeout_ms.value_or(live_.config().drain_timeout_ms),
                      [this](std::vector<std::string> unfinished) { OnDrained(std::move(unfinished)); });
}

void Daemon::OnDrained(std::vector<std::string> unfinished) {
  waits_.EndAll();
  for (const std::string& sentence : unfinished) {
    log::Failure("{}", sentence);
    std::printf("reeve: %s\n", sentence.c_str());
  }
  unfinished_ = std::move(unfinished);
  for (const Drained& done : std::exchange(want_to_know_, {})) done(*unfinished_);
  viewers_.Shutdown(kGoodbyeMs, [this] {
    last_step_.Start(kGoodbyeMs);
    server_.Drain([this] { base_.loop->Stop(); });
  });
}

// -------------------------------------------------------------------------------------------- checkpoints

void Daemon::CommitTurn() {
  town_.logs().Commit();
  if (!base_.keeper || (checkpoint_ && tickets_.changes() == saved_changes_)) return;
  if (Status saved = CommitTown(); !saved) log::Failure("{}", saved.error().message);
}

Status Daemon::CommitTown() {
  if (!checkpoint_) {
    auto made = Checkpoint::Make(*base_.keeper, ProcessParent::Purpose::kTownCheckpoint);
    if (!made) return made.error();
    checkpoint_ = std::move(*made);
  }
  saved_changes_ = tickets_.changes();
  Status saved = checkpoint_->Write(0, Save().ToText());
  return saved ? checkpoint_->Commit() : saved;
}

HandoverState Daemon::Save() {
  return {REEVE_VERSION, handovers_, becoming_, started_ms_, server_.Listeners(), tickets_.Save(), {}};
}

// ------------------------------------------------------------------------------------------------ upgrade

void Daemon::Upgrade(const std::string& binary, Handover::Tried tried) {
  if (!base_.keeper) {
    return tried(
        Error{"not_supported", "this daemon runs without a keeper, so an upgrade would end its agents"});
  }
  handover_.Begin(binary, std::move(tried));
}

Handover::Parts Daemon::HandoverParts() {
  return {*base_.loop,
          *base_.reaper,
          town_,
          *base_.store,
          [this] { return NextArguments(); },
          options_.program,
          [this] { return Save(); },
          [this](std::function<void()> quiet) { server_.Pause(std::move(quiet)); },
          [this] { server_.Resume(); },
          [this](const std::string& binary) { return Become(binary); }};
}

// Returns only if it fails.
Status Daemon::Become(const std::string& binary) {
  if (access(binary.c_str(), X_OK) != 0) return OsError("execute " + binary, errno);
  becoming_ = binary;
  town_.logs().Commit();
  Status saved = CommitTown();
  if (!saved) {
    becoming_.clear();
    return saved;
  }
  for (int turn = 0; turn < kLastViewerTurns && viewers_.Serve();) ++turn;
  viewers_.Restart();
  log::Info("upgrade: {} follows", binary);
  (void)std::fflush(nullptr);
  base_.keeper->link().Upgrade(binary, KeeperProgramBeside(binary));
  _exit(kOk);  // destructors would end the agents
}

// The next daemon must use the same configuration file as this daemon, even if no argument names it.
std::vector<std::string> Daemon::NextArguments() const {
  std::vector<std::string> words = options_.arguments;
  if (!options_.names_config && !live_.file().empty()) words.insert(words.end(), {"--config", live_.file()});
  return words;
}

}  // namespace reeve
