// reeve: the daemon and its command line. Wires everything together; alone may include everything.
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "control/api.h"
#include "control/auth.h"
#include "control/cli/replay.h"
#include "control/cli/run.h"
#include "control/router.h"
#include "control/server.h"
#include "control/tokens.h"
#include "control/viewers.h"
#include "orchestrator/config.h"
#include "orchestrator/store.h"
#include "orchestrator/town.h"
#include "process/cgroup.h"
#include "process/clock.h"
#include "process/http_client.h"
#include "process/log.h"
#include "process/loop.h"
#include "process/reaper.h"
#include "process/timer.h"
#include "tickets/ticket_store.h"

namespace reeve {
namespace {

struct ServeOptions {
  std::vector<std::string> listen;
  std::string data_dir = DefaultDataDir();
  std::string token_file;
  std::string town = "town";
  std::string base_path;
  std::vector<std::string> allowed_hosts;
  std::vector<std::string> allowed_origins;
  std::string log_level = "info";
  std::string fsync = "interval";
  uint64_t segment_bytes = EventLog::Limits{}.segment_bytes;
  uint64_t retain_bytes = EventLog::Limits{}.retain_bytes;
  int64_t retain_s = 0;
  int64_t heartbeat_ms = Viewers::Limits{}.heartbeat_ms;
  int64_t stall_ms = Viewers::Limits{}.stall_ms;
  int64_t drain_timeout_s = 10;
};

// "tcp://127.0.0.1:8080" → "127.0.0.1"; empty for what is no TCP address.
std::string HostOf(const std::string& listen) {
  constexpr std::string_view kTcp = "tcp://";
  if (listen.rfind(kTcp, 0) != 0) return {};
  std::string host = listen.substr(kTcp.size());
  host.resize(std::min(host.size(), host.rfind(':')));
  return host;
}

bool IsLoopback(const std::string& host) {
  return host.empty() || host == "localhost" || host == "[::1]" || host.rfind("127.", 0) == 0;
}

// Where a child on this machine reaches the daemon: its socket, else its first address; one that stands for
// all of the machine's is loopback.
std::string LocalAddress(const std::vector<std::string>& listening) {
  if (listening.empty()) return {};
  for (const std::string& url : listening) {
    if (url.rfind("unix://", 0) == 0) return url;
  }
  for (const char* any : {"http://0.0.0.0:", "http://[::]:"}) {
    const std::string& url = listening.front();
    if (url.rfind(any, 0) == 0) return "http://127.0.0.1:" + url.substr(std::strlen(any));
  }
  return listening.front();
}

// Nobody else of this user may read our memory, where tokens pass through; children are not affected.
// LeakSanitizer needs to, at exit.
void MakeUndumpable() {
#if !defined(__SANITIZE_ADDRESS__)
  (void)prctl(PR_SET_DUMPABLE, 0);
#endif
}

// A viewer costs a descriptor, a child four: as many as we may.
void RaiseDescriptorLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  (void)setrlimit(RLIMIT_NOFILE, &limit);
}

log::Level LevelOf(const std::string& name) {
  if (name == "debug") return log::Level::kDebug;
  if (name == "warning") return log::Level::kWarning;
  return name == "error" ? log::Level::kError : log::Level::kInfo;
}

int Refuse(const Error& error) {
  std::fprintf(stderr, "reeve: serve: %s\n", error.message.c_str());
  return error.code == "invalid_request" ? kUsage : kFailed;
}

int Serve(ServeOptions options) {
  log::SetLevel(LevelOf(options.log_level));
  (void)std::signal(SIGPIPE, SIG_IGN);
  MakeUndumpable();
  RaiseDescriptorLimit();
  if (options.listen.empty()) options.listen = {"tcp://127.0.0.1:8080"};

  auto lock = LockDataDir(options.data_dir);
  if (!lock) return Refuse(lock.error());
  const char* variable = std::getenv("REEVE_TOKEN");
  auto tokens = Tokens::Load({options.token_file, variable ? variable : "", options.data_dir});
  if (!tokens) return Refuse(tokens.error());
  for (const std::string& url : options.listen) {
    if (IsLoopback(HostOf(url))) continue;
    if (!tokens->configured()) {
      return Refuse(
          {"invalid_request", url + " is reachable from other machines: give --token-file or REEVE_TOKEN"});
    }
    log::Warning("{} is reachable from other machines and speaks plain HTTP: put TLS in front of it", url);
  }

  SystemClock clock;
  const int64_t started_ms = clock.MonotonicMs();
  Loop loop;
  Reaper reaper(loop);
  auto cgroups = CgroupRoot::Open();
  if (cgroups) {
    (*cgroups)->SweepDead();
  } else {
    log::Info("agents run without cgroups: {}", cgroups.error().message);
  }
  auto store = Store::Open(loop, options.data_dir + "/reeve.db");
  if (!store) return Refuse(store.error());
  HttpClient http(loop);

  std::function<void(uint64_t token)> forget = [](uint64_t) {};  // what a token that is void had opened
  EventLog::Limits log_limits;
  log_limits.segment_bytes = options.segment_bytes;
  log_limits.retain_bytes = options.retain_bytes;
  log_limits.retain_ms = options.retain_s * 1000;
  log_limits.sync_always = options.fsync == "always";
  Town town(loop, clock, http, **store, reaper, cgroups ? cgroups->get() : nullptr,
            {options.data_dir,
             options.town,
             Town::Options{}.max_agents,
             log_limits,
             options.fsync == "interval",
             {[&tokens](const std::string& agent, const std::string& token, AgentSpec::Api api) {
                tokens->Grant(agent, token, api == AgentSpec::Api::kView ? Scope::kView : Scope::kOperate);
              },
              [&tokens, &forget](const std::string& agent) {
                if (auto gone = tokens->Revoke(agent)) forget(*gone);
              }}});
  if (Status loaded = town.Load(); !loaded) return Refuse(loaded.error());

  KindCatalog kinds(loop, reaper, cgroups ? cgroups->get() : nullptr);
  TicketStore tickets(clock);
  Viewers::Limits viewer_limits;
  viewer_limits.heartbeat_ms = options.heartbeat_ms;
  viewer_limits.stall_ms = options.stall_ms;
  Viewers viewers(loop, town, tickets, viewer_limits);
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
  forget = [&tickets, &viewers](uint64_t token) {
    tickets.RevokeToken(token);
    viewers.CloseByToken(token);
  };
  // The end of every turn: first to disk, then to the viewers.
  loop.BeforeSleep([&town, &viewers] {
    town.CommitLogs();
    return viewers.Serve();
  });

  Gate::Names names{options.allowed_hosts, options.allowed_origins};
  for (const std::string& url : options.listen) names.hosts.push_back(HostOf(url));
  Gate gate(*tokens, names);
  Router router;
  std::unique_ptr<Server> server;
  ApiContext api{loop,
                 clock,
                 town,
                 kinds,
                 tickets,
                 viewers,
                 options.base_path,
                 [&server] { return server->stats(); },
                 [&gate](const Request& request) { return gate.CorsHeaders(request); },
                 started_ms};
  AddAgentRoutes(router, api);
  AddEventRoutes(router, api);
  AddFileRoutes(router, api);
  AddStreamRoutes(router, api);
  AddTownRoutes(router, api);
  server = std::make_unique<Server>(loop, Server::Limits{}, Guard(gate, router));

  RuntimeFile runtime{static_cast<int>(getpid()), {}, REEVE_VERSION};
  for (const std::string& url : options.listen) {
    auto listening = server->Listen(url);
    if (!listening) return Refuse(listening.error());
    std::printf("reeve: listening on %s\n", listening->c_str());
    runtime.listen.push_back(listening->rfind('/', 0) == 0 ? "unix://" + *listening : *listening);
  }
  town.SetServer(LocalAddress(runtime.listen));
  if (Status written = runtime.Write(options.data_dir); !written) return Refuse(written.error());
  std::fflush(stdout);

  Timer last_step(loop, [&loop] { loop.Stop(); });  // a connection that will not end does not hold us
  auto stop = [&] {
    if (town.draining()) _exit(kCancelled);  // asked twice: at once. Children die with us
    log::Info("draining");
    town.Drain(options.drain_timeout_s * 1000, [&](const std::vector<std::string>& stuck) {
      for (const std::string& id : stuck) {
        log::Failure("agent {} did not end in time", id);
        std::printf("reeve: agent %s did not end in time\n", id.c_str());
      }
      viewers.Shutdown(2'000, [&] {
        last_step.Start(2'000);
        server->Drain([&] { loop.Stop(); });
      });
    });
  };
  loop.OnSignal(SIGTERM, stop);
  loop.OnSignal(SIGINT, stop);
  loop.OnSignal(SIGHUP, [&] {
    auto gone = tokens->Reload();
    if (!gone) return log::Failure("the tokens stay as they were: {}", gone.error().message);
    for (uint64_t token : *gone) forget(token);
    log::Info("reloaded the tokens; {} are no longer valid", gone->size());
  });

  loop.Run();
  (void)std::remove((options.data_dir + "/runtime.json").c_str());
  log::Info("stopped");
  return kOk;
}

void AddServe(CLI::App& app, ServeOptions& options) {
  CLI::App* serve =
      app.add_subcommand("serve", "Run the daemon: spawn agents, keep their event logs, stream them.");
  serve->add_option(
      "--listen", options.listen,
      "Where to listen, several times: tcp://HOST:PORT (port 0 picks one), unix:///PATH, fd://N. "
      "Default: tcp://127.0.0.1:8080");
  serve->add_option("--data", options.data_dir, "The folder that holds everything it keeps")
      ->capture_default_str();
  serve->add_option(
      "--token-file", options.token_file,
      "Lines `[view|operate|admin] TOKEN`; read again on HUP. Default: REEVE_TOKEN, else DATA/token, made "
      "at the first start");
  serve->add_option("--town", options.town, "This daemon's name, as /health shows it")->capture_default_str();
  serve->add_option("--base-path", options.base_path,
                    "The prefix under which a proxy serves this daemon, as /reeve");
  serve->add_option("--allowed-host", options.allowed_hosts,
                    "A name that Host may carry besides IP addresses and localhost");
  serve->add_option("--allowed-origin", options.allowed_origins,
                    "An origin whose pages may use the API, as https://app.example.com");
  serve->add_option("--segment-bytes", options.segment_bytes, "Size at which a log segment is closed")
      ->capture_default_str()
      ->check(CLI::Range(uint64_t{4096}, uint64_t{1} << 40));
  serve->add_option("--retain-bytes", options.retain_bytes, "Bytes of log kept per agent; 0: all")
      ->capture_default_str();
  serve->add_option("--retain-seconds", options.retain_s, "Age at which log segments are deleted; 0: never")
      ->capture_default_str();
  serve
      ->add_option("--fsync", options.fsync,
                   "When logs are synced to the disk: always, interval (1 s) or never")
      ->capture_default_str()
      ->check(CLI::IsMember({"always", "interval", "never"}));
  serve->add_option("--heartbeat-ms", options.heartbeat_ms, "Silence after which a stream gets a heartbeat")
      ->capture_default_str()
      ->check(CLI::Range(50, 3'600'000));
  serve->add_option("--stall-ms", options.stall_ms, "A viewer that takes nothing for so long is closed")
      ->capture_default_str()
      ->check(CLI::Range(100, 86'400'000));
  serve->add_option("--drain-seconds", options.drain_timeout_s, "On TERM, agents get this long to end")
      ->capture_default_str()
      ->check(CLI::Range(1, 3600));
  serve->add_option("--log-level", options.log_level, "debug, info, warning or error")
      ->capture_default_str()
      ->check(CLI::IsMember({"debug", "info", "warning", "error"}));
}

void AddRun(CLI::App& app, RunOptions& options) {
  CLI::App* run = app.add_subcommand("run", "Start an agent in a running daemon, follow it, exit as it did.");
  run->add_option("--kind", options.kind,
                  "One of GET /kinds: process, jsonl, claude, codex, acp, opencode, kilo")
      ->capture_default_str();
  run->add_option("--id", options.id, "The agent's id; made up if not given");
  run->add_option("--cwd", options.cwd, "Where it works. Default: here");
  run->add_option("--prompt", options.prompt,
                  "Its first message; for an agent with turns, run exits when it is done");
  run->add_option("--model", options.model, "provider/model, for kinds that know models");
  // One value each time: a list would also take the "--" before the command.
  run->add_option("--env", options.env, "NAME=value, several times")->allow_extra_args(false);
  run->add_option("--server", options.client.server, "The daemon: http://…, https://… or unix:///PATH");
  run->add_option("--token-file", options.client.token_file, "A file that holds the token");
  run->add_option("--data", options.client.data_dir, "The daemon's data folder, to find server and token");
  run->add_option("command", options.command, "The program and its arguments, after --");
}

void AddReplay(CLI::App& app, ReplayOptions& options) {
  CLI::App* replay = app.add_subcommand("replay",
                                        "Play a transcript back as the agent it was taken of: give `reeve "
                                        "replay FILE` as an agent's command, with the "
                                        "kind that was recorded.");
  replay->add_option("--speed", options.speed, "Times the recording's pace")
      ->capture_default_str()
      ->check(CLI::Range(0.001, 1e6));
  replay->add_flag("--fast", options.fast, "As fast as it goes");
  replay->add_option("file", options.file, "As GET /agents/{id}/transcript gives it")->required();
  replay->allow_extras();  // what a kind appends to its program's command line
}

int Main(int argc, char** argv) {
  CLI::App app(
      "reeve runs a fleet of coding agents: it supervises them, keeps their event logs and streams them "
      "live.");
  app.require_subcommand(1);
  app.set_version_flag("--version", "reeve " REEVE_VERSION);
  ServeOptions serve;
  RunOptions run;
  ReplayOptions replay;
  AddServe(app, serve);
  AddRun(app, run);
  AddReplay(app, replay);
  app.add_subcommand("version", "Print the version.");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    return code == 0 ? kOk : kUsage;
  }
  if (app.got_subcommand("serve")) return Serve(serve);
  if (app.got_subcommand("run")) return RunAgent(run);
  if (app.got_subcommand("replay")) return Replay(replay);
  std::printf("reeve %s\n", REEVE_VERSION);
  return kOk;
}

}  // namespace
}  // namespace reeve

int main(int argc, char** argv) { return reeve::Main(argc, argv); }
