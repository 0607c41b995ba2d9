// `reeve open`: signs a browser in to the dashboard by a link that works once.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "control/cli/client/agent_names.h"
#include "control/cli/commands/commands.h"
#include "control/cli/commands/input.h"
#include "control/cli/terminal/console.h"
#include "control/cli/terminal/qr_code.h"
#include "orchestrator/json/json.h"
#include "process/fd.h"
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

constexpr int64_t kLongestStayMs = int64_t{24} * 3'600'000;  // of a resume ticket
constexpr int kLinkSeconds = 60;                             // the validity of a link

// A ticket of the scope that was asked for, or of the most powerful one that the token has.
Result<std::string> IssueTicket(Client& client, const OpenOptions& options) {
  auto stay = ReadDuration("--stay", options.stay.empty() ? "12h" : options.stay);
  if (!stay) return stay.error();
  if (*stay < 1 || *stay > kLongestStayMs)
    return Error{"invalid_request", "--stay: must be at least 1ms and at most 24h"};
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

// `GET /` of a build without the dashboard is the plain page, which knows no tickets.
Status NeedDashboard(const Client& client, const std::string& address) {
  auto page = client.Ask(client.Request("GET", "/"));
  if (!page) return page.error();
  auto plain = client.Ask(client.Request("GET", "/plain"));
  if (!plain) return plain.error();
  if (page->body != plain->body) return {};
  return Error{"not_supported",
               "this daemon was built without the dashboard, which needs npm; its plain page, " + address +
                   "/, takes the token"};
}

std::string AsHtml(const std::string& text) {
  std::string html;
  for (const char c : text) {
    switch (c) {
      case '&':
        html += "&amp;";
        break;
      case '<':
        html += "&lt;";
        break;
      case '"':
        html += "&quot;";
        break;
      default:
        html += c;
    }
  }
  return html;
}

// A page that leads to the link, for its owner alone: everybody can read the arguments of a program. It ends
// with the object.
class Forwarder {
 public:
  Forwarder() = default;
  Forwarder(const Forwarder&) = delete;
  Forwarder& operator=(const Forwarder&) = delete;
  ~Forwarder() {
    if (!path_.empty()) unlink(path_.c_str());
  }

  Status Write(const std::string& link) {
    std::string folder;
    for (const char* name : {"XDG_RUNTIME_DIR", "TMPDIR"}) {
      const char* value = std::getenv(name);
      if (folder.empty() && value && access(value, W_OK) == 0) folder = value;
    }
    std::string path = (folder.empty() ? "/tmp" : folder) + "/reeve-open-XXXXXX.html";
    const Fd file(mkostemps(path.data(), 5, O_CLOEXEC));  // mode 0600
    if (!file.valid()) return OsError(path, errno);
    path_ = path;
    const std::string page =
        "<!DOCTYPE html><meta charset=\"utf-8\"><title>reeve</title><meta http-equiv=\"refresh\" "
        "content=\"0; url=" +
        AsHtml(link) + "\">\n";
    if (write(file.get(), page.data(), page.size()) != static_cast<ssize_t>(page.size()))
      return OsError(path, errno);
    return {};
  }

  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// Lets the desktop open the page. A browser lives long, and needs no token of ours.
Status OpenBrowser(const std::string& page) {
  SpawnSpec spec;
  spec.argv = {"xdg-open", page};
  for (char** variable = environ; *variable; ++variable) {
    if (!std::string_view(*variable).starts_with("REEVE_")) spec.env.emplace_back(*variable);
  }
  spec.die_with_parent = false;
  spec.no_new_privs = false;
  const Fd null(open("/dev/null", O_RDWR | O_CLOEXEC));
  auto started = SpawnWith(spec, {null.get(), null.get(), null.get()});
  if (!started) return started.error();
  return {};
}

// Waits until a browser has used the ticket. Returns the exit code.
int WaitForBrowser(Console& console, const Client& client, const std::string& ticket) {
  sigset_t ends;
  sigemptyset(&ends);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&ends, signal);
  sigprocmask(SIG_BLOCK, &ends, nullptr);
  HttpRequest check = client.Request("GET", "/ws/ticket");
  check.headers.emplace_back("X-Reeve-Ticket", ticket);
  const time_t until = std::time(nullptr) + kLinkSeconds;
  while (std::time(nullptr) < until) {
    auto valid = client.Ask(check);
    if (!valid && valid.error().code == "ticket_invalid") return kOk;
    const timespec pause{0, 200'000'000};
    if (sigtimedwait(&ends, nullptr, &pause) > 0) return kCancelled;
  }
  console.Note("no browser opened the link within a minute");
  return kTimedOut;
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
  if (Status able = NeedDashboard(*client, address); !able) return console.Fail(able.error());
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
    Forwarder page;
    Status ready = page.Write(link);
    if (ready) ready = OpenBrowser(page.path());
    if (ready) return WaitForBrowser(console, *client, *ticket);
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
      "opens it, and the command waits until it has; on other terminals a QR code shows it to a phone. The browser is "
      "signed in without a token, until it was away for longer than --stay, or the token of this command is no longer "
      "valid.");
  command.Argument("AGENT", options->agent, "Show this agent; without one, the town");
  command.Option("--scope", options->scope, "view|operate|admin", "The scope of the browser")
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
