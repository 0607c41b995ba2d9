// `reeve doctor`: looks at the installation, says what is well and what is not, and how to mend it.
#include "control/cli/doctor/doctor.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cctype>
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
constexpr int64_t kAskKindsMs = 15'000;  // the daemon asks the programs, for 10 s at most

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
                  "mend it there; orchestrator/config/CONFIG.md has all settings");
    Config config;
    config.data = options.client.data_dir.empty() ? ConfiguredDataDir() : options.client.data_dir;
    return config;
  }
  const std::string file = options.config_file.empty() ? DefaultConfigFile() : options.config_file;
  findings.Ok("config", access(file.c_str(), F_OK) == 0 ? file + " is valid"
                                                        : "no " + file + ": everything is as by default");
  for (const std::string& warning : loaded->warnings)
    findings.Warn("config", warning, "`reeve serve --help` has the names of all variables");
  // The daemon's own tokens, where somebody chose them; the data folder's it makes itself.
  const char* variable = std::getenv("REEVE_TOKEN");
  const Tokens::Source source{loaded->config.token_file, variable ? variable : "", ""};
  const bool chosen = !source.file.empty() || !source.variable.empty();
  if (chosen) {
    if (auto tokens = Tokens::Load(source); !tokens)
      findings.Fail("config", tokens.error().message, "`reeve serve` will not start with it");
  }
  if (Status safe = CheckExposure(loaded->config, chosen); !safe)
    findings.Fail("config", safe.error().message, "`reeve serve` will not start before");
  return loaded->config;
}

// --- the daemon

void CheckRuntimeFile(Patient& patient, Findings& findings) {
  const std::string path = RuntimeFile::PathIn(patient.config.data);
  struct stat there {};
  if (lstat(path.c_str(), &there) != 0) return;  // none runs, and none was killed
  auto runtime = RuntimeFile::Read(patient.config.data);
  if (!runtime)
    return findings.Fail("runtime file", runtime.error().message, "remove it; a daemon's start writes it");
  if ((there.st_mode & 077) != 0) {
    findings.Warn("runtime file", path + " may be read by others", "chmod 600 " + path);
  }
  if (!runtime->Alive()) {
    return findings.Warn(
        "runtime file",
        path + " is left over from process " + std::to_string(runtime->pid) + ", which did not end in order",
        "nothing: the next `reeve serve` replaces it");
  }
  patient.daemon = std::move(*runtime);
}

// Whether one answers.
bool CheckDaemon(const Client& client, const Patient& patient, bool named, Findings& findings) {
  auto answer = client.Call(Get(client, "/health"));
  auto health = JsonDocument::Parse(answer ? answer->body : "");
  if (!answer || !health || !(*health)["version"]) {
    const std::string why =
        answer ? client.server() + ": what answers there is no reeve" : answer.error().message;
    if (named) {
      findings.Fail("daemon", why, "is --server or REEVE_SERVER right?");
    } else if (patient.daemon) {
      findings.Fail("daemon", "process " + std::to_string(patient.daemon->pid) + " does not answer: " + why,
                    "see its log, and restart it if it stays so");
    } else {
      findings.Warn("daemon", "none runs on " + patient.config.data, "`reeve serve` starts one");
    }
    return false;
  }
  const std::string version((*health)["version"].StringOr(""));
  const std::string status((*health)["status"].StringOr(""));
  std::string who = "reeve " + version;
  if (patient.daemon && !named) who += ", process " + std::to_string(patient.daemon->pid);
  if (version != REEVE_VERSION) {
    findings.Warn("daemon", who + " answers, but this is reeve " REEVE_VERSION,
                  "`reeve upgrade` lets it go on as this one; no agent notices");
  }
  if (status == "ok") {
    findings.Ok("daemon", who + ": " + (*health)["agents"].Raw() + " agents, " + (*health)["viewers"].Raw() +
                              " viewers");
  } else {
    std::string reasons;
    for (const JsonValue& reason : (*health)["reasons"].Elements())
      reasons += ": " + std::string(reason.StringOr(""));
    findings.Warn("daemon", who + " is " + status + reasons,
                  status == "draining" ? "it ends soon" : "see its log");
  }
  if (const auto failure = (*health)["upgrade_failure"].AsString())
    findings.Warn("daemon", "its last upgrade failed: " + std::string(*failure),
                  "`reeve upgrade` tries again");
  return true;
}

// --- the token that commands use

bool CheckTokenFile(const std::string& path, bool answers, Findings& findings) {
  struct stat there {};
  if (stat(path.c_str(), &there) != 0) {
    if (answers) {
      findings.Fail("token", OsError("read " + path, errno).message,
                    "give the daemon's by --token-file or REEVE_TOKEN");
    } else {
      findings.Ok("token", "no " + path + " yet: the first `reeve serve` makes it");
    }
    return false;
  }
  auto text = ReadConfigFile(path);
  if (!text) {
    findings.Fail("token", text.error().message, "run this as its owner, or as one of its group");
    return false;
  }
  while (!text->empty() && std::isspace(static_cast<unsigned char>(text->back())) != 0) text->pop_back();
  if (text->size() < Tokens::kMinLength || text->find_first_of(" \t\r\n") != std::string::npos) {
    findings.Fail("token", path + " holds something else than one token",
                  "commands want the token alone, on one line");
    return false;
  }
  if ((there.st_mode & 077) != 0) {
    findings.Fail("token", path + " may be read by others, who may do everything then", "chmod 600 " + path);
  }
  return true;
}

void CheckToken(const Client::Options& options, bool answers, Findings& findings) {
  const std::string path = Client::TokenFile(options);
  const std::string where = path.empty() ? "REEVE_TOKEN" : path;
  if (!path.empty() && !CheckTokenFile(path, answers, findings)) return;
  auto client = Client::Find(options);
  if (!client) return findings.Fail("token", client.error().message, "give another");
  if (!answers) return findings.Ok("token", where + " holds one; no daemon is there to ask about it");
  auto agents = client->Ask(Get(*client, "/agents?limit=1"));
  if (agents) return findings.Ok("token", "the daemon takes that of " + where);
  findings.Fail("token", "the daemon does not take that of " + where + ": " + agents.error().message,
                "give the daemon's by --token-file or REEVE_TOKEN");
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
  runs = kinds.empty();  // there are programs to wait for
  if (runs) loop.Run();
  return kinds;
}

void CheckKinds(const Client::Options& options, bool answers, Findings& findings) {
  auto client = Client::Find(options);
  std::string text;
  if (answers && client) {
    if (auto told = client->Ask(Get(*client, "/kinds", kAskKindsMs))) text = told->body;
  }
  const bool asked = !text.empty();  // its PATH is what counts, and may be another than ours
  if (!asked) text = AskPrograms();
  auto json = JsonDocument::Parse(text);
  if (!json) return findings.Fail("kinds", "the daemon's answer is not JSON", "see its log");
  bool any = false;
  std::string install;
  for (const JsonValue& kind : (*json)["kinds"].Elements()) {
    if (!kind["program"]) continue;
    const std::string about = "kind " + std::string(kind["name"].StringOr(""));
    const std::string path(kind["path"].StringOr(""));
    if (path.empty()) {
      const std::string how(kind["install"].StringOr(""));
      if (install.empty()) install = how;
      findings.Ok(about, "not installed (" + how + ")");
    } else if (const auto version = kind["version"].AsString()) {
      findings.Ok(about, path + ", " + std::string(*version));
    } else {
      findings.Warn(about, path + " does not tell its version", "see what `" + path + " --version` does");
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
  if (console.json()) {
    for (const Finding& finding : all) {
      JsonObject json;
      json.Set("status", NameOf(finding.grade)).Set("check", finding.about).Set("found", finding.found);
      if (!finding.mend.empty()) json.Set("mend", finding.mend);
      console.Line(json.Take());
    }
    return;
  }
  constexpr Colour kColours[] = {Colour::kGreen, Colour::kYellow, Colour::kRed};
  Table table;
  for (const Finding& finding : all) {
    table.Add({{NameOf(finding.grade), kColours[static_cast<int>(finding.grade)]},
               {Plain(finding.about)},
               {Plain(finding.found)}});
    if (!finding.mend.empty()) table.Add({{""}, {""}, {"→ " + Plain(finding.mend)}});
  }
  const std::string text = table.Show(console.colours(), 0);  // nothing of it is cut off
  console.Line(std::string_view(text).substr(0, text.size() - 1));
}

int Examine(const Options& options) {
  Console console("doctor", options);
  log::SetLevel(log::Level::kOff);  // what it is about is found here, too
  Findings findings;
  Patient patient;
  const SystemClock clock;
  patient.began_ms = clock.MonotonicMs();
  patient.began_wall_ms = clock.WallMs();
  patient.config = CheckConfig(options, findings);
  Client::Options client_options = options.client;
  client_options.data_dir = patient.config.data;
  auto client = Client::FindServer(client_options);
  if (!client) return console.Fail(client.error());

  CheckDataFolder(patient, findings);
  CheckRuntimeFile(patient, findings);
  const char* variable = std::getenv("REEVE_SERVER");
  const bool named = !options.client.server.empty() || (variable && *variable);
  const bool answers = CheckDaemon(*client, patient, named, findings);
  CheckToken(client_options, answers, findings);
  CheckListeners(patient, findings);
  CheckKinds(client_options, answers, findings);
  CheckGit(findings);
  CheckCgroups(patient, findings);
  CheckLimits(patient, findings);
  CheckTemporary(findings);
  CheckClock(patient, findings);
  CheckTerminal(findings);

  Show(console, findings.all());
  int code = kOk;
  for (const Finding& finding : findings.all()) {
    if (finding.grade != Finding::Grade::kFail) continue;
    code = kFailed;
    if (console.quiet()) console.Fail({"check_failed", finding.found + "; " + finding.mend}, finding.about);
  }
  return code;
}

}  // namespace

const char* NameOf(Finding::Grade grade) {
  switch (grade) {
    case Finding::Grade::kOk:
      return "ok";
    case Finding::Grade::kWarn:
      return "warn";
    case Finding::Grade::kFail:
      return "fail";
  }
  return "";
}

void AddDoctor(Command root) {
  auto options = std::make_shared<Options>();
  Command command = root.Add("doctor", "Check the installation, and say how to mend what is wrong.");
  command.Details(
      "Looks at the configuration, the data folder, the daemon, its token and addresses, the agents' "
      "programs, and what the machine grants: cgroups, limits, disk, clock. Changes nothing. Exits with 0 "
      "unless something fails.");
  command.Option("--config", options->config_file, "FILE", "The daemon's configuration file")
      .Default(kDefaultConfigWords);
  AddCommonOptions(command, *options);
  command.Example("reeve doctor", "one line a thing: ok, warn or fail, and what to do about it");
  command.Example("reeve doctor --quiet || echo broken", "only what fails");
  command.Action([options] { return Examine(*options); });
}

}  // namespace reeve
