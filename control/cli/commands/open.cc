// `reeve open`: signs a browser in to the dashboard by a link that works once.
#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "control/cli/client/agent_names.h"
#include "control/cli/commands/commands.h"
#include "control/cli/commands/input.h"
#include "control/cli/terminal/console.h"
#include "control/cli/terminal/qr_code.h"
#include "orchestrator/json/json.h"
#include "process/spawn.h"

namespace reeve {

namespace {

struct OpenOptions : CommonOptions {
  std::string agent;
  std::string scope;
  std::string stay;
  std::string address;
  bool qr = false;
  bool print = false;
};

// The modes of tickets, by the scope that they give; the most powerful first.
constexpr std::pair<const char*, const char*> kModes[] = {
    {"admin", "terminal"}, {"operate", "operate"}, {"view", "view"}};

// A ticket of the scope that was asked for, or of the most powerful one that the token has.
Result<std::string> IssueTicket(Client& client, const OpenOptions& options) {
  auto stay = ReadDuration("--stay", options.stay.empty() ? "12h" : options.stay);
  if (!stay) return stay.error();
  std::optional<Error> refused;
  for (const auto& [scope, mode] : kModes) {
    if (!options.scope.empty() && options.scope != scope) continue;
    std::string body = JsonObject().Set("agents", "*").Set("mode", mode).Set("resume_ms", *stay).Take();
    auto answer = client.AskJson(client.Request("POST", "/stream-ticket", std::move(body)));
    if (answer) return std::string((*answer)["ticket"].StringOr(""));
    refused = answer.error();
    if (refused->code != "forbidden") break;
  }
  if (!refused) return Error{"invalid_request", "--scope: must be view, operate or admin"};
  return *refused;
}

bool HasDisplay() {
  for (const char* name : {"WAYLAND_DISPLAY", "DISPLAY"}) {
    const char* value = std::getenv(name);
    if (value && *value) return true;
  }
  return false;
}

// Lets the desktop open the link, and does not wait for it.
Status OpenBrowser(const std::string& link) {
  SpawnSpec spec;
  spec.argv = {"xdg-open", link};
  for (char** variable = environ; *variable; ++variable) spec.env.emplace_back(*variable);
  spec.die_with_parent = false;
  spec.no_new_privs = false;
  const Fd null(open("/dev/null", O_RDWR | O_CLOEXEC));
  auto started = SpawnWith(spec, {null.get(), null.get(), null.get()});
  if (!started) return started.error();
  return {};
}

int Open(const OpenOptions& options) {
  Console console("open", options);
  auto client = Client::Find(options.client);
  if (!client) return console.Fail(client.error());
  std::string path = "/";
  if (!options.agent.empty()) {
    auto id = FindAgent(*client, options.agent);
    if (!id) return console.Fail(id.error(), options.agent);
    path = "/agents/" + *id;
  }
  std::string address = options.address.empty() ? client->web_address() : options.address;
  while (address.ends_with('/')) address.pop_back();
  if (address.empty()) {
    return console.Fail(
        {"invalid_request",
         "the daemon listens on a Unix socket only; give the address of its proxy by --address"});
  }
  auto ticket = IssueTicket(*client, options);
  if (!ticket) return console.Fail(ticket.error());
  const std::string link = address + "/#" + path + "?ticket=" + *ticket;

  if (console.json()) {
    console.Line(JsonObject().Set("link", link).Take());
    return kOk;
  }
  console.Line(link);
  if (options.print) return kOk;
  const bool terminal = isatty(STDOUT_FILENO) == 1;
  if (!options.qr && terminal && HasDisplay()) {
    if (Status opened = OpenBrowser(link); opened) return kOk;
    console.Note("xdg-open could not open a browser; open the link yourself");
  }
  if (options.qr || terminal) {
    auto code = QrCode(link);
    if (!code) return console.Fail(code.error());
    console.Line("\n" + *code);
  }
  console.Note("the link works once, within a minute");
  return kOk;
}

}  // namespace

void AddOpen(Command root) {
  auto options = std::make_shared<OpenOptions>();
  Command command = root.Add("open", "Open the dashboard in a browser, signed in.");
  command.Details(
      "Prints a link that signs one browser in, once, and must be opened within a minute. On a desktop a browser "
      "opens it; on other terminals a QR code shows it to a phone. The browser is signed in without a token, until "
      "it was away for longer than --stay, or the token of this command is no longer valid.");
  command.Argument("AGENT", options->agent, "Show this agent; without one, the town");
  command.Option("--scope", options->scope, "view|operate|admin", "What the browser may do")
      .Default("all that the token may");
  command.Option("--stay", options->stay, "DURATION", "Time for which the browser may be away; at most 24h")
      .Default("12h");
  command.Option("--address", options->address, "URL", "Address at which the browser reaches the daemon");
  command.Flag("--qr", options->qr, "Show a QR code, and open no browser here");
  command.Flag("--print", options->print, "Only print the link");
  AddCommonOptions(command, *options);
  command.Example("reeve open a1 --print", "a link to the view of one agent");
  command.Example("reeve open --scope operate --qr", "for a phone that starts no agents");
  command.Action([options] { return Open(*options); });
}

}  // namespace reeve
