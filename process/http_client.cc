#include "process/http_client.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "process/curl.h"
#include "process/handle.h"
#include "process/lifetime.h"
#include "process/loop.h"
#include "process/timer.h"

namespace reeve {

namespace {

// More than the head of any server we have met. The limit exists so that an endless head ends.
constexpr size_t kMaxHeadBytes = size_t{64} << 10;
// The body of a stream: the size of the pieces that are delivered, and the size from which curl has to wait.
constexpr size_t kPieceBytes = size_t{4} << 10;
constexpr size_t kMaxHeldBytes = size_t{64} << 10;
// Idle connections kept for reuse.
constexpr long kMaxIdleConnections = 32;

using Multi = std::unique_ptr<CURLM, CurlFrees<curl_multi_cleanup>>;
using Headers = std::unique_ptr<curl_slist, CurlFrees<curl_slist_free_all>>;

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

std::string_view Trim(std::string_view text) {
  size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1);
}

}  // namespace

std::string_view HttpResponse::Header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (key == name) return value;
  }
  return {};
}

struct HttpClient::State {
  class Transfer;
  struct Poll {
    State* state;
    curl_socket_t socket;
    UvHandle<uv_poll_t> handle;
  };

  explicit State(Loop& on) : loop(on), timer(on, [this] { Act(CURL_SOCKET_TIMEOUT, 0); }) {}

  void Act(curl_socket_t socket, int events);
  void Deliver();
  void ContinueLater(Transfer* transfer);
  void StartLater(Transfer* transfer);
  void Continue();
  void WatchSocket(curl_socket_t socket, int what);

  Loop& loop;
  Timer timer;  // set by curl alone
  std::map<curl_socket_t, std::unique_ptr<Poll>> polls;
  // Transfers that have something to report. curl must not be called from within its callbacks, so the
  // callbacks only record; the user's functions run when curl has returned.
  std::vector<Transfer*> ready;
  std::set<Transfer*> continuing;  // they go on in the next turn of the loop
  std::vector<Transfer*> unstarted;
  bool starts = false;  // the step that starts them was added
  Multi multi;
  Lifetime alive;
};

// One call. curl's callbacks fill it, Deliver empties it.
class HttpClient::State::Transfer : public HttpCall {
 public:
  // The caller's functions. They are shared so that a function that destroys the call can still run to its
  // end.
  struct Sink {
    Stream stream;
    std::function<void(Result<HttpResponse>)> done;  // set: collect the body and report once
    bool cancelled = false;
  };

  Transfer(State& state, HttpRequest request, Sink sink);
  ~Transfer() override;

  void PauseReading(bool paused) override;
  void Start();
  void End(CURLcode code);
  void Deliver();
  void Continue();

 private:
  void SetUp();
  void AddHeader(const std::string& line);
  Error Explain(CURLcode code) const;
  void Ready();
  size_t TakeHeader(std::string_view line);
  size_t TakeBody(std::string_view bytes);
  int AskWhetherToSend();

  State& state_;
  HttpRequest request_;
  std::shared_ptr<Sink> sink_;
  Headers headers_;
  CurlEasy easy_;
  char reason_[CURL_ERROR_SIZE] = "";

  bool ready_ = false;        // this transfer is in state_.ready
  bool paused_ = false;       // by the caller
  bool curl_paused_ = false;  // because enough of the body is held
  bool too_large_ = false;
  std::optional<Error> not_sent_;  // may_send's reason
  size_t head_bytes_ = 0;
  HttpResponse response_;
  bool head_whole_ = false;
  bool head_told_ = false;
  std::string body_;  // collected, or not yet delivered
  std::optional<Status> end_;
};

void HttpClient::State::Act(curl_socket_t socket, int events) {
  int running = 0;
  curl_multi_socket_action(multi.get(), socket, events, &running);
  int left = 0;
  while (CURLMsg* message = curl_multi_info_read(multi.get(), &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    Transfer* transfer = nullptr;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
    transfer->End(message->data.result);
  }
  Deliver();
}

void HttpClient::State::Deliver() {
  while (!ready.empty()) {
    Transfer* transfer = ready.front();
    ready.erase(ready.begin());
    transfer->Deliver();
  }
}

void HttpClient::State::ContinueLater(Transfer* transfer) {
  // A timer of 0 ms that is started by another one may run in the same turn.
  if (continuing.empty()) loop.Post(alive.Guard([this] { Continue(); }));
  continuing.insert(transfer);
}

void HttpClient::State::Continue() {
  const std::set<Transfer*> now = std::exchange(continuing, {});
  for (Transfer* transfer : now) transfer->Continue();
  Deliver();
}

// curl reports which events it wants of a socket that it owns. It asks us to forget a socket before it closes
// it.
void HttpClient::State::WatchSocket(curl_socket_t socket, int what) {
  if (what == CURL_POLL_REMOVE) {
    polls.erase(socket);
    return;
  }
  auto& poll = polls[socket];
  if (!poll) {
    poll = std::make_unique<Poll>();
    poll->state = this;
    poll->socket = socket;
    poll->handle = MakeUvHandle<uv_poll_t>(poll.get(), [this, socket](uv_poll_t* handle) {
      return uv_poll_init_socket(loop.uv(), handle, socket);
    });
    if (!poll->handle) {  // the call will end by its timeout
      polls.erase(socket);
      return;
    }
  }
  int events = ((what & CURL_POLL_IN) ? UV_READABLE : 0) | ((what & CURL_POLL_OUT) ? UV_WRITABLE : 0);
  uv_poll_start(poll->handle.get(), events, [](uv_poll_t* handle, int status, int ready_events) {
    auto* owner = OwnerOf<Poll>(handle);
    if (!owner) return;
    int action = status < 0 ? CURL_CSELECT_ERR : 0;
    if (ready_events & UV_READABLE) action |= CURL_CSELECT_IN;
    if (ready_events & UV_WRITABLE) action |= CURL_CSELECT_OUT;
    owner->state->Act(owner->socket, action);  // may destroy `owner`
  });
}

// The step is added with the first transfer, and so after those of the loop's owner, which put the turn on
// disk.
void HttpClient::State::StartLater(Transfer* transfer) {
  unstarted.push_back(transfer);
  if (std::exchange(starts, true)) return;
  loop.BeforeSleep([this, watched = alive.Watch()] {
    if (watched.expired()) return false;
    for (Transfer* next : std::exchange(unstarted, {})) next->Start();
    return false;
  });
}

HttpClient::State::Transfer::Transfer(State& state, HttpRequest request, Sink sink)
    : state_(state),
      request_(std::move(request)),
      sink_(std::make_shared<Sink>(std::move(sink))),
      easy_(OrAbort(curl_easy_init())) {
  if (auto valid = CheckHeaders(request_); !valid) {
    end_ = valid.error();
    state_.ContinueLater(this);  // reported from the loop, like any other end
    return;
  }
  SetUp();
  state_.StartLater(this);
}

void HttpClient::State::Transfer::Start() { curl_multi_add_handle(state_.multi.get(), easy_.get()); }

HttpClient::State::Transfer::~Transfer() {
  sink_->cancelled = true;
  if (ready_) std::erase(state_.ready, this);
  std::erase(state_.unstarted, this);
  state_.continuing.erase(this);
  curl_multi_remove_handle(state_.multi.get(), easy_.get());
}

void HttpClient::State::Transfer::SetUp() {
  CURL* easy = easy_.get();
  curl_easy_setopt(easy, CURLOPT_PRIVATE, this);
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, reason_);
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  SetServer(easy, request_);
  if (!request_.user.empty()) {
    curl_easy_setopt(easy, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
    curl_easy_setopt(easy, CURLOPT_USERNAME, request_.user.c_str());
    curl_easy_setopt(easy, CURLOPT_PASSWORD, request_.password.c_str());
  }
  curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, static_cast<long>(request_.timeout_ms));

  bool has_type = false;
  for (const auto& [name, value] : request_.headers) {
    has_type |= Lower(name) == "content-type";
    std::string line = name;
    AddHeader(line.append(": ").append(value));
  }
  const std::string& method = request_.method;
  if (method == "HEAD") {
    curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
  } else if (!request_.body.empty() || method == "POST" || method == "PUT" || method == "PATCH") {
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request_.body.c_str());
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request_.body.size()));
    // Suppresses the headers that curl would add by itself: a form's type, and "Expect", which waits a second
    // for "100 Continue".
    if (!has_type) AddHeader("Content-Type:");
    AddHeader("Expect:");
  }
  if (method != "HEAD") curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method.c_str());
  // When a reused connection turns out to be dead, curl sends the request again, although the server may have
  // taken the first one. So requests that must not happen twice never reuse a connection.
  if (method == "POST" || method == "PATCH") curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers_.get());

  curl_easy_setopt(easy, CURLOPT_HEADERDATA, this);
  curl_easy_setopt(
      easy, CURLOPT_HEADERFUNCTION, +[](char* bytes, size_t, size_t size, void* self) {
        return static_cast<Transfer*>(self)->TakeHeader({bytes, size});
      });
  if (request_.may_send) {
    curl_easy_setopt(easy, CURLOPT_PREREQDATA, this);
    curl_easy_setopt(
        easy, CURLOPT_PREREQFUNCTION,
        +[](void* self, char*, char*, int, int) { return static_cast<Transfer*>(self)->AskWhetherToSend(); });
  }
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, this);
  curl_easy_setopt(
      easy, CURLOPT_WRITEFUNCTION, +[](char* bytes, size_t, size_t size, void* self) {
        return static_cast<Transfer*>(self)->TakeBody({bytes, size});
      });
}

void HttpClient::State::Transfer::AddHeader(const std::string& line) {
  headers_.reset(OrAbort(curl_slist_append(headers_.release(), line.c_str())));
}

void HttpClient::State::Transfer::Ready() {
  if (!ready_) state_.ready.push_back(this);
  ready_ = true;
}

// A return value other than line.size() ends the transfer.
size_t HttpClient::State::Transfer::TakeHeader(std::string_view line) {
  head_bytes_ += line.size();
  if (head_bytes_ > kMaxHeadBytes) {
    too_large_ = true;
    return 0;
  }
  if (head_whole_) return line.size();  // a trailer
  std::string_view text = Trim(line);
  if (text.starts_with("HTTP/")) {
    response_ = {};
    long status = 0;
    curl_easy_getinfo(easy_.get(), CURLINFO_RESPONSE_CODE, &status);
    response_.status = static_cast<int>(status);
  } else if (text.empty()) {
    if (response_.status < 200) return line.size();  // 1xx: the final head follows
    head_whole_ = true;
    Ready();
  } else if (size_t colon = text.find(':'); colon != std::string_view::npos) {
    response_.headers.emplace_back(Lower(Trim(text.substr(0, colon))), Trim(text.substr(colon + 1)));
  }
  return line.size();
}

size_t HttpClient::State::Transfer::TakeBody(std::string_view bytes) {
  if (sink_->done && bytes.size() > request_.max_body_bytes - body_.size()) {
    too_large_ = true;
    return 0;
  }
  if (!sink_->done && body_.size() >= kMaxHeldBytes) {
    curl_paused_ = true;
    return CURL_WRITEFUNC_PAUSE;  // curl gives these bytes again
  }
  body_.append(bytes);
  Ready();
  return bytes.size();
}

int HttpClient::State::Transfer::AskWhetherToSend() {
  const Status may = request_.may_send();
  if (may) return CURL_PREREQFUNC_OK;
  not_sent_ = may.error();
  return CURL_PREREQFUNC_ABORT;
}

void HttpClient::State::Transfer::PauseReading(bool paused) {
  if (std::exchange(paused_, paused) && !paused) state_.ContinueLater(this);
}

void HttpClient::State::Transfer::Continue() {
  Ready();
  if (paused_ || body_.size() >= kMaxHeldBytes || !std::exchange(curl_paused_, false)) return;
  curl_easy_pause(easy_.get(), CURLPAUSE_CONT);
}

void HttpClient::State::Transfer::End(CURLcode code) {
  end_ = code == CURLE_OK ? Status() : Status(Explain(code));
  Ready();
}

Error HttpClient::State::Transfer::Explain(CURLcode code) const {
  const std::string who = ServerName(request_);
  if (not_sent_) return {not_sent_->code, who + ": " + not_sent_->message};
  if (too_large_) return {"too_large", who + ": the answer exceeds its size limit"};
  return CurlError(easy_.get(), code, who, reason_);
}

void HttpClient::State::Transfer::Deliver() {
  ready_ = false;
  auto sink = sink_;  // any of the functions may destroy this transfer
  if (sink->done) {
    if (!end_) return;
    if (!end_->ok()) return sink->done(end_->error());
    response_.body = std::move(body_);
    return sink->done(std::move(response_));
  }
  if (head_whole_ && !std::exchange(head_told_, true) && sink->stream.on_head) {
    HttpResponse head = std::move(response_);
    sink->stream.on_head(head);
  }
  if (sink->cancelled || paused_) return;
  const std::string body = std::exchange(body_, {});
  for (size_t at = 0; at < body.size(); at += kPieceBytes) {
    if (paused_) {
      body_ = body.substr(at);
      return;
    }
    if (sink->stream.on_body) sink->stream.on_body(std::string_view(body).substr(at, kPieceBytes));
    if (sink->cancelled) return;
  }
  if (paused_) return;
  if (curl_paused_) return state_.ContinueLater(this);
  if (!end_) return;
  const Status end = *std::exchange(end_, std::nullopt);
  if (sink->stream.on_end) sink->stream.on_end(end);
}

std::string PercentEncode(std::string_view text) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string encoded;
  for (char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '_' || c == '.' || c == '~';
    if (plain) {
      encoded += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      (encoded += '%') += kHex[byte >> 4U];
      encoded += kHex[byte & 15U];
    }
  }
  return encoded;
}

HttpClient::HttpClient(Loop& loop) : state_(std::make_unique<State>(loop)) {
  InitCurl();
  state_->multi.reset(OrAbort(curl_multi_init()));
  CURLM* multi = state_->multi.get();
  curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, kMaxIdleConnections);
  curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, state_.get());
  curl_multi_setopt(
      multi, CURLMOPT_SOCKETFUNCTION, +[](CURL*, curl_socket_t socket, int what, void* state, void*) {
        static_cast<State*>(state)->WatchSocket(socket, what);
        return 0;
      });
  curl_multi_setopt(multi, CURLMOPT_TIMERDATA, state_.get());
  curl_multi_setopt(
      multi, CURLMOPT_TIMERFUNCTION, +[](CURLM*, long delay_ms, void* state) {
        Timer& timer = static_cast<State*>(state)->timer;
        if (delay_ms < 0) {
          timer.Stop();
        } else {
          timer.Start(delay_ms);
        }
        return 0;
      });
}

HttpClient::~HttpClient() = default;

std::unique_ptr<HttpCall> HttpClient::Send(HttpRequest request,
                                           std::function<void(Result<HttpResponse>)> done) {
  State::Transfer::Sink sink;
  sink.done = std::move(done);
  return std::make_unique<State::Transfer>(*state_, std::move(request), std::move(sink));
}

std::unique_ptr<HttpCall> HttpClient::Open(HttpRequest request, Stream stream) {
  State::Transfer::Sink sink;
  sink.stream = std::move(stream);
  return std::make_unique<State::Transfer>(*state_, std::move(request), std::move(sink));
}

}  // namespace reeve
