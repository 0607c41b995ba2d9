#include "control/daemon.h"

#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <utility>

#include "control/cli/line/exit_code.h"
#include "orchestrator/store/data_folder.h"
#include "process/log.h"

namespace reeve {

namespace {

constexpr int64_t kGoodbyeMs = 2'000;  // time for viewers to end, then for connections
constexpr int64_t kRuntimeRetryMs = 1'000;
constexpr int kLastViewerTurns = 100;  // before this image ends, viewers get what their sockets take

}  // namespace

Result<Daemon::Base> Daemon::MakeBase(const Config& config, bool handed_over, int lock_fd) {
  auto lock = handed_over ? Inherit(lock_fd) : LockDataDir(config.data);
  if (!lock) return lock.error();
  // A killed daemon left it. Until this daemon listens, nobody may follow it to a port that is another's now.
  if (!handed_over) (void)std::remove(RuntimeFile::PathIn(config.data).c_str());
  auto tokens = Tokens::Load(TokenSourceOf(config));
  if (!tokens) return tokens.error();
  if (Status safe = CheckExposure(config, tokens->configured()); !safe) {
    if (!handed_over) return safe.error();
    // The earlier image was just as exposed, and that is no reason to end running agents. The trial could not
    // see it, because it has no sockets.
    log::Failure("{}", safe.error().message);
  }
  auto loop = std::make_unique<Loop>();
  if (Status threads = loop->StartThreads(); !threads) return threads.error();
  auto reaper = std::make_unique<Reaper>(*loop);
  auto cgroups = CgroupRoot::Open();
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
              cgroups ? std::move(*cgroups) : nullptr,
              std::move(*store)};
}

Result<std::unique_ptr<Daemon>> Daemon::Start(ConfigSources sources, const Config& config, Options options) {
  const bool handed_over = options.handover >= 0;
  Result<HandoverState> earlier = handed_over ? ReadState(options.handover) : HandoverState();
  if (!earlier) return earlier.error();
  auto base = MakeBase(config, handed_over, earlier->lock_fd);
  if (!base) return base.error();
  std::unique_ptr<Daemon> daemon(
      new Daemon(std::move(sources), config, std::move(options), std::move(*base), *earlier));
  if (Status ready = daemon->BringBack(*earlier); !ready) return ready.error();
  if (Status listening = daemon->Listen(earlier->listeners); !listening) return listening.error();
  if (handed_over) {
    daemon->town_.Resume();
    daemon->base_.reaper->Look();  // reaps the processes that ended during the handover
    log::Info("took over from reeve {}: {} agents", earlier->version, daemon->town_.agents().size());
  }
  return daemon;
}

Daemon::Daemon(ConfigSources sources, const Config& config, Options options, Base base,
               const HandoverState& earlier)
    : options_(std::move(options)),
      config_(config),
      handovers_(earlier.handovers),
      started_ms_(handed_over() ? earlier.started_ms : clock_.MonotonicMs()),
      base_(std::move(base)),
      http_(*base_.loop),
      town_(*base_.loop, clock_, http_, *base_.store, *base_.reaper, base_.cgroups.get(), TownOptions()),
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
  // The end of every turn: first write to disk, then to the viewers.
  base_.loop->BeforeSleep([this] {
    town_.logs().Commit();
    return viewers_.Serve();
  });
  AddRoutes(router_, api_);
}

Daemon::~Daemon() = default;

Town::Options Daemon::TownOptions() {
  Town::Options options;
  options.data_dir = config_.data;
  options.name = config_.town;
  options.log = LogLimitsOf(config_);
  options.sync = config_.fsync == "interval";
  options.api.grant = [this](const std::string& agent, const std::string& token, AgentSpec::Api api) {
    base_.tokens.Grant(agent, token, api == AgentSpec::Api::kView ? Scope::kView : Scope::kOperate);
  };
  options.api.revoke = [this](const std::string& agent) {
    if (auto gone = base_.tokens.Revoke(agent)) ForgetToken(*gone);
  };
  options.git = GitOptionsOf(config_);
  options.binary = options_.program;
  return options;
}

Status Daemon::BringBack(HandoverState& earlier) {
  Status ready = handed_over() ? town_.Adopt(earlier.agents) : town_.Load();
  if (ready) tickets_.Restore(std::move(earlier.tickets));
  return ready;
}

Status Daemon::Listen(const std::vector<ListenerState>& inherited) {
  runtime_ = {static_cast<int>(getpid()), {}, REEVE_VERSION};
  const auto addresses = server_.Inherit(inherited, config_.listen);
  for (const std::string& url : config_.listen) {
    const auto known = addresses.find(url);
    auto listening = known == addresses.end() ? server_.Listen(url) : known->second;
    if (!listening && handed_over()) {
      log::Failure("{}", listening.error().message);
      continue;
    }
    if (!listening) return listening.error();
    if (known == addresses.end()) std::printf("reeve: listening on %s\n", listening->c_str());
    runtime_.listen.push_back(listening->rfind('/', 0) == 0 ? "unix://" + *listening : *listening);
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
      if (!tried) log::Warning("handover: {}", tried.error().message);
    });
  });
  LetSignalsIn();
  loop.Run();
  (void)std::remove(RuntimeFile::PathIn(config_.data).c_str());
  log::Info("stopped");
}

// Closes everything that a token opened which is no longer valid.
void Daemon::ForgetToken(uint64_t token) {
  tickets_.RevokeToken(token);
  viewers_.CloseByToken(token);
  exports_.CloseByToken(token);
}

// -------------------------------------------------------------------------------------------------- drain

void Daemon::OnStopSignal() {
  if (std::exchange(asked_to_stop_, true)) _exit(kCancelled);  // the second signal; children die with us
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

// ----------------------------------------------------------------------------------------------- handover

void Daemon::Upgrade(const std::string& binary, Handover::Tried tried) {
  handover_.Begin(binary, std::move(tried));
}

Handover::Parts Daemon::HandoverParts() {
  return {*base_.loop,
          *base_.reaper,
          town_,
          *base_.store,
          [this] { return NextArguments(); },
          options_.program,
          [this](std::vector<int>& keep) { return Save(keep); },
          [this](std::function<void()> quiet) { server_.Pause(std::move(quiet)); },
          [this] { server_.Resume(); },
          [this] {
            for (int turn = 0; turn < kLastViewerTurns && viewers_.Serve();) ++turn;
          }};
}

HandoverState Daemon::Save(std::vector<int>& keep) {
  const int lock = base_.lock.get();
  keep.push_back(lock);
  return {REEVE_VERSION, handovers_ + 1, started_ms_, lock, server_.HandOver(keep), tickets_.Save(), {}};
}

// The next image must use the same configuration file as this daemon, even if no argument names it.
std::vector<std::string> Daemon::NextArguments() const {
  std::vector<std::string> words = options_.arguments;
  if (!options_.names_config && !live_.file().empty()) words.insert(words.end(), {"--config", live_.file()});
  return words;
}

}  // namespace reeve
