#include "control/http/router.h"

#include <algorithm>
#include <utility>

namespace reeve {

namespace {

std::string_view TakeSegment(std::string_view& path) {
  size_t slash = path.find('/');
  std::string_view segment = path.substr(0, slash);
  path = slash == std::string_view::npos ? std::string_view() : path.substr(slash);
  return segment;
}

bool IsParameter(std::string_view segment) { return !segment.empty() && segment.front() == '{'; }

// Whether the percent-encoded `path` matches `pattern`. Fills in the values of the parameters.
bool Matches(std::string_view pattern, std::string_view path, std::vector<std::string>& params) {
  params.clear();
  while (!pattern.empty() && !path.empty()) {
    if (pattern.front() != '/' || path.front() != '/') return false;
    pattern.remove_prefix(1);
    path.remove_prefix(1);
    std::string_view wanted = TakeSegment(pattern);
    auto segment = PercentDecode(TakeSegment(path));
    if (!segment) return false;
    if (!IsParameter(wanted)) {
      if (*segment != wanted) return false;
    } else if (segment->empty()) {
      return false;
    } else {
      params.push_back(std::move(*segment));
    }
  }
  return pattern.empty() && path.empty();
}

}  // namespace

Route& Router::Add(std::string method, std::string pattern, Access access, Handler handler,
                   std::vector<std::string_view> query) {
  return routes_.emplace_back(
      Route{std::move(method), std::move(pattern), access, std::move(handler), std::move(query)});
}

Status Router::CheckQuery(const Route& route, const Request& request) {
  const auto knows = [&route](std::string_view name) {
    return std::find(route.query.begin(), route.query.end(), name) != route.query.end();
  };
  if (knows(kAnyQuery)) return {};
  for (const auto& [name, value] : request.query) {
    if (knows(name)) continue;
    std::string list;
    for (std::string_view known : route.query) list.append(list.empty() ? "" : ", ").append(known);
    return Error{"invalid_request", "unknown query parameter " + name.substr(0, 64) + ": " +
                                        (list.empty() ? "this path takes none" : "this path takes " + list)};
  }
  return {};
}

const Router::Route* Router::Match(Request& request, Response* refusal) const {
  const Route* best = nullptr;
  std::vector<std::string> allowed;
  std::vector<std::string> params;
  for (const Route& route : routes_) {
    if (!Matches(route.pattern, request.path, params)) continue;
    allowed.push_back(route.method);
    bool method_fits = route.method == request.method || (route.method == "GET" && request.method == "HEAD");
    if (!method_fits || (best && params.size() >= request.params.size())) continue;
    best = &route;  // the match with the fewest parameters so far
    request.params = std::move(params);
  }
  if (best) return best;
  if (allowed.empty()) {
    *refusal = Response::Problem({"not_found", "there is nothing at this path"});
    return nullptr;
  }
  if (std::find(allowed.begin(), allowed.end(), "GET") != allowed.end()) allowed.emplace_back("HEAD");
  allowed.emplace_back("OPTIONS");
  std::sort(allowed.begin(), allowed.end());
  allowed.erase(std::unique(allowed.begin(), allowed.end()), allowed.end());
  std::string list;
  for (const auto& method : allowed) list += list.empty() ? method : ", " + method;
  *refusal = Response::Problem({"method_not_allowed", "this path answers " + list});
  refusal->headers.emplace_back("Allow", list);
  return nullptr;
}

}  // namespace reeve
