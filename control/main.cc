// reeve: the daemon and its command line. Wires everything together; alone may include everything.
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "control/access/auth.h"
#include "control/access/idempotency.h"
#include "control/access/tokens.h"
#include "control/api/api.h"
#include "control/cli/commands/commands.h"
#include "control/cli/line/command_line.h"
#include "control/cli/line/manual.h"
#include "control/cli/terminal/console.h"
#include "control/http/router.h"
#include "control/http/server.h"
#include "control/live_config.h"
#include "control/streams/exports.h"
#include "control/streams/viewers.h"
#include "orchestrator/config/config.h"
#include "orchestrator/handover/handover.h"
#include "orchestrator/store/data_folder.h"
#include "orchestrator/store/store.h"
#include "orchestrator/town.h"
#include "process/cgroup.h"
#include "process/clock.h"
#include "process/fd.h"
#include "process/http_client.h"
#include "process/log.h"
#include "process/loop.h"
#include "process/reaper.h"
#include "process/timer.h"
#include "tickets/ticket_store.h"

namespace reeve {
namespace {

struct ServeOptions {
  std::string config_file;
  bool check_config = false;
  std::map<std::string, std::vector<std::string>> flags;  // by the setting's key
  // Between two images of this process (HANDOVER.md).
  int handover = -1;  // a descriptor: what the earlier one left
  bool handover_trial = false;
  std::string program;
  std::vector<std::string> arguments;  // of `serve`, but for these
};

// Nobody else of this user may read our memory, where tokens pass through; children are not affected.
// LeakSanitizer needs to, at exit.
void MakeUndumpable() {
#if !defined(REEVE_SANITIZED)
  (void)prctl(PR_SET_DUMPABLE, 0);
#endif
}

Git::Options GitOptionsOf(const Config& config) {
  Git::Options options;
  options.protocols.clear();
  for (const std::string& protocol : config.workspace_protocols)
    options.protocols += (options.protocols.empty() ? "" : ":") + protocol;
  options.credentials = config.git_credentials;
  options.timeout_ms = config.workspace_timeout_ms;
  if (config.workspace_wip == "commit") options.wip = Git::Options::Wip::kCommit;
  if (config.workspace_wip == "push") options.wip = Git::Options::Wip::kPush;
  return options;
}

// Of viewers, before this image ends: what their sockets take.
constexpr int kLastTurns = 100;

int Refuse(const Error& error) {
  std::fprintf(stderr, "reeve: serve: %s\n", error.message.c_str());
  if (error.code == "invalid_config") return kBadConfig;
  return error.code == "invalid_request" ? kUsage : kFailed;
}

Tokens::Source TokenSource(const Config& config) {
  const char* variable = std::getenv("REEVE_TOKEN");
  return {config.token_file, variable ? variable : "", config.data};
}

// `reeve serve --check-config`: what serve would go by, and where each setting came from. Nothing is made.
int CheckConfig(const LoadedConfig& loaded) {
  const Tokens::Source source = TokenSource(loaded.config);
  const bool chosen = !source.file.empty() || !source.variable.empty();
  auto wrong = [](Error error) { return Refuse({"invalid_config", std::move(error.message)}); };
  if (chosen) {
    if (auto tokens = Tokens::Load(source); !tokens) return wrong(tokens.error());
  }
  if (Status safe = CheckExposure(loaded.config, chosen); !safe) return wrong(safe.error());
  std::fputs(DescribeConfig(loaded).c_str(), stdout);
  return kOk;
}

// `reeve serve … --handover-trial`: could this binary go on with the state on stdin? The answer is one line.
int Try(const Config& config) {
  const Status ready = TryHandover(STDIN_FILENO, config.data);
  JsonObject line;
  line.Set("ready", ready.ok()).Set("version", REEVE_VERSION);
  if (!ready) line.Set("error", ready.error().message);
  std::printf("%s\n", line.Take().c_str());
  return ready ? kOk : kFailed;
}

int Serve(const ServeOptions& options) {
  ConfigSources sources{options.config_file, ReeveEnvironment(), options.flags};
  auto loaded = LoadConfig(sources);
  if (!loaded) return Refuse(loaded.error());
  sources.file = loaded->file;
  const Config& config = loaded->config;
  log::SetLevel(LogLevelOf(config));
  for (const std::string& warning : loaded->warnings) log::Warning("{}", warning);
  if (options.check_config) return CheckConfig(*loaded);
  if (!options.handover_trial) HoldSignals();
  (void)std::signal(SIGPIPE, SIG_IGN);
  MakeUndumpable();
  RaiseDescriptorLimit();  // a viewer costs one, a child four

  const bool handed_over = options.handover >= 0;
  Result<HandoverState> earlier = handed_over ? ReadState(options.handover) : HandoverState();
  if (!earlier) return Refuse(earlier.error());
  Result<Fd> lock = Fd();  // a trial runs beside who has it
  if (!options.handover_trial) lock = handed_over ? Inherit(earlier->lock_fd) : LockDataDir(config.data);
  if (!lock) return Refuse(lock.error());
  auto tokens = Tokens::Load(TokenSource(config));
  if (!tokens) return Refuse(tokens.error());
  if (Status safe = CheckExposure(config, tokens->configured()); !safe) {
    if (!handed_over) return Refuse(safe.error());
    // It is as it was, and no reason to end agents that run. The trial, without the sockets, could not see
    // it.
    log::Failure("{}", safe.error().message);
  }
  if (options.handover_trial) return Try(config);

  SystemClock clock;
  const int64_t started_ms = handed_over ? earlier->started_ms : clock.MonotonicMs();
  Loop loop;
  Reaper reaper(loop);
  auto cgroups = CgroupRoot::Open();
  if (cgroups) {
    (*cgroups)->SweepDead();
  } else {
    log::Info("agents run without cgroups: {}", cgroups.error().message);
  }
  auto store = Store::Open(loop, config.data + "/reeve.db");
  if (!store) return Refuse(store.error());
  HttpClient http(loop);

  std::function<void(uint64_t token)> forget = [](uint64_t) {};  // what a token that is void had opened
  Town town(loop, clock, http, **store, reaper, cgroups ? cgroups->get() : nullptr,
            {config.data,
             config.town,
             Town::Options{}.max_agents,
             LogLimitsOf(config),
             config.fsync == "interval",
             {[&tokens](const std::string& agent, const std::string& token, AgentSpec::Api api) {
                tokens->Grant(agent, token, api == AgentSpec::Api::kView ? Scope::kView : Scope::kOperate);
              },
              [&tokens, &forget](const std::string& agent) {
                if (auto gone = tokens->Revoke(agent)) forget(*gone);
              }},
             GitOptionsOf(config)});
  Status ready = handed_over ? town.Adopt(earlier->agents) : town.Load();
  if (!ready) return Refuse(ready.error());

  KindCatalog kinds(loop, reaper, cgroups ? cgroups->get() : nullptr);
  TicketStore tickets(clock);
  tickets.Restore(std::move(earlier->tickets));
  Viewers viewers(loop, town, tickets, ViewerLimitsOf(config));
  Exports exports(loop, town, **store, Exports::Limits{});
  exports.SetPatience(config.stall_timeout_ms);
  town.OnChange([&viewers](Agent& agent, Town::Change change) {
    switch (change) {
      case Town::Change::kMade:
        return viewers.AgentMade(agent);
      case Town::Change::kDeleted:
        return viewers.AgentDeleted(agent);
      case Town::Change::kPurged:
        return viewers.AgentPurged(agent);
    }
  });
  forget = [&tickets, &viewers, &exports](uint64_t token) {
    tickets.RevokeToken(token);
    viewers.CloseByToken(token);
    exports.CloseByToken(token);
  };
  // The end of every turn: first to disk, then to the viewers.
  loop.BeforeSleep([&town, &viewers] {
    town.logs().Commit();
    return viewers.Serve();
  });

  Gate gate(*tokens, NamesOf(config));
  LiveConfig live(sources, config, {town, viewers, exports, gate, *tokens, forget});
  Idempotency idempotency(clock, **store);
  Router router;
  std::unique_ptr<Server> server;
  ApiContext api{loop,
                 clock,
                 town,
                 kinds,
                 tickets,
                 viewers,
                 exports,
                 config.base_path,
                 [&server] { return server->stats(); },
                 [&gate](const Request& request) { return gate.CorsHeaders(request); },
                 started_ms,
                 [&live] { return live.Reload(); },
                 {},
                 {},
                 earlier->handovers,
                 {}};
  AddAgentRoutes(router, api);
  AddBatchRoutes(router, api);
  AddMessageRoutes(router, api);
  AddEventRoutes(router, api);
  AddFileRoutes(router, api);
  AddStreamRoutes(router, api);
  AddTownRoutes(router, api);
  server = std::make_unique<Server>(loop, Server::Limits{}, Guard(gate, router, idempotency));

  RuntimeFile runtime{static_cast<int>(getpid()), {}, REEVE_VERSION};
  const auto inherited = server->Inherit(earlier->listeners, config.listen);
  for (const std::string& url : config.listen) {
    const auto known = inherited.find(url);
    auto listening = known == inherited.end() ? server->Listen(url) : known->second;
    if (!listening && handed_over) {  // no reason to end agents that run
      log::Failure("{}", listening.error().message);
      continue;
    }
    if (!listening) return Refuse(listening.error());
    if (known == inherited.end()) std::printf("reeve: listening on %s\n", listening->c_str());
    runtime.listen.push_back(listening->rfind('/', 0) == 0 ? "unix://" + *listening : *listening);
  }
  town.SetServer(LocalAddress(runtime.listen));
  if (Status written = runtime.Write(config.data); !written) {
    if (!handed_over) return Refuse(written.error());
    log::Failure("{}", written.error().message);
  }
  std::fflush(stdout);

  // The file that we go by, since the start or a reload, is the next image's, too, also where nobody named
  // it.
  const auto arguments = [&options, &live] {
    std::vector<std::string> words = options.arguments;
    if (options.config_file.empty() && !live.file().empty())
      words.insert(words.end(), {"--config", live.file()});
    return words;
  };
  Handover handover({loop, reaper, town, **store, arguments, options.program,
                     [&](std::vector<int>& keep) {
                       keep.push_back(lock->get());
                       return HandoverState{
                           REEVE_VERSION,          earlier->handovers + 1, started_ms, lock->get(),
                           server->HandOver(keep), tickets.Save(),         {}};
                     },
                     [&server](std::function<void()> quiet) { server->Hold(std::move(quiet)); },
                     [&server] { server->Release(); },
                     [&viewers] {
                       for (int turn = 0; turn < kLastTurns && viewers.Serve();) ++turn;
                     }});
  api.upgrade = [&handover](const std::string& binary, Handover::Tried tried) {
    handover.Begin(binary, std::move(tried));
  };
  api.upgrade_failure = [&handover] { return handover.failure(); };

  Timer last_step(loop, [&loop] { loop.Stop(); });  // a connection that will not end does not hold us
  std::vector<std::function<void(const std::vector<std::string>&)>> want_to_know;
  std::optional<std::vector<std::string>> left;  // once it has drained: what did not finish
  api.drain = [&](std::optional<int64_t> timeout_ms, auto done) {
    if (left && done) return done(*left);
    if (done) want_to_know.push_back(std::move(done));
    if (town.draining()) return;
    log::Info("draining");
    town.drain().Begin(timeout_ms.value_or(live.config().drain_timeout_ms),
                       [&](const std::vector<std::string>& unfinished) {
                         for (const std::string& what : unfinished) {
                           log::Failure("{}", what);
                           std::printf("reeve: %s\n", what.c_str());
                         }
                         left = unfinished;
                         for (const auto& tell : std::exchange(want_to_know, {})) tell(unfinished);
                         viewers.Shutdown(2'000, [&] {
                           last_step.Start(2'000);
                           server->Drain([&] { loop.Stop(); });
                         });
                       });
  };
  bool asked_to_stop = false;
  auto stop = [&] {
    if (std::exchange(asked_to_stop, true)) _exit(kCancelled);  // twice: at once. Children die with us
    api.drain({}, {});
  };
  loop.OnSignal(SIGTERM, stop);
  loop.OnSignal(SIGINT, stop);
  loop.OnSignal(SIGHUP, [&live] { (void)live.Reload(); });
  loop.OnSignal(SIGUSR2, [&handover] {
    handover.Begin("", [](const Result<std::string>& tried) {
      if (!tried) log::Warning("handover: {}", tried.error().message);
    });
  });

  if (handed_over) {
    town.Resume();
    reaper.Look();  // buries what ended in between
    log::Info("took over from reeve {}: {} agents", earlier->version, town.agents().size());
  }
  LetSignalsIn();
  loop.Run();
  (void)std::remove(RuntimeFile::PathIn(config.data).c_str());
  log::Info("stopped");
  return kOk;
}

// What its values are called: by the setting's own word for one of them, else by their type.
std::string TypeName(const Setting& setting) {
  if (setting.value_name) return setting.value_name;
  switch (setting.type) {
    case Setting::Type::kDuration:
      return "DURATION";
    case Setting::Type::kSize:
      return "SIZE";
    case Setting::Type::kText:
    case Setting::Type::kList:
      return "TEXT";
    case Setting::Type::kChoice:
      break;
  }
  std::string choices;
  for (const char* choice : setting.choices) choices += (choices.empty() ? "" : "|") + std::string(choice);
  return choices;
}

// The default as one would type it, without the quotes and brackets of the file.
std::string DefaultWords(const Setting& setting) {
  if (setting.default_words) return setting.default_words;
  std::string words;
  for (char c : ShowSetting(setting, Config{})) {
    if (std::strchr("\"[]", c) == nullptr) words += c;
  }
  return words;
}

void AddServe(Command root, ServeOptions& options) {
  Command serve = root.Add("serve", "Run the daemon: spawn agents, keep their event logs, stream them.");
  serve.Details(
      "Each setting is also a key of the file and, but for token_file, a variable REEVE_<KEY>: "
      "--drain-timeout "
      "is drain_timeout and REEVE_DRAIN_TIMEOUT. Flags win over the environment, which wins over the file.");
  serve.Option("--config", options.config_file, "FILE", "A TOML file of these settings")
      .Default(kDefaultConfigWords);
  serve.Variable("REEVE_TOKEN", "The one token, for all that may be done, where --token-file is not given.");
  serve.File("/etc/reeve/config.toml", "The settings of root's daemon.");
  serve.File("~/.config/reeve/config.toml", "Those of anybody else's: XDG_CONFIG_HOME is honoured.");
  serve.File("DATA/token", "Made at the first start, where no token is configured.");
  serve.File("DATA/runtime.json", "Where it listens, and its process: for the commands that ask it.");
  serve.File("DATA/reeve.db, DATA/events", "The agents, and their event logs.");
  serve.Flag("--check-config", options.check_config,
             "Print what it would go by and where each setting came from, and exit: 0, or 78");
  for (const Setting& setting : Settings()) {
    serve
        .Option(setting.flag, options.flags[setting.key], TypeName(setting), setting.help,
                setting.type != Setting::Type::kList)
        .Default(DefaultWords(setting));
    if (!setting.variable.empty()) serve.Variable(setting.variable, std::string("As ") + setting.flag + ".");
  }
  serve.Option("--handover", options.handover, 0, std::numeric_limits<int>::max(), "").Hidden();
  serve.Flag("--handover-trial", options.handover_trial, "").Hidden();
  serve.Example("reeve serve", "on http://127.0.0.1:8080; its token is in DATA/token");
  serve.Example("reeve serve --listen unix:///run/reeve.sock --town prod", "on a socket of its own");
  serve.Action([&options] { return Serve(options); });
}

// What another image of this process is called with: `words`, after `serve`.
void KeepArguments(ServeOptions& options, const std::vector<std::string>& words) {
  for (size_t i = 0; i < words.size(); ++i) {
    if (words[i] == "--handover") {
      ++i;
    } else if (words[i] != "--handover-trial") {
      options.arguments.push_back(words[i]);
    }
  }
}

int Main(int argc, char** argv) {
  PrepareOutput();
  const std::string name = "reeve " REEVE_VERSION;
  CommandLine line("Run a fleet of coding agents: supervise them, keep their event logs, stream them live.",
                   name);
  ServeOptions serve;
  serve.program = ProgramPath(argc > 0 ? argv[0] : "");
  AddServe(line.root(), serve);
  AddRun(line.root());
  AddAgents(line.root());
  AddApprovals(line.root());
  AddTicket(line.root());
  AddTop(line.root());
  AddExport(line.root());
  AddReplay(line.root());
  AddDoctor(line.root());
  AddUpgrade(line.root());
  AddDrain(line.root());
  AddCompletion(line.root());
  bool json = false;
  Command version = line.root().Add("version", "Print the version.");
  version.Flag("--json", json, "As a JSON object");
  version.Example("reeve version --json", "for scripts; `reeve doctor` also tells the daemon's");
  version.Action([&json, &name] {
    std::printf("%s\n", json ? JsonObject().Set("version", REEVE_VERSION).Take().c_str() : name.c_str());
    return static_cast<int>(kOk);
  });
  AddManual(line, name);
  const std::vector<std::string> words(argv + std::min(argc, 1), argv + argc);
  KeepArguments(serve, FindWay(line.doc(), words).words);
  return FinishOutput(line.Run(words));
}

}  // namespace
}  // namespace reeve

int main(int argc, char** argv) { return reeve::Main(argc, argv); }
