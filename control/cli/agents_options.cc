// The options of agents.h's commands.
#include <CLI/CLI.hpp>

#include "control/cli/agents.h"

namespace reeve {

namespace {

void AddServer(CLI::App* command, AgentsOptions& options) {
  command->add_option(
      "--server", options.client.server,
      "The daemon: http://…, https://… or unix:///PATH. Default: REEVE_SERVER, else the one that "
      "runs on --data");
  command->add_option("--token-file", options.client.token_file,
                      "A file that holds the token. Default: REEVE_TOKEN, REEVE_TOKEN_FILE, DATA/token");
  command->add_option("--data", options.client.data_dir,
                      "The daemon's data folder, to find server and token");
}

void AddJson(CLI::App* command, AgentsOptions& options) {
  command->add_flag("--json", options.json, "One JSON object a line");
}

CLI::App* AddCommand(CLI::App* to, const char* name, const char* help, AgentsOptions& options) {
  CLI::App* command = to->add_subcommand(name, help);
  command->callback([&options, name] { options.command = name; });
  AddServer(command, options);
  return command;
}

void AddOne(CLI::App* command, AgentsOptions& options) {
  command->add_option("id", options.ids, "The agent")->required()->expected(1);
}

void AddSome(CLI::App* command, AgentsOptions& options) {
  command->add_option("id", options.ids, "The agents")->required();
  AddJson(command, options);
}

}  // namespace

void AddAgents(CLI::App& app, AgentsOptions& options) {
  CLI::App* agents =
      app.add_subcommand("agents", "List, wake, stop and otherwise command a daemon's agents.");
  agents->alias("sessions");
  agents->require_subcommand(1);

  CLI::App* list = AddCommand(agents, "list", "All agents, a line each.", options);
  list->add_option("--state", options.state, "Only those in this state: idle, running, needs_input, …");
  list->add_option("--label", options.label, "Only those with this label: key=value");
  AddJson(list, options);

  CLI::App* status = AddCommand(agents, "status", "One agent.", options);
  AddOne(status, options);
  AddJson(status, options);

  CLI::App* wake = AddCommand(agents, "wake",
                              "Send a message, which wakes an agent that has ended. Prints its id.", options);
  AddOne(wake, options);
  wake->add_option("--message", options.message, "The text; -: from stdin")->required();
  CLI::Option* delay = wake->add_option("--delay", options.delay, "Not before so long: 30s, 5m, 1h30m");
  wake->add_option("--at", options.at, "Not before then: 2026-01-31T08:00:00Z")->excludes(delay);
  wake->add_flag("--steer", options.steer, "Into the present turn, where the kind can");
  wake->add_option("--dedupe-key", options.dedupe_key,
                   "The same key and message again, within a day, are one message");
  AddJson(wake, options);

  AddSome(AddCommand(agents, "start", "Start agents, or let a paused queue go on.", options), options);
  for (auto [name, help] : {std::pair{"stop", "Stop agents. They stay, and can be started."},
                            std::pair{"restart", "Stop agents and start them again."}}) {
    CLI::App* command = AddCommand(agents, name, help, options);
    AddSome(command, options);
    command->add_option("--grace", options.grace, "What they get to end by themselves: 5s");
  }
  AddSome(AddCommand(agents, "interrupt", "End agents' present runs, not the agents.", options), options);
  CLI::App* rm = AddCommand(agents, "rm", "Stop agents and forget them; their logs stay readable.", options);
  AddSome(rm, options);
  rm->add_flag("--purge", options.purge, "Their logs and ids go, too");

  CLI::App* drain =
      AddCommand(&app, "drain", "Have the daemon stop its agents and end, as TERM does.", options);
  drain->add_option("--timeout", options.timeout, "What agents get to end: 10s. Default: as configured");
}

}  // namespace reeve
