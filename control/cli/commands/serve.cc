// `reeve serve`: reads the configuration and runs the daemon. With --check-config it only checks the
// configuration; with --handover-trial it only checks the state of another daemon.
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "control/access/tokens.h"
#include "control/cli/commands/commands.h"
#include "control/cli/line/exit_code.h"
#include "control/daemon.h"
#include "control/live_config.h"
#include "orchestrator/config/config.h"
#include "orchestrator/handover/handover.h"
#include "orchestrator/json/json.h"
#include "process/fd.h"
#include "process/keeper_parent.h"
#include "process/log.h"

namespace reeve {

namespace {

struct ServeOptions {
  std::string config_file;
  bool check_config = false;
  std::map<std::string, std::vector<std::string>> flags;  // by the setting's key
  bool no_keeper = false;
  int keeper = -1;              // the descriptor that leads to the keeper, which has started this process
  bool handover_trial = false;  // of an upgrade (KEEPER.md)
};

int Refuse(const Error& error) {
  std::fprintf(stderr, "reeve: serve: %s\n", error.message.c_str());
  if (error.code == "invalid_config") return kBadConfig;
  return error.code == "invalid_request" ? kUsage : kFailed;
}

// --check-config: prints the settings that serve would use, and their sources. Creates nothing.
int CheckConfig(const LoadedConfig& loaded) {
  const Tokens::Source source = TokenSourceOf(loaded.config);
  const bool chosen = !source.file.empty() || !source.variable.empty();
  if (Status files = CheckFiles(loaded.config); !files) return Refuse(files.error());
  if (Status safe = CheckExposure(loaded.config, chosen); !safe) return Refuse(safe.error());
  std::fputs(DescribeConfig(loaded).c_str(), stdout);
  return kOk;
}

// --handover-trial: checks that this binary could continue with the state on stdin. Prints one line.
int Try(const Config& config) {
  auto tokens = Tokens::Load(TokenSourceOf(config));
  if (!tokens) return Refuse(tokens.error());
  if (Status safe = CheckExposure(config, tokens->configured()); !safe) return Refuse(safe.error());
  const Status ready = TryHandover(STDIN_FILENO, config.data);
  JsonObject line;
  line.Set("ready", ready.ok()).Set("version", REEVE_VERSION);
  if (!ready) line.Set("error", ready.error().message);
  std::printf("%s\n", line.Take().c_str());
  return ready ? kOk : kFailed;
}

// Tokens pass through our memory: other processes of this user must not read it. Children are not affected.
// LeakSanitizer needs to read it at exit.
void MakeUndumpable() {
#if !defined(REEVE_SANITIZED)
  (void)prctl(PR_SET_DUMPABLE, 0);
#endif
}

// The arguments of `serve` for the next daemon, without those that are only for this one.
std::vector<std::string> LastingArguments(const std::vector<std::string>& words) {
  std::vector<std::string> lasting;
  for (size_t i = 0; i < words.size(); ++i) {
    if (words[i] == "--keeper") {
      ++i;  // and its descriptor
    } else if (words[i] != "--handover-trial") {
      lasting.push_back(words[i]);
    }
  }
  return lasting;
}

// The keeper holds descriptors below this number for the daemon (process/keeper/protocol.h, kFirstFreeKey).
constexpr int kMostInherited = 100;

// Becomes the keeper, which starts this program again as its daemon. Returns only if it cannot.
void BecomeKeeper(const Config& config, const Invocation& invocation) {
  const std::string keeper = KeeperProgramBeside(invocation.program);
  if (keeper.empty()) {
    return log::Warning(
        "there is no reeve-keeper beside {}: agents end if the daemon crashes, and an upgrade is "
        "not possible",
        invocation.program);
  }
  rlimit file_size{};
  if (getrlimit(RLIMIT_FSIZE, &file_size) == 0 && file_size.rlim_cur != RLIM_INFINITY) {
    return log::Warning(
        "the size of files is limited (ulimit -f), also of those in memory: the daemon runs without "
        "a keeper, so agents end if it crashes, and an upgrade is not possible");
  }
  std::vector<std::string> words = {"reeve: keeper", "--orphan-timeout-ms",
                                    std::to_string(config.orphan_timeout_ms), "--restart-delay-ms",
                                    std::to_string(config.restart_delay_ms)};
  for (const std::string& url : config.listen) {
    const int fd = url.starts_with("fd://") ? std::atoi(url.c_str() + 5) : -1;
    if (fd > 2 && fd < kMostInherited) words.insert(words.end(), {"--inherit", std::to_string(fd)});
  }
  words.insert(words.end(), {"--", invocation.program, "serve"});
  for (const std::string& word : LastingArguments(invocation.words)) words.push_back(word);
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  execv(keeper.c_str(), argv.data());
  log::Warning("{}; the daemon runs without a keeper", OsError("execute " + keeper, errno).message);
}

int Serve(const ServeOptions& options, const Invocation& invocation) {
  ConfigSources sources{options.config_file, ReeveEnvironment(), options.flags};
  auto loaded = LoadConfig(sources);
  if (!loaded) return Refuse(loaded.error());
  sources.file = loaded->file;
  log::SetLevel(LogLevelOf(loaded->config));
  for (const std::string& warning : loaded->warnings) log::Warning("{}", warning);
  if (options.check_config) return CheckConfig(*loaded);
  if (!options.handover_trial) HoldSignals();
  (void)std::signal(SIGPIPE, SIG_IGN);
  log::TellOfAborts();
  (void)std::signal(SIGXFSZ, SIG_IGN);  // a file beyond `ulimit -f` is handled as a full disk
  MakeUndumpable();
  RaiseDescriptorLimit();  // a viewer costs one, a child four
  if (options.handover_trial) return Try(loaded->config);
  if (options.keeper < 0) {
    // A daemon that follows another one keeps its agents, whatever has become of these files.
    if (Status files = CheckFiles(loaded->config); !files) return Refuse(files.error());
    if (!options.no_keeper) BecomeKeeper(loaded->config, invocation);
  }
  auto daemon = Daemon::Start(
      std::move(sources), loaded->config,
      {invocation.program, LastingArguments(invocation.words), !options.config_file.empty(), options.keeper});
  if (!daemon) return Refuse(daemon.error());
  (*daemon)->Run();
  return kOk;
}

// The setting's own name for its value, else one for its type.
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

// The default as a user would type it, without the quotes and brackets of the file.
std::string DefaultWords(const Setting& setting) {
  if (setting.default_words) return setting.default_words;
  std::string words;
  for (char c : ShowSetting(setting, Config{})) {
    if (std::strchr("\"[]", c) == nullptr) words += c;
  }
  return words;
}

}  // namespace

void AddServe(Command root, const Invocation& invocation) {
  auto options = std::make_shared<ServeOptions>();
  Command serve = root.Add("serve", "Run the daemon: spawn agents, keep their event logs, stream them.");
  serve.Details(
      "The file that --config names may set every other option. A key has underscores, and the key of a list is "
      "plural: drain_timeout, allowed_hosts, allowed_origins, workspace_protocols. Each key except token_file "
      "is also a variable: REEVE_DRAIN_TIMEOUT. Options take precedence over the environment, and the "
      "environment over the file.");
  serve.Option("--config", options->config_file, "FILE", "A TOML file with these settings")
      .Default(kDefaultConfigWords);
  serve.Variable("REEVE_TOKEN", "The only token, with all scopes; --token-file takes precedence.");
  serve.File("/etc/reeve/config.toml", "The settings of root's daemon.");
  serve.File("~/.config/reeve/config.toml",
             "The settings of any other user's daemon; XDG_CONFIG_HOME applies.");
  serve.File("DATA/token", "The token, generated at the first start unless one is configured.");
  serve.File("DATA/runtime.json", "The addresses and process of the daemon, for the other commands.");
  serve.File("DATA/reeve.db, DATA/events", "The agents and their event logs.");
  serve.Flag("--check-config", options->check_config,
             "Print the settings and their sources, and exit with 0, or with 78 if one is wrong");
  for (const Setting& setting : Settings()) {
    serve
        .Option(setting.flag, options->flags[setting.key], TypeName(setting), setting.help,
                setting.type != Setting::Type::kList)
        .Default(DefaultWords(setting));
    if (!setting.variable.empty()) serve.Variable(setting.variable, std::string("As ") + setting.flag + ".");
  }
  serve.Flag("--no-keeper", options->no_keeper,
             "Run in one process, for debugging: agents end if it crashes, and it cannot be upgraded");
  serve.Option("--keeper", options->keeper, 0, std::numeric_limits<int>::max(), "").Hidden();
  serve.Flag("--handover-trial", options->handover_trial, "").Hidden();
  serve.Example("reeve serve", "on http://127.0.0.1:8080, with its token in DATA/token");
  serve.Example("reeve serve --listen unix:///run/reeve.sock --town prod", "on a Unix socket");
  serve.Action([options, &invocation] { return Serve(*options, invocation); });
}

}  // namespace reeve
