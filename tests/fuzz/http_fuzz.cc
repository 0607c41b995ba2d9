// Any bytes, cut anyhow, at the HTTP front: the same requests come out however they were cut; each is what
// the parser promises; written out plainly, it is read again as itself, so nothing in it could be framing to
// another reader; and the gate lets none through that has not got the token.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "control/access/auth.h"
#include "control/access/tokens.h"
#include "control/http/http_parser.h"

namespace {

constexpr reeve::HttpParser::Limits kLimits{2000, 3000, 1000};
constexpr reeve::HttpParser::Limits kRoomy{2000, 100'000, 50'000};  // for what was written out again
constexpr std::string_view kToken = "token-0123456789abcdef";

void Demand(bool condition) {
  if (!condition) std::abort();
}

struct Outcome {
  std::vector<reeve::Request> requests;
  std::string refusal;
};

// `seed` decides on the cuts; 0 makes none.
Outcome Parse(std::string_view bytes, uint32_t seed, const reeve::HttpParser::Limits& limits) {
  reeve::HttpParser parser(limits);
  Outcome outcome;
  while (!bytes.empty()) {
    seed = seed * 1664525U + (seed ? 1013904223U : 0U);
    std::string_view piece = bytes.substr(0, seed ? 1 + (seed >> 24) % 40 : bytes.size());
    bytes.remove_prefix(piece.size());
    while (!piece.empty()) {
      size_t used = parser.Feed(piece);
      Demand(used > 0 && used <= piece.size());
      piece.remove_prefix(used);
      parser.TakeExpectation();
      if (parser.state() == reeve::HttpParser::State::kRefused) {
        outcome.refusal = parser.refusal().code;
        return outcome;
      }
      if (parser.state() == reeve::HttpParser::State::kWhole)
        outcome.requests.push_back(parser.Take().request);
    }
  }
  return outcome;
}

bool Has(std::string_view text, std::string_view any) {
  return text.find_first_of(any) != std::string_view::npos;
}
constexpr std::string_view kNever("\r\n\0", 3);

void Check(const reeve::Request& request) {
  constexpr std::string_view kMethods[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};
  Demand(std::find(std::begin(kMethods), std::end(kMethods), request.method) != std::end(kMethods));
  Demand(request.path == "*" || request.path.substr(0, 1) == "/");
  Demand(request.path.size() <= kLimits.target_bytes && request.body.size() <= kLimits.body_bytes);
  Demand(std::all_of(request.path.begin(), request.path.end(), [](char c) { return c > 0x20 && c < 0x7f; }));
  Demand(!Has(request.path, "#?"));
  auto decoded = reeve::PercentDecode(request.path);
  Demand(decoded && decoded->find('\0') == std::string::npos);
  for (const auto& [name, value] : request.query) Demand(!Has(name + value, std::string_view("\0", 1)));
  Demand(request.headers.size() <= reeve::HttpParser::kMaxHeaders);
  auto count = [&request](std::string_view name) {
    return std::count_if(request.headers.begin(), request.headers.end(),
                         [name](const auto& header) { return header.first == name; });
  };
  Demand(count("host") <= 1 && count("content-length") + count("transfer-encoding") <= 1);
  for (const auto& [name, value] : request.headers) {
    Demand(!name.empty() && !Has(name, kNever) && !Has(name, " \t:ABCDEFGHIJKLMNOPQRSTUVWXYZ"));
    Demand(!Has(value, kNever) && (value.empty() || (!Has(value.substr(0, 1), " \t") &&
                                                     !Has(value.substr(value.size() - 1), " \t"))));
  }
}

std::string Encode(std::string_view text) {
  constexpr char kHex[] = "0123456789ABCDEF";
  std::string encoded;
  for (char c : text) {
    auto byte = static_cast<unsigned char>(c);
    encoded.append({'%', kHex[byte >> 4], kHex[byte & 15]});
  }
  return encoded;
}

bool IsFraming(std::string_view name) {
  return name == "content-length" || name == "transfer-encoding" || name == "expect";
}

std::string Write(const reeve::Request& request) {
  std::string text = request.method + ' ' + request.path + '?';
  for (const auto& [name, value] : request.query) text += Encode(name) + '=' + Encode(value) + '&';
  text += request.HasHeader("host") ? " HTTP/1.1\r\n" : " HTTP/1.0\r\n";
  for (const auto& [name, value] : request.headers) {
    if (!IsFraming(name)) text += name + ": " + value + "\r\n";
  }
  if (!request.body.empty()) text += "content-length: " + std::to_string(request.body.size()) + "\r\n";
  return text + "\r\n" + request.body;
}

// All but what IsFraming().
bool Same(const reeve::Request& a, const reeve::Request& b) {
  auto headers = [](const reeve::Request& request) {
    reeve::Headers kept;
    for (const auto& header : request.headers) {
      if (!IsFraming(header.first)) kept.push_back(header);
    }
    return kept;
  };
  return a.method == b.method && a.path == b.path && a.query == b.query && headers(a) == headers(b) &&
         a.body == b.body;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const reeve::Tokens tokens = *reeve::Tokens::Load({{}, std::string(kToken), {}});
  static const reeve::Gate gate(tokens, {{"reeve.example"}, {"https://app.example"}});
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data + 1), size - 1);

  Outcome whole = Parse(bytes, 0, kLimits);
  Outcome cut = Parse(bytes, data[0] + 1U, kLimits);
  Demand(whole.requests.size() == cut.requests.size() && whole.refusal == cut.refusal);

  std::string again;
  for (size_t i = 0; i < whole.requests.size(); ++i) {
    reeve::Request& request = whole.requests[i];
    Demand(Same(request, cut.requests[i]));
    Check(request);
    // An asterisk has no query, but a target of its own.
    if (request.path != "*") {
      Outcome back = Parse(Write(request) + "GET /next HTTP/1.1\r\nhost: a\r\n\r\n", 0, kRoomy);
      Demand(back.requests.size() == 2 && Same(request, back.requests[0]) &&
             back.requests[1].path == "/next");
    }
    (void)gate.CorsHeaders(request);
    bool passed = !gate.Check(request, reeve::Access::kAdmin);
    Demand(!passed || request.method == "OPTIONS" || bytes.find(kToken) != std::string_view::npos);
  }
  return 0;
}
