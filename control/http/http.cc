#include "control/http/http.h"

#include <algorithm>

#include "control/http/answer_stream.h"
#include "control/http/taken_socket.h"

namespace reeve {

namespace {

char ToLower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// RFC 9110 section 15. The phrase is only for people to read: clients use the number.
std::string_view ReasonPhrase(int status) {
  switch (status) {
    case 101:
      return "Switching Protocols";
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 304:
      return "Not Modified";
    case 308:
      return "Permanent Redirect";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 410:
      return "Gone";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 417:
      return "Expectation Failed";
    case 422:
      return "Unprocessable Content";
    case 426:
      return "Upgrade Required";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Status";
  }
}

// A line break in a value would let its author add headers.
void AppendHeader(std::string& out, std::string_view name, std::string_view value) {
  out.append(name).append(": ");
  for (char c : value) out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? ' ' : c;
  out += "\r\n";
}

}  // namespace

std::string_view Request::Header(std::string_view lower_case_name) const {
  for (const auto& [name, value] : headers) {
    if (name == lower_case_name) return value;
  }
  return {};
}

bool Request::HasHeader(std::string_view lower_case_name) const {
  return std::any_of(headers.begin(), headers.end(),
                     [lower_case_name](const auto& header) { return header.first == lower_case_name; });
}

std::optional<std::string_view> Request::Query(std::string_view name) const {
  for (const auto& [parameter, value] : query) {
    if (parameter == name) return value;
  }
  return std::nullopt;
}

Response Response::Json(int status, std::string body) {
  Response response;
  response.status = status;
  response.headers.emplace_back("Content-Type", "application/json");
  response.body = std::move(body);
  return response;
}

std::string FormatHead(int status, const Headers& headers, std::string_view request_id) {
  const std::pair<std::string_view, std::string_view> standing[] = {
      {"X-Request-Id", request_id},
      {"Cache-Control", "no-store"},
      {"X-Content-Type-Options", "nosniff"},
      {"Referrer-Policy", "no-referrer"},
  };
  std::string head = "HTTP/1.1 " + std::to_string(status) + ' ';
  head.append(ReasonPhrase(status)).append("\r\n");
  for (const auto& [name, value] : headers) AppendHeader(head, name, value);
  for (const auto& [name, value] : standing) {
    bool given = std::any_of(headers.begin(), headers.end(), [wanted = name](const auto& header) {
      return EqualsIgnoringCase(header.first, wanted);
    });
    if (!given) AppendHeader(head, name, value);
  }
  head += "\r\n";
  return head;
}

std::optional<std::string> PercentDecode(std::string_view text) {
  std::string decoded;
  decoded.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded += text[i];
      continue;
    }
    if (text.size() - i < 3) return std::nullopt;
    int high = HexDigit(text[i + 1]);
    int low = HexDigit(text[i + 2]);
    if (high < 0 || low < 0) return std::nullopt;
    decoded += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return decoded;
}

bool EqualsIgnoringCase(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return ToLower(x) == ToLower(y); });
}

Reply& Reply::operator=(Reply&& other) noexcept {
  std::swap(sink_, other.sink_);  // `other` answers this one's request when it is destroyed
  std::swap(headers_, other.headers_);
  return *this;
}

Reply::~Reply() {
  if (!gone()) Send(Response::Problem({"internal", "the request was dropped without an answer"}));
}

void Reply::AddHeader(std::string name, std::string value) {
  headers_.emplace_back(std::move(name), std::move(value));
}

void Reply::Send(Response response) {
  auto sink = std::exchange(sink_, {}).lock();
  if (!sink) return;
  for (auto& header : headers_) response.headers.push_back(std::move(header));
  sink->Answer(std::move(response));
}

void Reply::OnGone(const std::function<void()>& gone) {
  if (auto sink = sink_.lock()) sink->OnGone(gone);
}

std::unique_ptr<AnswerStream> Reply::OpenStream() {
  auto sink = std::exchange(sink_, {}).lock();
  return sink ? sink->OpenStream() : nullptr;
}

TakenSocket Reply::Sink::TakeSocket() { return {}; }

TakenSocket Reply::TakeSocket() {
  auto sink = std::exchange(sink_, {}).lock();
  return sink ? sink->TakeSocket() : TakenSocket{};
}

}  // namespace reeve
