// `reeve doctor`: checks the installation, and suggests a fix for each problem.
#include "control/cli/doctor/doctor.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>

#include "control/access/tokens.h"
#include "control/cli/client/client.h"
#include "control/cli/commands/commands.h"
#include "control/cli/terminal/console.h"
#include "control/live_config.h"
#include "orchestrator/adapters/kind_catalog.h"
#include "orchestrator/json/json.h"
#include "process/clock.h"
#include "process/log.h"
#include "process/loop.h"
#include "process/reaper.h"

namespace reeve {

namespace {

constexpr int64_t kAskMs = 5'000;
constexpr int64_t kAskKindsMs = 15'000;  // the daemon runs the programs for at most 10 s

struct Options : CommonOptions {
  std::string config_file;
};

HttpRequest Get(const Client& client, const std::string& path, int64_t timeout_ms = kAskMs) {
  HttpRequest request = client.Request("GET", path);
  request.timeout_ms = timeout_ms;
  return request;
}

// --- configuration

Config CheckConfig(const Options& options, Findings& findings) {
  ConfigSources sources{options.config_file, ReeveEnvironment(), {}};
  if (!options.client.data_dir.empty()) sources.flags["data"] = {options.client.data_dir};
  auto loaded = LoadConfig(sources);
  if (!loaded) {
    findings.Fail("config", loaded.error().message,
                  "fix it there; orchestrator/config/CONFIG.md lists all settings");
    Config config;
    config.data = options.client.data_dir.empty() ? ConfiguredDataDir() : options.client.data_dir;
    return config;
  }
  const std::string file = options.config_file.empty() ? DefaultConfigFile() : options.config_file;
  findings.Ok("config", access(file.c_str(), F_OK) == 0
                            ? file + " is valid"
                            : "no " + file + ": all settings have their defaults");
  for (const std::string& warning : loaded->warnings)
    findings.Warn("config", warning,
                  "`reeve serve --help` lists the settings; each is a variable REEVE_<KEY>");
  // Only configured tokens: the daemon generates that of the data folder itself.
  const char* variable = std::getenv("REEVE_TOKEN");
  const Tokens::Source source{loaded->config.token_file, variable ? variable : "", ""};
  const bool chosen = !source.file.empty() || !source.variable.empty();
  if (chosen) {
    if (auto tokens = Tokens::Load(source); !tokens)
      findings.Fail("config", tokens.error().message, "`reeve serve` refuses to start with it");
  }
  if (Status safe = CheckExposure(loaded->config, chosen); !safe)
    findings.Fail("config", safe.error().message, "`reeve serve` refuses to start before");
  return loaded->config;
}

// --- the daemon

void CheckRuntimeFile(Target& target, Findings& findings) {
  const std::string path = RuntimeFile::PathIn(target.config.data);
  struct stat there {};
  if (lstat(path.c_str(), &there) != 0) return;  // no daemon runs, and none was killed
  auto runtime = RuntimeFile::Read(target.config.data);
  if (!runtime)
    return findings.Fail("runtime file", runtime.error().message,
                         "remove it; the next `reeve serve` writes it");
  if ((there.st_mode & 077) != 0) {
    findings.Warn("runtime file", path + " is readable by others", "chmod 600 " + path);
  }
  if (!runtime->Alive()) {
    return findings.Warn(
        "runtime file",
        path + " is left over from process " + std::to_string(runtime->pid) + ", which was killed",
        "none is needed: the next `reeve serve` replaces it");
  }
  target.daemon = std::move(*runtime);
}

void ReportNoDaemon(const std::string& why, const Target& target, bool named, Findings& findings) {
  if (named) {
    findings.Fail("daemon", why, "check --server and REEVE_SERVER");
  } else if (target.daemon) {
    findings.Fail("daemon", "process " + std::to_string(target.daemon->pid) + " does not answer: " + why,
                  "read its log; restart it if it stays silent");
  } else {
    findings.Warn("daemon", "no daemon uses the data folder " + target.config.data,
                  "`reeve serve` starts one");
  }
}

// Returns whether a daemon answers. `named`: the user named the server.
bool CheckDaemon(const Client& client, const Client::Options& options, const Target& target, bool named,
                 Findings& findings) {
  auto answer = client.Call(Get(client, "/health"));
  if (!Client::IsReeve(answer)) {
    const std::string why =
        answer ? client.server() + ": the program that answers is not reeve" : answer.error().message;
    ReportNoDaemon(why, target, named, findings);
    return false;
  }
  // Without a token the daemon tells its status alone.
  if (auto known = Client::Find(options)) {
    if (auto full = known->Call(Get(*known, "/health")); Client::IsReeve(full)) answer = std::move(full);
  }
  auto health = JsonDocument::Parse(answer->body);
  const std::string version((*health)["version"].StringOr(""));
  const std::string status((*health)["status"].StringOr(""));
  std::string daemon = version.empty() ? "reeve" : "reeve " + version;
  if (target.daemon && !named) daemon += ", process " + std::to_string(target.daemon->pid);
  if (!version.empty() && version != REEVE_VERSION) {
    findings.Warn("daemon", daemon + " answers, but this is reeve " REEVE_VERSION,
                  "`reeve upgrade` replaces its binary; agents keep running");
  }
  if (status == "ok") {
    findings.Ok("daemon", daemon + (version.empty() ? " answers"
                                                    : ": " + (*health)["agents"].Raw() + " agents, " +
                                                          (*health)["viewers"].Raw() + " viewers"));
  } else {
    std::string reasons;
    for (const JsonValue& reason : (*health)["reasons"].Elements())
      reasons += ": " + std::string(reason.StringOr(""));
    findings.Warn("daemon", daemon + " is " + status + reasons,
                  status == "draining" ? "it exits soon" : "read its log");
  }
  if (const int64_t restarts = (*health)["restarts"].AsInt().value_or(0); restarts != 0) {
    const JsonValue death = (*health)["last_death"];
    std::string how;
    if (death["signal"]) how = ", the last time of signal " + death["signal"].Raw();
    if (death["code"]) how = ", the last time with exit code " + death["code"].Raw();
    findings.Warn("daemon",
                  "it died and was started again " + std::to_string(restarts) +
                      (restarts == 1 ? " time" : " times") + how,
                  "read its log before that; `last_death` of GET /health has the end of it");
  }
  if (const auto failure = (*health)["upgrade_failure"].AsString())
    findings.Warn("daemon", "its last upgrade failed: " + std::string(*failure),
                  "`reeve upgrade BINARY` with the right file");
  return true;
}

// --- the token of the commands

bool CheckTokenFile(const Client::Options& options, const std::string& path, bool answers,
                    Findings& findings) {
  struct stat there {};
  if (stat(path.c_str(), &there) != 0) {
    if (answers) {
      findings.Fail("token", OsError("read " + path, errno).message,
                    "give the daemon's token by --token-file or REEVE_TOKEN");
    } else {
      findings.Ok("token", "no " + path + " yet: the first `reeve serve` generates it");
    }
    return false;
  }
  auto text = Client::ReadTokenFile(options, path);
  if (!text) {
    findings.Fail("token", text.error().message, "run doctor as its owner, or as a member of its group");
    return false;
  }
  if (auto token = Tokens::Strongest(*text, path); !token) {
    findings.Fail("token", token.error().message, "put a token on a line of its own");
    return false;
  }
  if ((there.st_mode & 077) != 0) {
    findings.Fail("token", path + " is readable by others, who can then control the daemon",
                  "chmod 600 " + path);
  }
  return true;
}

void CheckToken(const Client::Options& options, bool answers, Findings& findings) {
  const std::string path = Client::TokenFile(options);
  const std::string where = path.empty() ? "REEVE_TOKEN" : path;
  if (!path.empty() && !CheckTokenFile(options, path, answers, findings)) return;
  if (!answers) return findings.Ok("token", where + " holds one; no daemon runs to check it");
  auto client = Client::Find(options);
  if (!client) return findings.Fail("token", client.error().message, "give another one");
  auto agents = client->Ask(Get(*client, "/agents?limit=1"));
  if (agents) return findings.Ok("token", "the daemon accepts the token of " + where);
  findings.Fail("token", "the daemon rejects the token of " + where + ": " + agents.error().message,
                "give the daemon's token by --token-file or REEVE_TOKEN");
}

// --- kinds

std::string AskPrograms() {
  Loop loop;
  Reaper reaper(loop);
  KindCatalog catalog(loop, reaper, nullptr);
  std::string kinds;
  bool runs = false;
  catalog.Describe([&kinds, &loop, &runs](std::string json) {
    kinds = std::move(json);
    if (runs) loop.Stop();
  });
  runs = kinds.empty();  // else no program had to be run
  if (runs) loop.Run();
  return kinds;
}

void CheckKinds(const Client::Options& options, bool answers, Findings& findings) {
  auto client = Client::Find(options);
  std::string text;
  if (answers && client) {
    if (auto answer = client->Ask(Get(*client, "/kinds", kAskKindsMs))) text = answer->body;
  }
  const bool asked = !text.empty();  // its PATH counts, and may differ from ours
  if (!asked) text = AskPrograms();
  auto json = JsonDocument::Parse(text);
  if (!json) return findings.Fail("kinds", "the daemon's answer is not JSON", "read its log");
  bool any = false;
  std::string install;
  for (const JsonValue& kind : (*json)["kinds"].Elements()) {
    if (!kind["program"]) continue;
    const std::string about = "kind " + std::string(kind["name"].StringOr(""));
    const std::string path(kind["path"].StringOr(""));
    if (path.empty()) {
      const std::string how(kind["install"].StringOr(""));
      if (install.empty()) install = how;
      findings.Skip(about, "not installed (" + how + ")");
    } else if (const auto version = kind["version"].AsString()) {
      findings.Ok(about, path + ", " + std::string(*version));
    } else {
      findings.Warn(about, path + " does not print its version", "try `" + path + " --version`");
    }
    any |= !path.empty();
  }
  if (!any) {
    findings.Warn("kinds",
                  std::string("no coding agent is on ") + (asked ? "the daemon's" : "this") + " PATH",
                  "for instance: " + install);
  }
}

// --- the command

void Show(const Console& console, const std::vector<Finding>& all) {
  // By Finding::Grade.
  constexpr const char* kNames[] = {"ok", "skip", "warn", "fail"};
  constexpr Colour kColours[] = {Colour::kGreen, Colour::kDim, Colour::kYellow, Colour::kRed};
  Table table;
  for (const Finding& finding : all) {
    const auto grade = static_cast<size_t>(finding.grade);
    if (console.json()) {
      JsonObject json;
      json.Set("status", kNames[grade]).Set("check", finding.about).Set("found", finding.found);
      if (!finding.fix.empty()) json.Set("fix", finding.fix);
      console.Line(json.Take());
      continue;
    }
    table.Add({{kNames[grade], kColours[grade]}, {Plain(finding.about)}, {Plain(finding.found)}});
    if (!finding.fix.empty()) table.Add({{""}, {""}, {"→ " + Plain(finding.fix)}});
  }
  if (console.json()) return;
  const std::string text = table.Show(console.colours(), 0);  // lines of any length
  console.Line(std::string_view(text).substr(0, text.size() - 1));
}

int Examine(const Options& options) {
  Console console("doctor", options);
  log::SetLevel(log::Level::kOff);  // the findings report the same problems
  Findings findings;
  Target target;
  const SystemClock clock;
  target.began_ms = clock.MonotonicMs();
  target.began_wall_ms = clock.WallMs();
  target.config = CheckConfig(options, findings);
  Client::Options client_options = options.client;
  client_options.data_dir = target.config.data;
  auto client = Client::FindServer(client_options);
  if (!client) return console.Fail(client.error());

  CheckDataFolder(target, findings);
  CheckRuntimeFile(target, findings);
  const char* variable = std::getenv("REEVE_SERVER");
  const bool named = !options.client.server.empty() || (variable && *variable);
  const bool answers = CheckDaemon(*client, client_options, target, named, findings);
  CheckToken(client_options, answers, findings);
  CheckListeners(target, findings);
  CheckKinds(client_options, answers, findings);
  CheckGit(findings);
  CheckCgroups(target, findings);
  CheckLimits(target, findings);
  CheckTemporary(findings);
  CheckClock(target, findings);
  CheckTerminal(findings);

  Show(console, findings.all());
  int code = kOk;
  for (const Finding& finding : findings.all()) {
    if (finding.grade != Finding::Grade::kFail) continue;
    code = kFailed;
    if (console.quiet()) console.Fail({"check_failed", finding.found + "; " + finding.fix}, finding.about);
  }
  return code;
}

}  // namespace

void AddDoctor(Command root) {
  auto options = std::make_shared<Options>();
  Command command = root.Add("doctor", "Check the installation, and suggest a fix for each problem.");
  command.Details(
      "Checks the configuration, the data folder, the daemon, its token and addresses, the programs of the "
      "agents, and the machine: cgroups, limits, disk, clock. Changes nothing. Exits with 0 unless a check "
      "fails; warnings do not count.");
  command.Option("--config", options->config_file, "FILE", "The daemon's configuration file")
      .Default(kDefaultConfigWords);
  AddCommonOptions(command, *options);
  command.Example("reeve doctor", "one line for each check: ok, skip, warn or fail, and the fix");
  command.Example("reeve doctor --quiet || echo broken", "prints only failures");
  command.Action([options] { return Examine(*options); });
}

}  // namespace reeve
