// The routes of the dashboard: its bundle, or the plain page in a build without it.
#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "control/api/api.h"
#include "control/dashboard/assets.h"

namespace reeve {

namespace {

std::string_view ContentType(std::string_view name) {
  const std::string_view ending = name.substr(name.rfind('.') + 1);
  if (ending == "html") return "text/html; charset=utf-8";
  if (ending == "js") return "text/javascript; charset=utf-8";
  if (ending == "svg") return "image/svg+xml";
  return "text/css; charset=utf-8";
}

const Asset* FindAsset(const std::vector<Asset>& assets, std::string_view name) {
  for (const Asset& asset : assets) {
    if (asset.name == name) return &asset;
  }
  return nullptr;
}

// The names of the bundle's files contain a hash of their content: "app-3F2A77QX.js".
bool NameHasHash(std::string_view name) {
  constexpr size_t kHash = 8;
  const size_t dash = name.rfind('-');
  if (dash == std::string_view::npos || name.size() < dash + kHash + 2 || name[dash + 1 + kHash] != '.')
    return false;
  return std::ranges::all_of(name.substr(dash + 1, kHash),
                             [](char c) { return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); });
}

// The bundle has its larger files also compressed, as NAME.gz. Weights (RFC 9110 section 12.5.3) are not
// compared: the client gets gzip if it takes it at all.
bool TakesGzip(const Request& request) {
  const std::string_view accepted = request.Header("accept-encoding");
  return accepted.find("gzip") != std::string_view::npos &&
         accepted.find("gzip;q=0,") == std::string_view::npos && !accepted.ends_with("gzip;q=0");
}

// The plain page needs inline styles for <agent-stream>.
constexpr std::string_view kPagePolicy =
    "default-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; frame-ancestors 'none'";
constexpr std::string_view kDashboardPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

Response AssetResponse(const Request& request, const std::vector<Asset>& assets, std::string_view name) {
  const Asset* asset = FindAsset(assets, name);
  if (!asset) return Response::Problem({"not_found", "there is no such asset"});
  const bool bundled = &assets == &DashboardAssets();
  Headers headers = {
      {"Content-Type", std::string(ContentType(name))},
      {"Cache-Control", NameHasHash(name) ? "public, max-age=31536000, immutable" : "no-cache"},
      {"Content-Security-Policy", std::string(bundled ? kDashboardPolicy : kPagePolicy)}};
  if (const Asset* compressed = FindAsset(assets, std::string(name) + ".gz")) {
    headers.emplace_back("Vary", "Accept-Encoding");
    if (TakesGzip(request)) {
      headers.emplace_back("Content-Encoding", "gzip");
      asset = compressed;
    }
  }
  headers.emplace_back("ETag", std::string(asset->etag));
  if (request.Header("if-none-match").find(asset->etag) != std::string_view::npos)
    return {304, std::move(headers), {}};
  return {200, std::move(headers), std::string(asset->bytes)};
}

// A file of the bundle, or of the plain page.
Response NamedAssetResponse(const Request& request, std::string_view name) {
  const bool bundled = FindAsset(DashboardAssets(), name) != nullptr;
  return AssetResponse(request, bundled ? DashboardAssets() : PageAssets(), name);
}

}  // namespace

void AddDashboardRoutes(Router& router, ApiContext&) {
  router.Add("GET", "/", Access::kOpen,
             [](const Request& request, Reply reply) {
               const bool bundled = !DashboardAssets().empty();
               reply.Send(AssetResponse(request, bundled ? DashboardAssets() : PageAssets(), "index.html"));
             },
             {Router::kAnyQuery});
  router.Add("GET", "/plain", Access::kOpen,
             [](const Request& request, Reply reply) {
               reply.Send(AssetResponse(request, PageAssets(), "index.html"));
             },
             {Router::kAnyQuery});
  router.Add(
      "GET", "/assets/{name}", Access::kOpen,
      [](const Request& request, Reply reply) { reply.Send(NamedAssetResponse(request, request.params[0])); },
      {Router::kAnyQuery});
}

}  // namespace reeve
