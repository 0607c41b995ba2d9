// `reeve rpc`: relays between stdin and stdout and the daemon's gateway (GET /ws), one JSON object per line.
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "control/cli/client/web_socket_client.h"
#include "control/cli/commands/commands.h"
#include "control/cli/terminal/console.h"
#include "control/cli/terminal/input_reader.h"
#include "orchestrator/json/json.h"
#include "process/lines.h"
#include "process/loop.h"

namespace reeve {

namespace {

constexpr size_t kMaxUnsent = size_t{256} << 10;  // from here on stdin waits
constexpr size_t kMaxIdBytes = 256;               // of an id that the daemon returns (API.md)
constexpr std::string_view kNoId = "null";        // of the answer to a line whose id is not known

bool HasOnce(const JsonValue& object, std::string_view name) {
  size_t count = 0;
  for (const auto& [key, value] : object.Members()) count += key == name ? 1 : 0;
  return count == 1;
}

// The id of the daemon's answer to this line, as JSON. Nothing: the line is a valid notification (JSON-RPC
// 2.0 section 4.1), which has no answer.
std::optional<std::string> IdOfAnswer(std::string_view line) {
  const auto json = JsonDocument::Parse(line);
  if (!json) return std::string(kNoId);
  const JsonValue call = json->root();
  if (const JsonValue id = call["id"]) {
    const bool returned =
        (id.Is(JsonType::kString) || id.Is(JsonType::kNumber)) && id.Raw().size() <= kMaxIdBytes;
    return returned ? id.Raw() : std::string(kNoId);
  }
  const bool valid = call["jsonrpc"].StringOr("") == "2.0" && call["method"].AsString() &&
                     HasOnce(call, "jsonrpc") && HasOnce(call, "method") &&
                     (!call["params"] || HasOnce(call, "params"));
  return valid ? std::nullopt : std::optional(std::string(kNoId));
}

// Sends each line of stdin, prints each message, and closes when stdin has ended and everything is answered.
class Relay {
 public:
  Relay(Loop& loop, Console& console)
      : loop_(loop),
        console_(console),
        input_(loop, [this](const std::string& bytes) { TakeInput(bytes); }) {}

  int Run(const HttpRequest& request) {
    WebSocketClient::Handlers handlers;
    handlers.on_text = [this](std::string_view message) { Print(message); };
    handlers.on_read = [this] {
      WriteOrExit("");
      CloseWhenDone();
    };
    handlers.on_sent = [this] { ReadInput(); };
    handlers.on_end = [this](const Status& how) { End(how); };
    auto socket = WebSocketClient::Open(loop_, request, std::move(handlers));
    if (!socket) return console_.Fail(socket.error());
    socket_ = std::move(*socket);
    ReadInput();
    loop_.Run();
    return code_;
  }

 private:
  void ReadInput() {
    if (reading_ || input_ended_ || socket_->unsent() >= kMaxUnsent) return;
    reading_ = true;
    input_.Read();
  }

  void TakeInput(std::string_view bytes) {
    reading_ = false;
    input_ended_ = bytes.empty();
    lines_.Feed(bytes, [this](const Lines::Piece& piece) { SendPiece(piece); });
    if (input_ended_ && (!lines_.waiting().empty() || lines_.begun())) {
      SendPiece({lines_.waiting(), !lines_.begun(), true});
    }
    ReadInput();
    CloseWhenDone();
  }

  // A line that is longer than the daemon accepts goes in several frames, and the daemon refuses it.
  void SendPiece(const Lines::Piece& piece) {
    if (piece.ends) {
      const auto id = piece.begins ? IdOfAnswer(piece.text) : std::string(kNoId);
      if (id) unanswered_.insert(*id);
    }
    socket_->Send(piece.text, piece.begins, piece.ends);
  }

  void Print(std::string_view message) {
    std::string line(message);
    // In JSON a line end can only stand between two tokens.
    for (char& c : line) {
      if (c == '\n' || c == '\r') c = ' ';
    }
    WriteOrExit(line += '\n', Flush::kNo);
    const auto json = JsonDocument::Parse(message);
    if (!json || !(*json)["id"] || (*json)["method"]) return;  // an event
    if (const auto call = unanswered_.find((*json)["id"].Raw()); call != unanswered_.end())
      unanswered_.erase(call);
  }

  void CloseWhenDone() {
    if (input_ended_ && unanswered_.empty()) socket_->Close();
  }

  void End(const Status& how) {
    WriteOrExit("");
    if (!how) code_ = console_.Fail(how.error());
    loop_.Stop();
  }

  Loop& loop_;
  Console& console_;
  InputReader input_;
  std::unique_ptr<WebSocketClient> socket_;
  Lines lines_;
  bool reading_ = false;  // a Read of input_ is not answered yet
  bool input_ended_ = false;
  std::multiset<std::string> unanswered_;  // the ids of answers that are still to come, as JSON
  int code_ = kOk;
};

int RunRpc(const CommonOptions& options) {
  Console console("rpc", options);
  auto client = Client::Find(options.client);
  if (!client) return console.Fail(client.error());
  Loop loop;
  return Relay(loop, console).Run(client->Request("GET", "/ws"));
}

}  // namespace

void AddRpc(Command root) {
  auto options = std::make_shared<CommonOptions>();
  Command command = root.Add("rpc", "Speak JSON-RPC with the daemon on stdin and stdout.");
  command.Details(
      "Each line of stdin is a JSON-RPC 2.0 request, and each line of stdout an answer or an event, as on a "
      "WebSocket of the daemon (GET /ws in API.md). The first line of stdout is the event gateway.ready. "
      "Answers carry the ids of their requests and may come in another order. Errors of the command itself "
      "go to stderr.\n\n"
      "At the end of stdin the command waits for the answers that are missing, and exits. Events come as "
      "long as stdin is open. If the daemon closes the connection first, or is silent for 45 s, the command "
      "says so and fails.");
  AddCommonOptions(command, *options, "Accepted, but every line is an answer or an event");
  command.Example(R"(printf '{"jsonrpc":"2.0","id":1,"method":"agents.list"}\n' | reeve rpc)", "one call");
  command.Example("ssh host reeve rpc", "the control of another machine, which needs no open port");
  command.Action([options] { return RunRpc(*options); });
}

}  // namespace reeve
