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
#include "control/gateway/rpc_message.h"
#include "orchestrator/json/json.h"
#include "process/lines.h"
#include "process/loop.h"

namespace reeve {

namespace {

constexpr size_t kMaxUnsent = size_t{256} << 10;  // from here on stdin waits

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
      const auto json = JsonDocument::Parse(piece.begins ? piece.text : "");
      const auto id = json ? IdOfAnswer(json->root()) : std::string(kRpcNoId);
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
