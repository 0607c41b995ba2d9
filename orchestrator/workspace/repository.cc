#include "orchestrator/workspace/repository.h"

#include <algorithm>

namespace reeve {

namespace {

constexpr size_t kMaxUrlBytes = 2048;
constexpr size_t kMaxRefBytes =
    200;  // as a file name, with refs/remotes/origin/ before it and .lock after it

bool IsControl(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

bool IsHost(std::string_view host) {
  auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '-' || c == '_';
  };
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    return host.find_first_not_of("0123456789abcdefABCDEF:.", 1) == host.size() - 1;
  }
  return !host.empty() && host.front() != '-' && std::all_of(host.begin(), host.end(), fits);
}

bool IsUser(std::string_view user) { return user.find(':') == std::string_view::npos && IsHost(user); }

// host[:port]
bool IsAddress(std::string_view address) {
  const size_t colon = address.rfind(':');
  if (colon == std::string_view::npos || address.back() == ']') return IsHost(address);
  const std::string_view port = address.substr(colon + 1);
  return IsHost(address.substr(0, colon)) && !port.empty() && port.size() <= 5 &&
         port.find_first_not_of("0123456789") == std::string_view::npos;
}

constexpr const char* kShape =
    "must be https://HOST/PATH, ssh://[USER@]HOST/PATH, [USER@]HOST:PATH or file:///PATH";
constexpr const char* kCredentials =
    "must not contain credentials: put them into the daemon's git_credentials file";

const char* WhyNotUrl(std::string_view scheme, std::string_view rest) {
  if (scheme == "file") return rest.size() > 1 && rest[0] == '/' ? nullptr : kShape;
  if (scheme != "https" && scheme != "http" && scheme != "ssh") return kShape;
  const size_t slash = rest.find('/');
  std::string_view address = rest.substr(0, slash);
  if (slash == std::string_view::npos || slash + 1 == rest.size()) return kShape;
  // git takes the last '@' as the end of the user.
  if (const size_t at = address.rfind('@'); at != std::string_view::npos) {
    const std::string_view user = address.substr(0, at);
    if (scheme != "ssh" || user.find(':') != std::string_view::npos) return kCredentials;
    if (!IsUser(user)) return kShape;
    address.remove_prefix(at + 1);
  }
  return IsAddress(address) ? nullptr : kShape;
}

}  // namespace

const char* WhyNotRepository(std::string_view url) {
  if (url.empty() || url.size() > kMaxUrlBytes) return "must be an address of 1 to 2048 bytes";
  if (url.front() == '-' ||
      std::any_of(url.begin(), url.end(), [](char c) { return IsControl(c) || c == ' '; }))
    return "must not begin with '-' or contain spaces or control characters";
  // A query may contain tokens, and no repository needs one.
  if (url.find_first_of("?#") != std::string_view::npos) return "must not have a query or fragment";
  if (const size_t scheme = url.find("://"); scheme != std::string_view::npos)
    return WhyNotUrl(url.substr(0, scheme), url.substr(scheme + 3));
  const size_t colon = url.find(':');
  if (colon == std::string_view::npos || colon + 1 == url.size() || url[colon + 1] == ':' ||
      url[colon + 1] == '-')
    return kShape;
  std::string_view host = url.substr(0, colon);
  if (const size_t at = host.rfind('@'); at != std::string_view::npos) {
    if (!IsUser(host.substr(0, at))) return kShape;
    host.remove_prefix(at + 1);
  }
  return IsHost(host) ? nullptr : kShape;
}

std::string_view ProtocolOf(std::string_view url) {
  const size_t scheme = url.find("://");
  return scheme == std::string_view::npos ? "ssh" : url.substr(0, scheme);
}

bool IsRefName(std::string_view name) {
  if (name.empty() || name.size() > kMaxRefBytes || name == "@" || name == "HEAD" || name.front() == '-' ||
      name.front() == '/' || name.back() == '/' || name.back() == '.')
    return false;
  for (const char* wrong : {"..", "//", "@{", "/.", "/-"}) {
    if (name.find(wrong) != std::string_view::npos) return false;
  }
  if (name.front() == '.' || name.find_first_of(" ~^:?*[\\") != std::string_view::npos) return false;
  if (std::any_of(name.begin(), name.end(), IsControl)) return false;
  for (size_t at = 0; at < name.size();) {
    const size_t end = std::min(name.find('/', at), name.size());
    if (name.substr(at, end - at).ends_with(".lock")) return false;
    at = end + 1;
  }
  return true;
}

bool IsPathBelow(std::string_view path) {
  if (path.empty() || path.front() == '/' || std::any_of(path.begin(), path.end(), IsControl)) return false;
  for (size_t at = 0; at <= path.size();) {
    const size_t end = std::min(path.find('/', at), path.size());
    if (path.substr(at, end - at) == "..") return false;
    at = end + 1;
  }
  return true;
}

}  // namespace reeve
