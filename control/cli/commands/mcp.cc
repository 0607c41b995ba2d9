// `reeve mcp`: an MCP server on stdin and stdout. Each line of stdin is a request to the daemon (POST /mcp).
#include <poll.h>
#include <unistd.h>

#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "control/cli/client/client.h"
#include "control/cli/client/retry.h"
#include "control/cli/commands/commands.h"
#include "control/cli/terminal/console.h"
#include "control/cli/terminal/input_reader.h"
#include "control/mcp/mcp_message.h"
#include "orchestrator/json/json.h"
#include "process/lines.h"
#include "process/loop.h"
#include "process/random.h"
#include "process/sse_parser.h"
#include "process/timer.h"

namespace reeve {

namespace {

constexpr size_t kMaxRequests = 1'000;  // in progress
constexpr size_t kMaxMcpLineBytes = size_t{4} << 20;
constexpr int64_t kLookMs = 500;
constexpr size_t kMcpKeyBytes = 16;
constexpr int kMcpInternal = -32603;

// Sends each line, prints each message, and ends when stdin has ended and everything is answered.
class McpRelay {
 public:
  McpRelay(Loop& loop, Client::Options options, Client client, Console& console)
      : loop_(loop),
        options_(std::move(options)),
        client_(std::move(client)),
        console_(console),
        http_(loop),
        input_(loop, [this](const std::string& bytes) { TakeInput(bytes); }),
        look_(loop, [this] { LookAtStdout(); }) {}

  int Run() {
    input_.Read();
    loop_.Run();
    return hung_up_ ? kHungUp : kOk;
  }

 private:
  // The ids of the answers to a line, as JSON text. Notifications, and answers of the client, have none.
  using Ids = std::vector<std::string>;

  // One line, until it is answered. It is sent again while the daemon is away, with the same key.
  struct Pending {
    std::string line;
    Ids ids;
    bool shakes_hands = false;
    std::string key = RandomHex(kMcpKeyBytes);
    Headers headers;
    std::unique_ptr<Retry> retry;
    std::unique_ptr<HttpCall> call;
    HttpResponse answer;
    SseParser events;
    bool streams = false;
    bool answered = false;
    std::list<std::unique_ptr<Pending>>::iterator place;
  };

  void TakeInput(std::string_view bytes) {
    ended_ = bytes.empty();
    lines_.Feed(bytes, [this](const Lines::Piece& piece) {
      if (line_.size() <= kMaxMcpLineBytes) line_ += piece.text;
      if (piece.ends) TakeLine(std::exchange(line_, {}));
    });
    if (ended_) {
      line_ += lines_.waiting();
      TakeLine(std::exchange(line_, {}));
      return EndWhenDone();
    }
    input_.Read();
  }

  void TakeLine(const std::string& line) {
    if (line.find_first_not_of(" \t\r") == std::string::npos) return;
    const auto json = JsonDocument::Parse(line);
    const JsonValue message = json ? json->root() : JsonValue();
    Ids ids = IdsOf(message);
    const std::string_view method = message["method"].StringOr("");
    if (method == "notifications/cancelled") return Cancel(message["params"]["requestId"].Raw());
    if (pending_.size() >= kMaxRequests || line.size() > kMaxMcpLineBytes)
      return PrintErrors(ids,
                         {"too_many_requests", "too many requests are in progress, or one is too large"});
    pending_.push_back(std::make_unique<Pending>());
    Pending& one = *pending_.back();
    one.place = std::prev(pending_.end());
    one.retry = std::make_unique<Retry>(
        loop_, [this, &one] { SendAgain(one); }, [this](bool away) { console_.NoteAway(away); });
    one.line = line;
    one.ids = std::move(ids);
    one.shakes_hands = method == "initialize";
    one.headers = McpHeadersOf(message);
    if (one.headers.empty() && !one.shakes_hands && !revision_.empty())
      one.headers.emplace_back("MCP-Protocol-Version", revision_);
    Send(one);
  }

  // An empty value stands for a line that is no JSON. Its answer has the id null.
  static Ids IdsOf(const JsonValue& message) {
    Ids ids;
    const auto add = [&ids](const JsonValue& one) {
      const JsonValue id = one["id"];
      const bool is_answer = !one["method"] && (one["result"] || one["error"]);
      if (is_answer || (!id && one["method"])) return;
      ids.push_back(id.Is(JsonType::kString) || id.AsInt() ? id.Raw() : "null");
    };
    if (!message.Is(JsonType::kArray) || message.size() == 0) {
      add(message);
    } else {
      for (const JsonValue& one : message.Elements()) add(one);
    }
    return ids;
  }

  // The daemon may have another address now.
  void SendAgain(Pending& one) {
    if (auto client = Client::Find(options_)) client_ = std::move(*client);
    Send(one);
  }

  void Send(Pending& one) {
    HttpRequest request = client_.Request("POST", "/mcp", one.line);
    request.timeout_ms = 0;
    request.headers.emplace_back("Accept", "application/json, text/event-stream");
    request.headers.emplace_back("Idempotency-Key", one.key);
    request.headers.insert(request.headers.end(), one.headers.begin(), one.headers.end());
    one.answer = {};
    one.events = SseParser();
    HttpClient::Stream stream;
    stream.on_head = [&one](const HttpResponse& head) {
      if (IsThere(head.status)) one.retry->Answered();
      one.answer = head;
      one.streams = head.Header("content-type").starts_with("text/event-stream");
    };
    stream.on_body = [this, &one](std::string_view bytes) {
      if (!one.streams) {
        one.answer.body += bytes;
        return;
      }
      const bool fits = one.events.Feed(bytes, [this, &one](const SseEvent& event) {
        if (!event.data.empty()) Print(one, event.data);
      });
      if (fits || one.answered) return;
      one.answered = true;  // a repetition would be as large
      PrintErrors(one.ids, {"too_large", "the answer of the daemon is too large"});
    };
    stream.on_end = [this, &one](const Status& how) { End(one, how); };
    one.call = http_.Open(std::move(request), std::move(stream));
  }

  // Whether such an answer shows that the daemon works. A proxy in front of it answers the others as well.
  static bool IsThere(int status) { return status < 500 && status != 429; }

  void Print(Pending& one, const std::string& message) {
    const auto json = JsonDocument::Parse(message);
    if (json && !(*json)["method"]) {
      one.answered = true;
      const std::string_view revision = (*json)["result"]["protocolVersion"].StringOr("");
      if (one.shakes_hands && !revision.empty()) revision_ = revision;
    }
    WriteOrExit(message + "\n");
  }

  // The reason why the request is not answered yet, if it may be later.
  static std::optional<Error> TemporaryError(const Pending& one, const Status& how) {
    if (one.answered) return std::nullopt;
    if (!how) return how.error().code == "unreachable" ? std::optional(how.error()) : std::nullopt;
    if (one.streams) return Error{"unreachable", "the daemon closed the connection"};
    const int status = one.answer.status;
    if (status < 400) return std::nullopt;
    Error error = Client::ErrorOf(one.answer);
    const bool temporary = status == 429 || (status >= 502 && status <= 504);
    return temporary || error.code == "request_under_way" ? std::optional(std::move(error)) : std::nullopt;
  }

  void End(Pending& one, const Status& how) {
    const auto not_now = TemporaryError(one, how);
    if (not_now && one.retry->After(*not_now)) return;
    if (not_now) {
      PrintErrors(one.ids, *not_now);
    } else if (!one.answered && !how) {
      PrintErrors(one.ids, how.error());
    } else if (!one.streams) {
      const bool problem = one.answer.Header("content-type").starts_with("application/problem+json");
      const auto json = JsonDocument::Parse(one.answer.body);
      if (problem || !json) {
        PrintErrors(one.ids, Client::ErrorOf(one.answer));
      } else {
        Print(one, one.answer.body);
      }
    }
    pending_.erase(one.place);
    EndWhenDone();
  }

  void Cancel(const std::string& id) {
    for (const auto& one : pending_) {
      if (one->ids != Ids{id}) continue;
      pending_.erase(one->place);  // the daemon ends a wait with its connection
      return EndWhenDone();
    }
  }

  static void PrintErrors(const Ids& ids, const Error& error) {
    for (const std::string& id : ids)
      WriteOrExit(FormatMcpError(id, {kMcpInternal, error.code + ": " + error.message}) + "\n");
  }

  void EndWhenDone() {
    if (!ended_) return;
    if (pending_.empty()) return loop_.Stop();
    if (!look_.active()) look_.Start(kLookMs, kLookMs);
  }

  // After the end of stdin, nothing else tells that the client has gone while it waits for an answer.
  void LookAtStdout() {
    pollfd out = {STDOUT_FILENO, 0, 0};
    hung_up_ = poll(&out, 1, 0) > 0 && (out.revents & (POLLERR | POLLHUP)) != 0;
    if (hung_up_) loop_.Stop();
  }

  Loop& loop_;
  const Client::Options options_;
  Client client_;
  Console& console_;
  HttpClient http_;
  InputReader input_;
  Lines lines_;
  std::string line_;
  bool ended_ = false;  // stdin
  Timer look_;          // at stdout
  bool hung_up_ = false;
  std::string revision_;  // the revision that the handshake agreed on
  std::list<std::unique_ptr<Pending>> pending_;
};

int RunMcp(const CommonOptions& options) {
  Console console("mcp", options);
  auto client = Client::Find(options.client);
  if (!client) return console.Fail(client.error());
  Loop loop;
  return McpRelay(loop, options.client, std::move(*client), console).Run();
}

}  // namespace

void AddMcp(Command root) {
  auto options = std::make_shared<CommonOptions>();
  Command command = root.Add("mcp", "Serve the Model Context Protocol on stdin and stdout.");
  command.Details(
      "For agents and editors that start their MCP servers as commands. The tools start other agents, send "
      "them messages, wait for them, read their logs and decide their requests, as far as the token allows. "
      "Each line of stdin is a message of the protocol, and so is each line of stdout. Errors of the command "
      "itself go to stderr.\n\n"
      "While the daemon is away, for example during an upgrade, requests are repeated for a minute, and "
      "nothing is done twice. At the end of stdin the command waits for the answers that are missing, and "
      "exits. If the reader of stdout goes away, it does not wait.");
  AddCommonOptions(command, *options, "Accepted, but every line is a message");
  command.Example(R"(printf '{"jsonrpc":"2.0","id":1,"method":"tools/list"}\n' | reeve mcp)", "the tools");
  command.Example("claude mcp add reeve -- reeve mcp", "gives Claude Code the tools");
  command.Action([options] { return RunMcp(*options); });
}

}  // namespace reeve
