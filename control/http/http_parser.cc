#include "control/http/http_parser.h"

#include <llhttp.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <string>
#include <utility>

#include "process/handle.h"

namespace reeve {

namespace {

// The methods that the API and CORS use. llhttp also knows those of WebDAV, RTSP and ICE.
constexpr std::string_view kMethods[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsAlnum(char c) { return IsDigit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// RFC 9110 section 5.6.2
bool IsToken(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return IsAlnum(c) || std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
  });
}

bool HasControl(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f; });
}

// A name, an IPv4 address or a bracketed IPv6 address, with an optional port. The gate decides whether the
// host is allowed.
bool IsHost(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return IsAlnum(c) || std::string_view(".-_:[]").find(c) != std::string_view::npos;
  });
}

std::string_view Trim(std::string_view text) {
  constexpr std::string_view kSpaces = " \t";
  size_t begin = text.find_first_not_of(kSpaces);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpaces) - begin + 1);
}

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

// The one spelling of a percent-encoded path: a character that can stand for itself does.
std::string Normalize(std::string_view path) {
  std::string normal;
  for (size_t at = 0; at < path.size(); ++at) {
    const std::string_view escape = path.substr(at, 3);
    if (path[at] != '%' || escape.size() < 3) {
      normal += path[at];
      continue;
    }
    const auto decoded = PercentDecode(escape);
    const char c = decoded ? decoded->front() : '%';
    if (c > 0x20 && c < 0x7f && std::string_view("/%?#").find(c) == std::string_view::npos) {
      normal += c;
    } else {
      for (char digit : escape)
        normal += digit >= 'a' && digit <= 'f' ? static_cast<char>(digit - 'a' + 'A') : digit;
    }
    at += 2;
  }
  return normal;
}

// application/x-www-form-urlencoded, as URLSearchParams writes it. Returns false if it cannot be decoded.
bool ParseQuery(std::string_view text, std::vector<std::pair<std::string, std::string>>& query) {
  while (!text.empty()) {
    std::string pair(text.substr(0, text.find('&')));
    text.remove_prefix(std::min(text.size(), pair.size() + 1));
    if (pair.empty()) continue;
    std::replace(pair.begin(), pair.end(), '+', ' ');
    size_t equals = pair.find('=');
    auto key = PercentDecode(std::string_view(pair).substr(0, equals));
    auto value = PercentDecode(equals == std::string::npos ? "" : std::string_view(pair).substr(equals + 1));
    if (!key || !value) return false;
    if ((*key + *value).find('\0') != std::string::npos) return false;
    query.emplace_back(std::move(*key), std::move(*value));
  }
  return true;
}

// Follows the framing of a chunked body, to find the blanks that RFC 9112 section 7.1.1 allows around the ";"
// and "=" of chunk extensions ("bad" whitespace). llhttp refuses them, so it gets the body without them. It
// still checks everything else.
class ChunkBlanks {
 public:
  // The number of bytes before the next such blank, or all.
  size_t Skip(std::string_view bytes);
  // The blank is taken.
  void TakeBlank() { after_blank_ = true; }
  // A blank stood where none may be.
  [[nodiscard]] bool misplaced() const { return misplaced_; }

 private:
  static constexpr uint64_t kHuge = uint64_t{1} << 40;  // beyond any limit of a body
  static bool IsSeparator(char c) { return c == ';' || c == '='; }
  void TakeOfLine(char c);

  enum class Part { kSizeLine, kData, kTrailers };
  Part part_ = Part::kSizeLine;
  uint64_t size_ = 0;  // of the chunk, while its line arrives
  uint64_t left_ = 0;  // of the chunk and its CR LF
  char last_ = 0;      // of the line, without blanks
  bool in_extension_ = false;
  bool after_blank_ = false;
  bool misplaced_ = false;
};

size_t ChunkBlanks::Skip(std::string_view bytes) {
  size_t at = 0;
  while (at < bytes.size() && part_ != Part::kTrailers && !misplaced_) {
    if (part_ == Part::kData) {
      const auto part = static_cast<size_t>(std::min<uint64_t>(left_, bytes.size() - at));
      left_ -= part;
      at += part;
      if (left_ == 0) part_ = Part::kSizeLine;
      continue;
    }
    const char c = bytes[at];
    if ((c == ' ' || c == '\t') && last_ != 0) return at;
    TakeOfLine(c);
    ++at;
  }
  return misplaced_ ? at : part_ == Part::kTrailers ? bytes.size() : at;
}

void ChunkBlanks::TakeOfLine(char c) {
  misplaced_ = after_blank_ && !IsSeparator(last_) && !IsSeparator(c);
  after_blank_ = false;
  last_ = c;
  if (c == '\n') {
    part_ = size_ == 0 ? Part::kTrailers : Part::kData;
    left_ = size_ + 2;
    size_ = 0;
    last_ = 0;
    in_extension_ = false;
    return;
  }
  const auto digit =
      std::string_view("0123456789abcdef").find(c >= 'A' && c <= 'F' ? static_cast<char>(c + 32) : c);
  in_extension_ = in_extension_ || digit == std::string_view::npos;
  if (!in_extension_) size_ = std::min(16 * size_ + digit, kHuge);
}

}  // namespace

// One request while it arrives.
struct HttpParser::Message {
  explicit Message(const Limits& limits_in);

  size_t TakeHead(std::string_view bytes);
  size_t TakeBody(std::string_view bytes);
  size_t Execute(std::string_view bytes);
  void TakeLine(std::string_view line);
  void TakeRequestLine(std::string_view line);
  void TakeTarget(std::string_view target);
  bool TakeAuthority(std::string_view& target);
  void FinishHead();
  void CheckHeaders();
  void CheckFraming();
  void CheckShareOfBody(size_t sent);
  void RefuseBodySize();
  void Refuse(std::string_view code, std::string message);
  [[nodiscard]] size_t Count(std::string_view name) const;

  // The callbacks of llhttp only record results, refusals included. The caller acts on them after
  // llhttp_execute has returned.
  int OnName(const char* at, size_t size);
  int OnValue(const char* at, size_t size);
  int OnValueEnd();
  int OnHeadersEnd();
  int OnChunkExtension(const char* at, size_t size);
  int OnBody(const char* at, size_t size);
  int OnEnd();
  template <int (Message::*kCallback)(const char*, size_t)>
  static int Data(llhttp_t* parser, const char* at, size_t size) {
    return (OwnerOf<Message>(parser)->*kCallback)(at, size);
  }
  template <int (Message::*kCallback)()>
  static int Mark(llhttp_t* parser) {
    return (OwnerOf<Message>(parser)->*kCallback)();
  }
  static const llhttp_settings_t& Callbacks();

  const Limits& limits;
  llhttp_t llhttp;
  State state = State::kHead;
  Request request;
  Error refusal;

  std::string head;       // the part that has arrived; empty after parsing
  size_t line_begin = 0;  // position in head
  std::string authority;  // of a target in absolute form; takes the place of Host

  // The callbacks record these.
  std::string name, value;  // the header being read
  bool headers_done = false;
  bool whole = false;
  bool keep_alive = false;
  bool expects_continue = false;
  bool head_taken = false;
  uint64_t announced = 0;      // Content-Length
  size_t extension_bytes = 0;  // size of all chunk extensions
  ChunkBlanks blanks;
  const char* feed = nullptr;  // the part of the body that llhttp reads now
  size_t body_sent = 0;        // bytes before `feed`, framing included
};

// Trailers are ignored, as RFC 9110 section 6.5.1 allows.
int HttpParser::Message::OnName(const char* at, size_t size) {
  if (!headers_done) name.append(at, size);
  return HPE_OK;
}

int HttpParser::Message::OnValue(const char* at, size_t size) {
  if (!headers_done) value.append(at, size);
  return HPE_OK;
}

int HttpParser::Message::OnValueEnd() {
  if (!headers_done) request.headers.emplace_back(Lower(name), Trim(value));
  name.clear();
  value.clear();
  return HPE_OK;
}

int HttpParser::Message::OnHeadersEnd() {
  headers_done = true;
  keep_alive = llhttp_should_keep_alive(&llhttp) != 0 && !request.http_1_0;  // HTTP/1.0 needs a header for it
  return HPE_OK;
}

int HttpParser::Message::OnChunkExtension(const char*, size_t size) {
  extension_bytes += size;
  if (extension_bytes <= kMaxChunkExtensions) return HPE_OK;
  Refuse("invalid_request",
         "chunk extensions of more than " + std::to_string(kMaxChunkExtensions) + " bytes");
  return HPE_USER;
}

int HttpParser::Message::OnBody(const char* at, size_t size) {
  CheckShareOfBody(body_sent + static_cast<size_t>(at - feed));
  if (request.body.size() + size > limits.body_bytes) RefuseBodySize();
  if (state == State::kRefused) return HPE_USER;
  request.body.append(at, size);
  return HPE_OK;
}

int HttpParser::Message::OnEnd() {
  whole = true;
  return HPE_PAUSED;  // the bytes that follow belong to the next Message
}

const llhttp_settings_t& HttpParser::Message::Callbacks() {
  static const llhttp_settings_t callbacks = [] {
    llhttp_settings_t made;
    llhttp_settings_init(&made);
    made.on_header_field = &Data<&Message::OnName>;
    made.on_header_value = &Data<&Message::OnValue>;
    made.on_header_value_complete = &Mark<&Message::OnValueEnd>;
    made.on_headers_complete = &Mark<&Message::OnHeadersEnd>;
    made.on_chunk_extension_name = &Data<&Message::OnChunkExtension>;
    made.on_chunk_extension_value = &Data<&Message::OnChunkExtension>;
    made.on_body = &Data<&Message::OnBody>;
    made.on_message_complete = &Mark<&Message::OnEnd>;
    return made;
  }();
  return callbacks;
}

HttpParser::Message::Message(const Limits& limits_in) : limits(limits_in), llhttp() {
  llhttp_init(&llhttp, HTTP_REQUEST, &Callbacks());
  llhttp.data = this;
}

void HttpParser::Message::Refuse(std::string_view code, std::string message) {
  if (state == State::kRefused) return;  // the first reason stays
  state = State::kRefused;
  refusal = {std::string(code), std::move(message)};
}

size_t HttpParser::Message::Count(std::string_view wanted) const {
  return static_cast<size_t>(std::count_if(request.headers.begin(), request.headers.end(),
                                           [wanted](const auto& header) { return header.first == wanted; }));
}

size_t HttpParser::Message::TakeHead(std::string_view bytes) {
  constexpr size_t kMethodAndVersion = 32;  // "OPTIONS " and " HTTP/1.1", with room to name an unknown method
  size_t used = 0;
  while (state == State::kHead && used < bytes.size()) {
    size_t newline = bytes.find('\n', used);
    size_t end = newline == std::string_view::npos ? bytes.size() : newline + 1;
    head.append(bytes.substr(used, end - used));
    used = end;
    size_t line_size = head.size() - line_begin;
    bool request_line = request.method.empty();
    if (request_line && !IsToken(std::string_view(head).substr(line_begin, 1)) && head[line_begin] != '\r') {
      Refuse("invalid_request", "this is not HTTP");  // most likely TLS, whose "line" may never end
    } else if (request_line && line_size > limits.target_bytes + kMethodAndVersion) {
      Refuse("target_too_long",
             "the target is longer than " + std::to_string(limits.target_bytes) + " bytes");
    } else if (head.size() > limits.header_bytes) {
      Refuse("headers_too_large",
             "the head is larger than " + std::to_string(limits.header_bytes) + " bytes");
    } else if (newline != std::string_view::npos) {
      TakeLine(std::string_view(head).substr(line_begin, line_size - 1));
      line_begin = head.size();
    }
  }
  return used;
}

// `line` is without its line feed.
void HttpParser::Message::TakeLine(std::string_view line) {
  if (line.empty() || line.back() != '\r')
    return Refuse("invalid_request", "a line of the head ends without CR LF");
  line.remove_suffix(1);
  if (HasControl(line)) return Refuse("invalid_request", "a control character in the head");
  if (request.method.empty()) {
    // An empty line before a request is skipped (RFC 9112 section 2.2). It does not begin a request.
    if (line.empty()) return head.clear();
    return TakeRequestLine(line);
  }
  if (line.empty()) return FinishHead();
  if (line.front() == ' ' || line.front() == '\t') return Refuse("invalid_request", "a folded header line");
  if (line.front() == ':') Refuse("invalid_request", "a header without a name");
}

void HttpParser::Message::TakeRequestLine(std::string_view line) {
  size_t first = line.find(' ');
  size_t second = first == std::string_view::npos ? first : line.find(' ', first + 1);
  if (second == std::string_view::npos) {
    return Refuse("invalid_request", "the request line is not \"METHOD target HTTP/1.1\"");
  }
  std::string_view method = line.substr(0, first);
  std::string_view target = line.substr(first + 1, second - first - 1);
  std::string_view version = line.substr(second + 1);
  if (!IsToken(method)) return Refuse("invalid_request", "the method is malformed");
  if (version.size() != 8 || version.substr(0, 5) != "HTTP/" || !IsDigit(version[5]) || version[6] != '.' ||
      !IsDigit(version[7])) {
    return Refuse("invalid_request", "the HTTP version is malformed");
  }
  request.http_1_0 = version == "HTTP/1.0";
  if (!request.http_1_0 && version != "HTTP/1.1") {
    return Refuse("http_version", std::string(version) + ": only HTTP/1.1 and HTTP/1.0 are supported");
  }
  if (std::find(std::begin(kMethods), std::end(kMethods), method) == std::end(kMethods)) {
    return Refuse("not_implemented", "unknown method " + std::string(method));
  }
  request.method = method;
  TakeTarget(target);
}

void HttpParser::Message::TakeTarget(std::string_view target) {
  if (target.size() > limits.target_bytes) {
    return Refuse("target_too_long",
                  "the target is longer than " + std::to_string(limits.target_bytes) + " bytes");
  }
  bool asterisk = target == "*" && request.method == "OPTIONS";
  bool relative = !target.empty() && target.front() == '/';
  if (!asterisk && !relative && !TakeAuthority(target)) return;
  bool printable =
      std::all_of(target.begin(), target.end(), [](char c) { return c > 0x20 && c < 0x7f && c != '#'; });
  if (!printable) return Refuse("invalid_request", "a character in the target that must be percent-encoded");
  size_t question = target.find('?');
  request.path = question == 0 || target.empty() ? "/" : target.substr(0, question);
  auto decoded = PercentDecode(request.path);
  if (!decoded || decoded->find('\0') != std::string::npos) {
    return Refuse("invalid_request", "bad percent-encoding in the path");
  }
  request.path = Normalize(request.path);
  if (question != std::string_view::npos && !ParseQuery(target.substr(question + 1), request.query)) {
    Refuse("invalid_request", "bad percent-encoding in the query");
  }
}

// Clients of a proxy send the absolute form, "http://host/path", and a server must accept it (RFC 9112
// section 3.2.2). Removes everything before the path. The rest may be empty or a query.
bool HttpParser::Message::TakeAuthority(std::string_view& target) {
  size_t colon = target.find("://");
  std::string scheme = Lower(target.substr(0, std::min(colon, target.size())));
  if (colon == std::string_view::npos || (scheme != "http" && scheme != "https")) {
    Refuse("invalid_request", "the target must begin with a slash, http:// or https://");
    return false;
  }
  target.remove_prefix(colon + 3);
  size_t end = std::min(target.find_first_of("/?"), target.size());
  authority = target.substr(0, end);
  target.remove_prefix(end);
  if (!IsHost(authority)) Refuse("invalid_request", "the host in the target is malformed");
  return state != State::kRefused;
}

void HttpParser::Message::FinishHead() {
  llhttp_errno_t error = llhttp_execute(&llhttp, head.data(), head.size());
  if (error != HPE_OK && !whole) {
    return Refuse("invalid_request", std::string("malformed: ") + llhttp_get_error_reason(&llhttp));
  }
  // llhttp must see the end of the head where our line check sees it; otherwise the request is an attack.
  if (!headers_done || (whole && llhttp_get_error_pos(&llhttp) != head.data() + head.size())) {
    return Refuse("invalid_request", "the end of the head is ambiguous");
  }
  head = {};
  state = whole ? State::kWhole : State::kBody;
  CheckHeaders();
  CheckFraming();
}

void HttpParser::Message::CheckHeaders() {
  if (request.headers.size() > kMaxHeaders) {
    return Refuse("headers_too_large", "more than " + std::to_string(kMaxHeaders) + " headers");
  }
  // HTTP/1.0 has no Host, and load balancers still probe with it.
  size_t hosts = Count("host");
  if (hosts > 1 || (hosts == 0 && !request.http_1_0))
    return Refuse("invalid_request", "there must be exactly one Host");
  if (hosts == 1 && !IsHost(request.Header("host"))) return Refuse("invalid_request", "Host is malformed");
  if (!authority.empty()) {  // the target's host replaces that of the header (RFC 9112 section 3.3)
    auto host = std::find_if(request.headers.begin(), request.headers.end(),
                             [](const auto& header) { return header.first == "host"; });
    if (host == request.headers.end()) host = request.headers.emplace(host, "host", "");
    host->second = authority;
  }
  if (!request.HasHeader("expect") || request.http_1_0) return;
  if (!EqualsIgnoringCase(request.Header("expect"), "100-continue")) {
    return Refuse("expectation_failed", "Expect can only be 100-continue");
  }
  expects_continue = state == State::kBody;
}

// RFC 9112 section 6 without its leniencies: each of them enables some kind of request smuggling.
void HttpParser::Message::CheckFraming() {
  if (request.HasHeader("transfer-encoding")) {
    if (request.http_1_0) return Refuse("invalid_request", "Transfer-Encoding needs HTTP/1.1");
    if (request.HasHeader("content-length")) {
      return Refuse("invalid_request", "Transfer-Encoding and Content-Length exclude each other");
    }
    if (Count("transfer-encoding") > 1 ||
        !EqualsIgnoringCase(request.Header("transfer-encoding"), "chunked")) {
      return Refuse("invalid_request", "Transfer-Encoding can only be chunked");
    }
  }
  if (!request.HasHeader("content-length")) return;
  std::string_view text = request.Header("content-length");
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), announced);
  if (Count("content-length") > 1 || error != std::errc() || end != text.data() + text.size()) {
    return Refuse("invalid_request", "Content-Length is malformed");
  }
  if (announced > limits.body_bytes) return RefuseBodySize();
}

size_t HttpParser::Message::TakeBody(std::string_view bytes) {
  if (!request.HasHeader("transfer-encoding")) return Execute(bytes);
  size_t used = 0;
  while (used < bytes.size() && state == State::kBody) {
    const std::string_view rest = bytes.substr(used);
    const size_t part = blanks.Skip(rest);
    if (blanks.misplaced()) {
      Refuse("invalid_request", "a blank in the size of a chunk");
      return bytes.size();
    } else if (part > 0) {
      used += Execute(rest.substr(0, part));
    } else {
      blanks.TakeBlank();
      (void)OnChunkExtension(nullptr, 1);
      ++used;
    }
  }
  return used;
}

size_t HttpParser::Message::Execute(std::string_view bytes) {
  feed = bytes.data();
  llhttp_errno_t error = llhttp_execute(&llhttp, bytes.data(), bytes.size());
  size_t used = whole ? static_cast<size_t>(llhttp_get_error_pos(&llhttp) - feed) : bytes.size();
  body_sent += used;
  CheckShareOfBody(body_sent);
  if (error != HPE_OK && !whole && state != State::kRefused) {  // not one of our own checks
    Refuse("invalid_request", std::string("malformed body: ") + llhttp_get_error_reason(&llhttp));
  }
  if (state != State::kRefused && whole) state = State::kWhole;
  return used;
}

// `sent` bytes carried request.body. A chunk of one byte needs five more bytes. A request that needs more
// framing than that contains "000…01" or endless trailers, which llhttp would read for ever.
void HttpParser::Message::CheckShareOfBody(size_t sent) {
  if (sent <= limits.header_bytes + 8 * request.body.size()) return;
  Refuse("invalid_request", "the body is nearly all framing");
}

void HttpParser::Message::RefuseBodySize() {
  Refuse("too_large", "the body is larger than " + std::to_string(limits.body_bytes) + " bytes");
}

HttpParser::HttpParser(const Limits& limits) : limits_(limits) {}
HttpParser::~HttpParser() = default;

size_t HttpParser::Feed(std::string_view bytes) {
  if (!message_ && !bytes.empty()) message_ = std::make_unique<Message>(limits_);
  if (state() == State::kBody) return bytes.empty() ? 0 : message_->TakeBody(bytes);
  if (state() != State::kHead) return 0;
  const size_t used = message_->TakeHead(bytes);
  if (state() == State::kHead && message_->head.empty()) message_.reset();  // there were only empty lines
  return used;
}

Request* HttpParser::TakeHead() {
  if (state() != State::kBody && state() != State::kWhole) return nullptr;
  return std::exchange(message_->head_taken, true) ? nullptr : &message_->request;
}

size_t HttpParser::held() const {
  if (!message_) return 0;
  return message_->head.size() +
         std::max(message_->request.body.size(), static_cast<size_t>(message_->announced));
}

void HttpParser::Forget() { message_.reset(); }

bool HttpParser::head_only() const { return message_ && message_->request.method == "HEAD"; }

HttpParser::State HttpParser::state() const { return message_ ? message_->state : State::kEmpty; }

bool HttpParser::TakeExpectation() {
  return state() == State::kBody && std::exchange(message_->expects_continue, false);
}

HttpParser::Taken HttpParser::Take() {
  auto message = std::move(message_);
  return {std::move(message->request), message->keep_alive};
}

const Error& HttpParser::refusal() const { return message_->refusal; }

}  // namespace reeve
