#include "control/cli/client/web_socket_client.h"

#include <fcntl.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <utility>
#include <vector>

#include "control/cli/client/client.h"
#include "control/http/http.h"
#include "control/http/web_socket_handshake.h"
#include "orchestrator/json/json.h"
#include "process/loop.h"
#include "process/random.h"

namespace reeve {

namespace {

constexpr size_t kMaxAnswerBytes = size_t{64} << 10;  // to the handshake
constexpr int kHandshakeMs = 10'000;                  // for each wait
constexpr int kReadsInATurn = 16;                     // of 16 KiB: then stdin has its turn

// Everything of the URL behind the host.
std::string TargetOf(const std::string& url) {
  const size_t slash = url.find('/', url.find("://") + 3);
  return slash == std::string::npos ? "/" : url.substr(slash);
}

// The head of an answer without its final blank line.
HttpResponse ParseAnswerHead(std::string_view head) {
  HttpResponse answer;
  const size_t space = head.find(' ');
  if (head.starts_with("HTTP/1.") && space != std::string_view::npos)
    std::from_chars(head.data() + space + 1, head.data() + head.size(), answer.status);
  while (!head.empty()) {
    const std::string_view line = head.substr(0, head.find("\r\n"));
    head.remove_prefix(std::min(line.size() + 2, head.size()));
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    std::string name(line.substr(0, colon));
    for (char& c : name) {
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    const size_t value = line.find_first_not_of(" \t", colon + 1);
    answer.headers.emplace_back(std::move(name), value == std::string_view::npos ? "" : line.substr(value));
  }
  return answer;
}

std::array<uint8_t, 4> RandomMask() {
  const std::string bytes = RandomBytes(4);
  return {static_cast<uint8_t>(bytes[0]), static_cast<uint8_t>(bytes[1]), static_cast<uint8_t>(bytes[2]),
          static_cast<uint8_t>(bytes[3])};
}

}  // namespace

WebSocketClient::WebSocketClient(Loop& loop, std::unique_ptr<DirectConnection> connection, Handlers handlers,
                                 WebSocketPatience patience)
    : loop_(loop),
      connection_(std::move(connection)),
      server_(connection_->server()),
      handlers_(std::move(handlers)),
      patience_(patience),
      silence_(loop, [this] { OnSilence(); }),
      reader_(WebSocketReader::Peer::kServer, kMessageBytes, *this) {}

WebSocketClient::~WebSocketClient() = default;

Result<std::unique_ptr<WebSocketClient>> WebSocketClient::Open(Loop& loop, const HttpRequest& request,
                                                               Handlers handlers,
                                                               WebSocketPatience patience) {
  auto connection = DirectConnection::Open(request);
  if (!connection) return connection.error();
  std::unique_ptr<WebSocketClient> client(
      new WebSocketClient(loop, std::move(*connection), std::move(handlers), patience));
  if (auto shaken = client->ShakeHands(request); !shaken) return shaken.error();
  if (auto watched = client->WatchSocket(); !watched) return watched.error();
  return client;
}

Status WebSocketClient::ShakeHands(const HttpRequest& request) {
  const std::string key = Base64(RandomBytes(16));
  std::string head =
      "GET " + TargetOf(request.url) + " HTTP/1.1\r\nHost: " + connection_->host() +
      "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " +
      key + "\r\n";
  for (const auto& [name, value] : request.headers)
    head.append(name).append(": ").append(value).append("\r\n");
  head += "\r\n";
  for (std::string_view rest = head; !rest.empty();) {
    auto taken = connection_->Write(rest);
    if (!taken) return taken.error();
    rest.remove_prefix(*taken);
    if (*taken > 0) continue;
    if (auto ready = WaitFor(POLLOUT); !ready) return ready;
  }
  std::string got;
  HttpResponse answer;
  size_t end = std::string::npos;
  size_t body = 0;
  while (end == std::string::npos || got.size() < end + 4 + body) {
    char bytes[4096];
    auto read = connection_->Read(bytes, sizeof bytes);
    if (!read) return read.error();
    if (!*read) {
      if (auto ready = WaitFor(POLLIN); !ready) return ready;
      continue;
    }
    if (**read == 0) return Error{"unreachable", server_ + ": the connection ended before the answer"};
    got.append(bytes, **read);
    if (got.size() > kMaxAnswerBytes)
      return Error{"too_large", server_ + ": the answer exceeds its size limit"};
    if (end != std::string::npos || (end = got.find("\r\n\r\n")) == std::string::npos) continue;
    answer = ParseAnswerHead(std::string_view(got).substr(0, end));
    const std::string_view length = answer.Header("content-length");
    if (answer.status != 101) std::from_chars(length.data(), length.data() + length.size(), body);
    if (body > kMaxAnswerBytes) return Error{"too_large", server_ + ": the answer exceeds its size limit"};
  }
  if (answer.status != 101) {
    answer.body = got.substr(end + 4, body);
    return Client::ErrorOf(answer);
  }
  if (!EqualsIgnoringCase(answer.Header("upgrade"), "websocket") ||
      answer.Header("sec-websocket-accept") != WebSocketAccept(key)) {
    return Error{"unreachable", server_ + ": the answer is not that of a WebSocket: is this a reeve?"};
  }
  early_ = got.substr(end + 4);
  return {};
}

Status WebSocketClient::WaitFor(short events) const {
  pollfd waiting{connection_->fd(), events, 0};
  const int ready = poll(&waiting, 1, kHandshakeMs);
  if (ready > 0 || (ready < 0 && errno == EINTR)) return {};
  if (ready == 0) return Error{"timeout", server_ + ": no answer in time"};
  return OsError(server_, errno);
}

// libcurl keeps the descriptor, and a Watch owns one.
Status WebSocketClient::WatchSocket() {
  auto watch = Watch::Make(loop_, Fd(fcntl(connection_->fd(), F_DUPFD_CLOEXEC, 0)),
                           [this](int events) { OnReady(events); });
  if (!watch) return watch.error();
  watch_ = std::move(*watch);
  watch_->Want(Watch::kRead);
  silence_.Start(patience_.silence_ms);
  // Bytes that arrived with the answer, or that TLS has already read, make no event.
  loop_.Post(alive_.Guard([this] { OnReady(Watch::kRead); }));
  return {};
}

void WebSocketClient::Send(std::string_view text, bool begins, bool ends) {
  if (closing_) return;
  AppendOwn(begins ? FrameType::kText : FrameType::kContinuation, text, ends);
}

void WebSocketClient::Close() {
  if (closing_) return;
  AppendOwn(FrameType::kClose, ClosePayload(close_code::kNormal, {}));
  closing_ = true;
}

void WebSocketClient::AppendOwn(FrameType type, std::string_view payload, bool last) {
  if (ended_) return;
  AppendMaskedFrame(out_, type, payload, RandomMask(), last);
  watch_->Want(Watch::kRead | Watch::kWrite);
}

void WebSocketClient::OnReady(int events) {
  if (events & Watch::kRead) Read();
  if (!ended_ && (events & Watch::kWrite)) Write();
}

void WebSocketClient::Read() {
  if (ended_) return;
  if (!early_.empty()) Feed(std::exchange(early_, {}));
  char bytes[16384];
  for (int reads = 0; !ended_; ++reads) {
    if (reads == kReadsInATurn) {
      loop_.Post(alive_.Guard([this] { Read(); }));
      break;
    }
    auto read = connection_->Read(bytes, sizeof bytes);
    if (!read) return End(read.error());
    if (!*read) break;
    if (**read == 0) return End(Error{"unreachable", server_ + " has closed the connection"});
    if (!said_goodbye()) silence_.Start(patience_.silence_ms);
    Feed({bytes, **read});
  }
  if (!ended_) handlers_.on_read();
}

void WebSocketClient::Feed(std::string_view bytes) {
  if (auto failure = reader_.Feed(bytes))
    End(Error{"unreachable", server_ + " sent no valid WebSocket: " + failure->reason});
}

void WebSocketClient::OnText(std::string_view message) { handlers_.on_text(message); }

void WebSocketClient::OnPing(std::string_view payload) {
  if (!closing_) AppendOwn(FrameType::kPong, payload);
}

void WebSocketClient::OnClose(uint16_t code, std::string_view reason) {
  std::string message = server_ + " has closed the connection";
  if (!reason.empty()) message.append(": ").append(reason);
  if (code != close_code::kNone) message += " (" + std::to_string(code) + ")";
  const char* error = code == close_code::kTooLong       ? "too_large"
                      : code == close_code::kInvalidText ? "invalid_request"
                                                         : "unreachable";
  End(Error{error, message});
}

void WebSocketClient::Write() {
  while (unsent() > 0) {
    if (sent_ == sending_.size()) {
      sending_ = std::exchange(out_, {});
      sent_ = 0;
    }
    auto taken = connection_->Write(std::string_view(sending_).substr(sent_));
    if (!taken) {
      Read();  // the daemon may have said why before it closed
      return End(taken.error());
    }
    if (*taken == 0) return;
    sent_ += *taken;
  }
  watch_->Want(Watch::kRead);
  if (said_goodbye()) silence_.Start(patience_.goodbye_ms);
  handlers_.on_sent();
}

// A loop that was busy, for example because nobody read stdout, fires this although bytes are waiting.
void WebSocketClient::OnSilence() {
  if (!said_goodbye()) Read();
  if (!silence_.active()) End(Error{"unreachable", server_ + " says nothing"});
}

// After our close frame any end is a good one. Calls on_end in a later turn, because the reader is on the
// stack.
void WebSocketClient::End(Status how) {
  if (std::exchange(ended_, true)) return;
  if (said_goodbye()) how = {};
  silence_.Stop();
  watch_->Want(0);
  loop_.Post(alive_.Guard([this, how = std::move(how)] { handlers_.on_end(how); }));
}

}  // namespace reeve
