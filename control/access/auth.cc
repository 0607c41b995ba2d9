#include "control/access/auth.h"

#include <arpa/inet.h>

#include <algorithm>
#include <utility>

#include "control/access/idempotency.h"
#include "control/access/tokens.h"
#include "tickets/ticket_store.h"

namespace reeve {

namespace {

// The host of a Host header without its port and without IPv6 brackets. Empty if the header is malformed.
std::string_view HostName(std::string_view authority) {
  std::string_view name = authority;
  std::string_view port;
  if (!authority.empty() && authority.front() == '[') {
    size_t bracket = authority.find(']');
    if (bracket == std::string_view::npos) return {};
    name = authority.substr(1, bracket - 1);
    port = authority.substr(bracket + 1);
  } else if (size_t colon = authority.find(':'); colon != std::string_view::npos) {
    name = authority.substr(0, colon);
    port = authority.substr(colon);
  }
  if (!port.empty() && port.front() != ':') return {};
  if (port.find_first_not_of("0123456789", 1) != std::string_view::npos) return {};
  return name;
}

bool IsAddress(std::string_view name) {
  unsigned char address[sizeof(in6_addr)];
  std::string text(name);
  return inet_pton(AF_INET, text.c_str(), address) == 1 || inet_pton(AF_INET6, text.c_str(), address) == 1;
}

// With https, "example.com:443" is the same as "example.com", which is how browsers write it.
std::string_view WithoutDefaultPort(std::string_view authority, std::string_view port) {
  bool ends = authority.size() > port.size() && authority.substr(authority.size() - port.size()) == port;
  return ends ? authority.substr(0, authority.size() - port.size()) : authority;
}

// Whether the page of `origin` came from the host and port that this request goes to. The scheme is not
// compared, because we cannot know which one a TLS proxy before us uses.
bool IsOwnOrigin(std::string_view origin, std::string_view host) {
  for (auto [scheme, port] : {std::pair{"http://", ":80"}, std::pair{"https://", ":443"}}) {
    std::string_view prefix = scheme;
    if (origin.substr(0, prefix.size()) != prefix) continue;
    std::string_view authority = WithoutDefaultPort(origin.substr(prefix.size()), port);
    return !authority.empty() && EqualsIgnoringCase(authority, WithoutDefaultPort(host, port));
  }
  return false;
}

size_t Count(const Request& request, std::string_view name) {
  return static_cast<size_t>(std::count_if(request.headers.begin(), request.headers.end(),
                                           [name](const auto& header) { return header.first == name; }));
}

bool HasBody(const Request& request) {
  return request.HasHeader("transfer-encoding") ||
         request.Header("content-length").find_first_not_of('0') != std::string_view::npos;
}

// Whether the request has a bearer token, and its text; the text is empty if there are several. Basic
// credentials, which belong to a proxy, are ignored.
struct Bearer {
  bool present = false;
  std::string_view token;
};
Bearer BearerOf(const Request& request) {
  constexpr std::string_view kScheme = "bearer";
  Bearer bearer;
  for (const auto& [name, value] : request.headers) {
    std::string_view text = value;
    if (name != "authorization" || !EqualsIgnoringCase(text.substr(0, text.find(' ')), kScheme)) continue;
    text.remove_prefix(kScheme.size());
    text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
    bearer.token = bearer.present ? std::string_view() : text;
    bearer.present = true;
  }
  return bearer;
}

// The answer is the same for every reason, so that it helps nobody to guess a token.
Response Unauthorized() {
  Response response = Response::Problem({"unauthorized", {}});
  response.headers.emplace_back("WWW-Authenticate", "Bearer");
  return response;
}

std::optional<Scope> Needed(Access access) {
  switch (access) {
    case Access::kOpen:
      return std::nullopt;
    case Access::kView:
      return Scope::kView;
    case Access::kOperate:
      return Scope::kOperate;
    case Access::kAdmin:
      return Scope::kAdmin;
  }
  return Scope::kAdmin;
}

// The answer to a preflight: https://fetch.spec.whatwg.org/#cors-preflight-fetch.
Response AnswerOptions(const Request& request, bool cors) {
  constexpr const char* kMethods = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
  Response response{204, {}, {}};
  response.headers.emplace_back("Allow", kMethods);
  if (!cors) return response;
  response.headers.emplace_back("Access-Control-Allow-Methods", kMethods);
  response.headers.emplace_back("Access-Control-Allow-Headers",
                                "authorization, content-type, idempotency-key, last-event-id, mcp-method, "
                                "mcp-name, mcp-protocol-version, mcp-session-id");
  response.headers.emplace_back("Access-Control-Max-Age", "600");
  // https://wicg.github.io/private-network-access/#cors-preflight: a public page may reach a private address
  // only if that agrees.
  if (EqualsIgnoringCase(request.Header("access-control-request-private-network"), "true"))
    response.headers.emplace_back("Access-Control-Allow-Private-Network", "true");
  return response;
}

}  // namespace

const char* ScopeName(Scope scope) {
  switch (scope) {
    case Scope::kView:
      return "view";
    case Scope::kOperate:
      return "operate";
    case Scope::kAdmin:
      return "admin";
  }
  return "";
}

Scope ScopeOf(TicketMode mode) {
  switch (mode) {
    case TicketMode::kView:
      return Scope::kView;
    case TicketMode::kOperate:
      return Scope::kOperate;
    case TicketMode::kTerminal:
      return Scope::kAdmin;
  }
  return Scope::kAdmin;
}

TicketMode ModeOf(Scope scope) {
  switch (scope) {
    case Scope::kView:
      return TicketMode::kView;
    case Scope::kOperate:
      return TicketMode::kOperate;
    case Scope::kAdmin:
      return TicketMode::kTerminal;
  }
  return TicketMode::kView;
}

Gate::Gate(const Tokens& tokens, Names names) : tokens_(tokens) { SetNames(std::move(names)); }

void Gate::SetNames(Names names) {
  names_ = std::move(names);
  for (auto& origin : names_.origins) {
    while (!origin.empty() && origin.back() == '/')
      origin.pop_back();  // a copied address often ends in a slash
  }
}

std::optional<Response> Gate::Check(Request& request, Access access) const {
  if (auto error = CheckHost(request)) return Response::Problem(*error);
  if (auto error = CheckOrigin(request)) return Response::Problem(*error);
  if (request.method == "OPTIONS") return std::nullopt;  // a preflight carries no token

  auto needed = Needed(access);
  Bearer bearer = BearerOf(request);
  if (bearer.present || needed) {
    request.caller = tokens_.Find(bearer.token);
    if (!request.caller) return Unauthorized();
  }
  if (!needed) return std::nullopt;
  const Status allowed = CheckScope(access, request.caller->scope);
  return allowed ? std::nullopt : std::optional(Response::Problem(allowed.error()));
}

Status CheckScope(Access access, Scope scope) {
  const auto needed = Needed(access);
  if (!needed || scope >= *needed) return {};
  return Error{"forbidden", std::string("this needs a token of scope ") + ScopeName(*needed) +
                                "; yours has scope " + ScopeName(scope)};
}

std::optional<Request::Caller> Gate::CallerOf(uint64_t token) const { return tokens_.FindById(token); }

// Protects against DNS rebinding: a page of evil.example whose name now points to us still sends "Host:
// evil.example".
std::optional<Error> Gate::CheckHost(const Request& request) const {
  if (request.from_unix_socket) return std::nullopt;
  if (!request.HasHeader("host")) return std::nullopt;  // HTTP/1.0: a probe, and no browser
  std::string_view name = HostName(request.Header("host"));
  if (IsAddress(name)) return std::nullopt;
  if (!name.empty() && name.back() == '.') name.remove_suffix(1);
  bool known = EqualsIgnoringCase(name, "localhost") ||
               std::any_of(names_.hosts.begin(), names_.hosts.end(),
                           [name](const std::string& host) { return EqualsIgnoringCase(host, name); });
  if (known && !name.empty()) return std::nullopt;
  return Error{"forbidden",
               "Host " + std::string(name) +
                   " is not a name of this server. A proxy must pass on the Host that the browser "
                   "sent, and allowed_hosts must contain it"};
}

// Browsers send Origin with everything but plain navigation. A foreign page can neither omit nor forge it.
std::optional<Error> Gate::CheckOrigin(const Request& request) const {
  if (!request.HasHeader("origin")) return std::nullopt;
  std::string_view origin = request.Header("origin");
  if (Count(request, "origin") == 1 &&
      (IsAllowedOrigin(origin) || IsOwnOrigin(origin, request.Header("host")))) {
    return std::nullopt;
  }
  return Error{"forbidden", "Origin " + std::string(origin) + " may not use this server, which was called " +
                                std::string(request.Header("host")) +
                                ". A proxy must pass on the Host that the browser sent; pages of other sites "
                                "need an entry in allowed_origins"};
}

bool Gate::IsAllowedOrigin(std::string_view origin) const {
  if (origin == "null") return false;  // sandboxed frames and local files of any author
  return std::any_of(names_.origins.begin(), names_.origins.end(),
                     [origin](const std::string& allowed) { return EqualsIgnoringCase(allowed, origin); });
}

Headers Gate::CorsHeaders(const Request& request) const {
  std::string_view origin = request.Header("origin");
  if (origin.empty() || Count(request, "origin") != 1 || !IsAllowedOrigin(origin)) return {};
  return {
      {"Access-Control-Allow-Origin", std::string(origin)},
      {"Access-Control-Allow-Credentials", "true"},  // EventSource({withCredentials}) sends the resume cookie
      {"Access-Control-Expose-Headers", "X-Request-Id, Retry-After, Mcp-Session-Id"},
      {"Vary", "Origin"}};
}

namespace {

// Finds the route of a path with or without the prefix. Removes the prefix from the path if that finds one.
const Router::Route* FindRoute(const Router& router, const std::string& base_path, Request& request,
                               Response* refusal) {
  const Router::Route* route = router.Match(request, refusal);
  if (route || base_path.empty() || request.path.compare(0, base_path.size(), base_path) != 0) return route;
  const std::string rest = request.path.substr(base_path.size());
  if (rest.empty()) {  // the page's own links are relative to the slash
    *refusal = Response{308, {{"Location", base_path + "/"}}, ""};
  } else if (rest.front() == '/') {
    request.path = rest;
    return router.Match(request, refusal);
  }
  return nullptr;
}

}  // namespace

namespace {

// The refusal of a request whose head is whole, or the answer to a preflight. Otherwise fills in the route.
std::optional<Response> Refusal(const Gate& gate, const Router& router, const std::string& base_path,
                                Request& request, bool cors) {
  Response refusal;
  const Route* route = FindRoute(router, base_path, request, &refusal);
  if (auto refused = gate.Check(request, route ? route->access : Access::kOpen)) return refused;
  if (request.method == "OPTIONS") return AnswerOptions(request, cors);
  if (!route) return refusal;
  if (Status known = Router::CheckQuery(*route, request); !known) return Response::Problem(known.error());
  if (!request.caller && HasBody(request))
    return Response::Problem({"too_large", "a request without a token may have no body"});
  request.route = route;
  request.urgent = route->probe || (request.caller && request.caller->scope >= Scope::kOperate);
  return std::nullopt;
}

}  // namespace

Server::Admit Admission(const Gate& gate, const Router& router, std::string base_path) {
  return [&gate, &router, base_path = std::move(base_path)](Request& head) {
    const Headers cors = gate.CorsHeaders(head);
    auto refusal = Refusal(gate, router, base_path, head, !cors.empty());
    if (refusal) refusal->headers.insert(refusal->headers.end(), cors.begin(), cors.end());
    return refusal;
  };
}

Server::Dispatch Dispatching(const Gate& gate, Idempotency& idempotency) {
  return [&gate, &idempotency](Request request, Reply reply) {
    for (const auto& [name, value] : gate.CorsHeaders(request)) reply.AddHeader(name, value);
    const Handler& handler = request.route->handler;
    if (Idempotency::Concerns(request)) {
      return idempotency.Handle(std::move(request), std::move(reply), handler);
    }
    handler(request, std::move(reply));
  };
}

}  // namespace reeve
