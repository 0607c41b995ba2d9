#include "control/http/connection.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "control/http/answer_stream.h"
#include "control/http/problem.h"
#include "process/loop.h"

namespace reeve {

// The sink of one request's Reply, which holds it weakly: it is destroyed as soon as the request is answered
// or the connection ends.
class Connection::Exchange : public Reply::Sink {
 public:
  explicit Exchange(Connection& connection) : connection_(connection) {}
  void Answer(Response response) override { connection_.Answer(std::move(response)); }
  std::unique_ptr<AnswerStream> OpenStream() override { return connection_.GiveToStream(); }
  TakenSocket TakeSocket() override { return connection_.GiveSocket(); }
  void OnGone(const std::function<void()>& gone) override {
    gone_ = gone;
    connection_.shared_.moved(connection_);
    if (connection_.hung_up_ || connection_.peer_ended_) connection_.Close();
  }
  [[nodiscard]] bool waits() const { return gone_ != nullptr; }
  // The function for a client that goes now.
  std::function<void()> TakeGone() { return std::exchange(gone_, {}); }

 private:
  Connection& connection_;
  std::function<void()> gone_;
};

namespace {

Error TooMuchHeld(const Server::Limits& limits) {
  return {"too_many_requests", "the requests in progress hold " + std::to_string(limits.held_bytes >> 20) +
                                   " MiB, which is the limit: try again later"};
}

}  // namespace

Connection::Connection(Shared& shared, bool from_unix_socket)
    : shared_(shared), from_unix_socket_(from_unix_socket), parser_(shared.parser) {}

Connection::~Connection() {
  if (unsent_) std::erase(shared_.unsent, this);
}

bool Connection::Open(Fd socket, bool in_reserve) {
  auto watch = Watch::Make(shared_.loop, std::move(socket), [this](int events) { OnReady(events); });
  if (!watch.ok()) return false;
  watch_ = std::move(*watch);
  in_reserve_ = in_reserve;
  Enter(State::kIdle);
  UpdateWatch();
  return true;
}

void Connection::Rejoin(std::unique_ptr<Watch> socket, std::string input) {
  watch_ = std::move(socket);
  watch_->SetReady([this](int events) { OnReady(events); });
  input_ = std::move(input);
  Enter(State::kIdle);
  if (shared_.draining) return Drain();
  Pump();
}

std::unique_ptr<AnswerStream> Connection::GiveToStream() {
  auto socket = std::move(watch_);
  socket->Want(0);
  AnswerStream::GiveBack give_back;
  if (keep_alive_ && !shared_.draining) {
    give_back = [rejoin = shared_.rejoin, from_unix_socket = from_unix_socket_](std::unique_ptr<Watch> back,
                                                                                std::string input) {
      rejoin(std::move(back), std::move(input), from_unix_socket);
    };
  }
  auto stream =
      std::make_unique<AnswerStream>(std::move(socket), !http_1_0_, std::move(input_), std::move(give_back));
  Close();
  return stream;
}

TakenSocket Connection::GiveSocket() {
  TakenSocket taken{std::move(watch_), std::move(input_)};
  taken.socket->Want(0);
  taken.socket->SetReady([](int) {});  // nothing may call this connection any more
  Close();
  return taken;
}

void Connection::OnReady(int events) {
  if ((events & Watch::kWrite) && !unsent_) Flush();
  if (events & Watch::kRead) Receive();
  if (events & Watch::kHangUp) OnHangUp();
  Pump();
}

// The end may be far behind bytes that this connection does not read yet.
void Connection::OnHangUp() {
  if (state_ == State::kClosed) return;
  hung_up_ = true;
  int broken = 0;
  socklen_t size = sizeof broken;
  if (getsockopt(watch_->fd(), SOL_SOCKET, SO_ERROR, &broken, &size) != 0 || broken != 0 || WaitsForLong())
    Close();
}

bool Connection::WaitsForLong() const { return exchange_ && exchange_->waits(); }

bool Connection::Evict(bool urgent) {
  const int64_t since_ms = out_.empty() ? entered_ms_ : progress_ms_;
  const bool stalled = shared_.loop.NowMs() - since_ms >= kStalledMs;
  switch (load()) {
    case Load::kResting:
      if (in_reserve_ && !urgent) return false;
      break;
    case Load::kBusy:
      if (state_ == State::kHandling || (!stalled && !(urgent && state_ == State::kLingering))) return false;
      break;
    case Load::kWaiting:
      return false;
  }
  Close();
  return true;
}

Connection::Load Connection::load() const {
  if (state_ == State::kHandling) return WaitsForLong() ? Load::kWaiting : Load::kBusy;
  const bool rests = out_.empty() && !admitted_ && state_ != State::kLingering;
  return rests ? Load::kResting : Load::kBusy;
}

void Connection::Receive() {
  if (state_ == State::kClosed) return;
  ssize_t got = recv(watch_->fd(), shared_.buffer.data(), shared_.buffer.size(), MSG_DONTWAIT);
  if (got < 0) {
    if (errno != EAGAIN && errno != EINTR) Close();
  } else if (got == 0) {
    peer_ended_ = true;
    if (state_ == State::kLingering || WaitsForLong()) Close();
  } else if (state_ == State::kLingering) {
    lingered_bytes_ += static_cast<size_t>(got);
    if (lingered_bytes_ > kLingerBytes) Close();
  } else if (state_ != State::kClosing) {
    input_.append(shared_.buffer.data(), static_cast<size_t>(got));
  }
}

// Makes all progress that is possible now. Called whenever bytes arrived, bytes were sent, or an answer was
// given.
void Connection::Pump() {
  if (pumping_) return;  // a handler answered at once; the outer call continues
  pumping_ = true;
  bool more = true;
  while (more && out_.empty()) {
    switch (state_) {
      case State::kIdle:
      case State::kReceiving:
        more = TakeInput();
        break;
      case State::kClosing:
        Linger();
        break;
      case State::kHandling:
      case State::kLingering:
      case State::kClosed:
        more = false;
        break;
    }
  }
  pumping_ = false;
  UpdateWatch();
}

// Returns false when nothing can be done before more bytes arrive.
bool Connection::TakeInput() {
  input_.erase(0, parser_.Feed(input_));
  if (input_.empty()) input_.shrink_to_fit();
  if (Request* head = parser_.TakeHead()) {
    if (auto refusal = Admit(*head)) return Decline(std::move(*refusal)), true;
    if (parser_.state() == HttpParser::State::kBody && !input_.empty()) return true;
  }
  if (!Hold()) return Refuse(TooMuchHeld(shared_.limits)), true;
  switch (parser_.state()) {
    case HttpParser::State::kWhole:
      Dispatch();
      return true;
    case HttpParser::State::kRefused:
      Refuse(parser_.refusal());
      return true;
    case HttpParser::State::kEmpty:
      break;
    case HttpParser::State::kHead:
    case HttpParser::State::kBody:
      if (state_ == State::kIdle) Enter(State::kReceiving);
      if (!peer_ended_ && parser_.TakeExpectation()) Send("HTTP/1.1 100 Continue\r\n\r\n");
      break;
  }
  // No whole request is left, and no further one can come or is wanted.
  if (peer_ended_ || (shared_.draining && state_ == State::kIdle)) Close();
  return false;
}

// A refusal, or nothing if the request may be served.
std::optional<Response> Connection::Admit(Request& head) {
  ++shared_.stats.requests;
  request_id_ = shared_.id_prefix + std::to_string(++shared_.last_id);
  head.id = request_id_;
  head.from_unix_socket = from_unix_socket_;
  if (auto refusal = shared_.admit ? shared_.admit(head) : std::nullopt) return refusal;
  if (in_reserve_ && !head.urgent) {
    ++shared_.stats.refused;
    return Response::Problem({"too_many_connections", "too many connections: try again later"});
  }
  known_ = head.caller.has_value();
  operator_ = known_ && head.caller->scope >= Scope::kOperate;
  if (!Hold()) return Response::Problem(TooMuchHeld(shared_.limits));
  admitted_ = true;
  shared_.moved(*this);
  return std::nullopt;
}

// The connection goes on if the refused request has no body.
void Connection::Decline(Response refusal) {
  head_only_ = parser_.head_only();
  keep_alive_ = false;
  if (parser_.state() == HttpParser::State::kWhole) {
    keep_alive_ = parser_.Take().keep_alive && !in_reserve_;
  } else {
    parser_.Forget();
  }
  // Freed after the answer is made: otherwise the answer, which waits for the end of the turn, would lie in
  // the middle of that memory, and each connection would take new memory.
  const std::string dropped = keep_alive_ ? std::string() : std::exchange(input_, {});
  Answer(std::move(refusal));
}

// Counts the bytes that this connection holds. Returns false if all connections together hold too many.
bool Connection::Hold() {
  size_t bytes = parser_.held() + (known_ ? 0 : input_.size() + out_.size());
  if (exchange_) bytes = std::max(bytes, held_bytes_ + kFreeBytes);  // until the answer the body is in use
  bytes = bytes > kFreeBytes ? bytes - kFreeBytes : 0;
  size_t& all = shared_.stats.held_bytes;
  const size_t most = operator_ ? shared_.limits.held_bytes : shared_.limits.held_bytes / 2;
  if (bytes > held_bytes_ && all - held_bytes_ + bytes > most) return false;
  all = all - held_bytes_ + bytes;
  held_bytes_ = bytes;
  return true;
}

void Connection::Dispatch() {
  auto [request, keep_alive] = parser_.Take();
  keep_alive_ = keep_alive && !in_reserve_;
  http_1_0_ = request.http_1_0;
  head_only_ = request.method == "HEAD";
  admitted_ = false;
  Enter(State::kHandling);
  exchange_ = std::make_shared<Exchange>(*this);
  shared_.dispatch(std::move(request), Reply(exchange_));
}

void Connection::Answer(Response response) {
  exchange_.reset();
  bool last = !keep_alive_ || shared_.draining;
  SetRequestId(response, request_id_);
  // RFC 9110 section 8.6: no Content-Length with 1xx and 204, and none with 304, because it would be that of
  // the 200. A HEAD gets the Content-Length of the GET.
  if (response.status >= 200 && response.status != 204 && response.status != 304) {
    response.headers.emplace_back("Content-Length", std::to_string(response.body.size()));
  } else {
    response.body.clear();
  }
  if (last) response.headers.emplace_back("Connection", "close");
  std::string bytes = FormatHead(response.status, response.headers, request_id_);
  if (!head_only_) bytes += response.body;
  admitted_ = false;
  Enter(last ? State::kClosing : State::kIdle);
  Send(std::move(bytes));
  Pump();
}

void Connection::Refuse(const Error& error) {
  ++shared_.stats.refused;
  Response problem = Response::Problem(error);  // `error` may be the parser's
  keep_alive_ = false;
  head_only_ = parser_.head_only();
  const std::string dropped = std::exchange(input_, {});  // as in Decline
  parser_.Forget();
  request_id_ = shared_.id_prefix + std::to_string(++shared_.last_id);
  Answer(std::move(problem));
}

void Connection::Send(std::string bytes) {
  out_ = out_.empty() ? std::move(bytes) : out_ + bytes;  // a "100 Continue" may still be unsent
  progress_ms_ = shared_.loop.NowMs();
  if (!std::exchange(unsent_, true)) shared_.unsent.push_back(this);
  shared_.moved(*this);
}

void Connection::SendAnswer() {
  if (!std::exchange(unsent_, false)) return;  // it was closed meanwhile
  Flush();
  Pump();
}

void Connection::Flush() {
  while (out_sent_ < out_.size()) {
    ssize_t sent =
        send(watch_->fd(), out_.data() + out_sent_, out_.size() - out_sent_, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0) {
      if (errno == EINTR) continue;
      if (errno != EAGAIN) Close();
      return;
    }
    out_sent_ += static_cast<size_t>(sent);
    progress_ms_ = shared_.loop.NowMs();
  }
  out_ = {};
  out_sent_ = 0;
  if (state_ == State::kIdle) {
    Enter(State::kIdle);  // the idle time begins now
  } else if (state_ != State::kClosed) {
    shared_.moved(*this);
  }
}

void Connection::Linger() {
  if (peer_ended_ || shutdown(watch_->fd(), SHUT_WR) != 0) return Close();
  input_ = {};
  Enter(State::kLingering);
}

void Connection::Close() {
  if (state_ == State::kClosed) return;
  state_ = State::kClosed;
  if (std::exchange(unsent_, false)) std::erase(shared_.unsent, this);
  std::function<void()> gone;
  if (auto exchange = std::exchange(exchange_, nullptr)) gone = exchange->TakeGone();
  watch_.reset();
  input_ = {};
  out_ = {};
  out_sent_ = 0;
  shared_.stats.held_bytes -= std::exchange(held_bytes_, 0);
  shared_.closed(*this);
  if (gone) gone();
}

void Connection::Drain() {
  if (state_ == State::kIdle) Receive();
  Pump();
}

void Connection::CheckTime(int64_t now_ms) {
  if (!out_.empty()) {
    if (now_ms - progress_ms_ >= shared_.limits.write_ms) Close();
    return;
  }
  int64_t spent = now_ms - entered_ms_;
  if (state_ == State::kIdle && spent >= shared_.limits.idle_ms) {
    Close();
  } else if (state_ == State::kReceiving && spent >= shared_.limits.request_ms) {
    Refuse({"request_timeout",
            "the request did not arrive within " + std::to_string(shared_.limits.request_ms) + " ms"});
  } else if (state_ == State::kLingering && spent >= kLingerMs) {
    Close();
  }
}

void Connection::Enter(State state) {
  state_ = state;
  entered_ms_ = shared_.loop.NowMs();
  shared_.moved(*this);
}

void Connection::UpdateWatch() {
  if (state_ == State::kClosed) return;
  if (!Hold() && !known_) return Close();  // a client without a token sends on and takes no answers
  bool read = !peer_ended_ && state_ != State::kClosing && input_.size() < kMaxInput;
  watch_->Want((read ? Watch::kRead : 0) | (out_.empty() ? 0 : Watch::kWrite) |
               (hung_up_ || peer_ended_ ? 0 : Watch::kHangUp));
}

}  // namespace reeve
