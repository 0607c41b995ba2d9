#include "control/access/tokens.h"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <iterator>
#include <utility>

#include "orchestrator/json/json.h"
#include "process/fd.h"
#include "process/log.h"
#include "process/random.h"
#include "tickets/digest.h"

namespace reeve {

namespace {

using Hash = Digest;

// The words for others than named tokens in `by`.
constexpr std::string_view kAgentPrefix = "agent:";
constexpr std::string_view kReserved[] = {"person", "policy", "deadline", "agent", "daemon"};

bool IsVisible(char c) { return c > 0x20 && c < 0x7f; }

Error Invalid(const std::string& where, const std::string& reason) {
  return {"invalid_request", where + ": " + reason};
}

std::vector<std::string_view> Words(std::string_view line) {
  constexpr std::string_view kSpaces = " \t\r";
  std::vector<std::string_view> words;
  for (size_t at = line.find_first_not_of(kSpaces); at != std::string_view::npos;) {
    size_t end = std::min(line.find_first_of(kSpaces, at), line.size());
    words.push_back(line.substr(at, end - at));
    at = line.find_first_not_of(kSpaces, end);
  }
  return words;
}

std::optional<Scope> ParseScope(std::string_view word) {
  if (word == "view") return Scope::kView;
  if (word == "operate") return Scope::kOperate;
  if (word == "admin") return Scope::kAdmin;
  return std::nullopt;
}

Result<std::string> ReadAll(const std::string& path) {
  const std::string what = "token file " + path;
  Fd file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));  // opening a FIFO must not block the daemon
  struct stat status {};
  if (!file.valid() || fstat(file.get(), &status) != 0) return OsError(what, errno);
  if (!S_ISREG(status.st_mode)) return Invalid(what, "not a regular file");
  if ((status.st_mode & (S_IRGRP | S_IROTH)) != 0) {
    log::Warning("{} can be read by other users: chmod 600 it", what);
  }
  std::string text(Tokens::kMaxFileBytes + 1, '\0');
  size_t size = 0;
  while (size < text.size()) {
    ssize_t got = read(file.get(), text.data() + size, text.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return OsError(what, errno);
    if (got == 0) break;
    size += static_cast<size_t>(got);
  }
  if (size > Tokens::kMaxFileBytes)
    return Invalid(what, "larger than " + std::to_string(Tokens::kMaxFileBytes) + " bytes");
  text.resize(size);
  return text;
}

// Writes a new token to a new file. The file appears whole or not at all. An existing file is left alone.
Status MakeFile(const std::string& path) {
  if (access(path.c_str(), F_OK) == 0) return {};
  const std::string what = "make token file " + path;
  const std::string draft = path + ".new-" + RandomHex(4);
  const std::string text = RandomHex(32) + '\n';
  Fd file(open(draft.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!file.valid()) return OsError(what, errno);
  if (write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
      fsync(file.get()) != 0 || rename(draft.c_str(), path.c_str()) != 0) {
    int reason = errno;
    unlink(draft.c_str());
    return OsError(what, reason);
  }
  return {};
}

}  // namespace

uint64_t Tokens::Token::id() const {
  uint64_t id = 0;
  std::memcpy(&id, hash.data(), sizeof id);
  return std::max<uint64_t>(id, 1);  // 0 means no token
}

Request::Caller Tokens::Token::ToCaller() const {
  Request::Caller caller{scope, id(), agent};
  if (!agent.empty()) {
    caller.by = std::string(kAgentPrefix) + agent;
  } else if (!name.empty()) {
    caller.by = name;
  }
  return caller;
}

Result<Tokens> Tokens::Load(const Source& source) {
  Tokens loaded;
  if (source.file.empty() && !source.variable.empty()) {
    if (Status checked = Check(source.variable, "REEVE_TOKEN"); !checked.ok()) return checked.error();
    loaded.tokens_.push_back({Sha256(source.variable), Scope::kAdmin, {}, {}});
    return loaded;
  }
  loaded.path_ = source.file;
  if (source.file.empty()) {
    loaded.configured_ = false;
    loaded.path_ = source.folder + "/token";
    if (auto made = MakeFile(loaded.path_); !made.ok()) return made.error();
  }
  auto tokens = ReadFile(loaded.path_);
  if (!tokens.ok()) return tokens.error();
  loaded.tokens_ = std::move(*tokens);
  return loaded;
}

Result<std::vector<uint64_t>> Tokens::Reload() {
  std::vector<uint64_t> gone;
  if (path_.empty()) return gone;
  auto tokens = ReadFile(path_);
  if (!tokens.ok()) return tokens.error();
  for (const Token& old : tokens_) {
    bool stays = std::any_of(tokens->begin(), tokens->end(), [&old](const Token& token) {
      return token.hash == old.hash && token.scope >= old.scope;
    });
    if (!stays) gone.push_back(old.id());
  }
  tokens_ = std::move(*tokens);
  return gone;
}

std::optional<Request::Caller> Tokens::Find(std::string_view presented) const {
  Hash hash = Sha256(presented);
  const Token* found = nullptr;
  for (const Token& token : tokens_) {
    if (CRYPTO_memcmp(token.hash.data(), hash.data(), hash.size()) == 0) found = &token;
  }
  auto own = agents_.find(hash);
  if (!found && own != agents_.end()) found = &own->second;
  return found ? std::optional(found->ToCaller()) : std::nullopt;
}

std::optional<Request::Caller> Tokens::FindById(uint64_t id) const {
  for (const Token& token : tokens_) {
    if (token.id() == id) return token.ToCaller();
  }
  Hash first{};  // no hash that begins with the id is smaller
  std::memcpy(first.data(), &id, sizeof id);
  const auto own = agents_.lower_bound(first);
  if (own == agents_.end() || own->second.id() != id) return std::nullopt;
  return own->second.ToCaller();
}

void Tokens::Grant(const std::string& agent, std::string_view token, Scope scope) {
  (void)Revoke(agent);
  const Token own{Sha256(token), scope, agent, {}};
  agents_.insert_or_assign(own.hash, own);
  hash_of_agent_[agent] = own.hash;
}

std::optional<uint64_t> Tokens::Revoke(const std::string& agent) {
  auto known = hash_of_agent_.find(agent);
  if (known == hash_of_agent_.end()) return std::nullopt;
  std::optional<uint64_t> gone;
  if (auto token = agents_.find(known->second); token != agents_.end()) {
    gone = token->second.id();
    agents_.erase(token);
  }
  hash_of_agent_.erase(known);
  return gone;
}

Result<std::vector<Tokens::Token>> Tokens::ReadFile(const std::string& path) {
  auto text = ReadAll(path);
  if (!text.ok()) return text.error();
  auto lines = Parse(*text, path);
  if (!lines.ok()) return lines.error();
  std::vector<Token> tokens;
  for (const Line& line : *lines)
    tokens.push_back({Sha256(line.token), line.scope, {}, std::string(line.name)});
  return tokens;
}

Result<std::string> Tokens::Strongest(std::string_view text, const std::string& path) {
  auto lines = Parse(text, path);
  if (!lines.ok()) return lines.error();
  return std::string(std::max_element(lines->begin(), lines->end(), [](const Line& a, const Line& b) {
                       return a.scope < b.scope;
                     })->token);
}

Result<std::vector<Tokens::Line>> Tokens::Parse(std::string_view text, const std::string& path) {
  std::vector<Line> tokens;
  text = WithoutByteOrderMark(text);
  for (int number = 1; !text.empty(); ++number) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    auto words = Words(line);
    if (words.empty() || words.front().front() == '#') continue;
    std::string where = "token file " + path + " line " + std::to_string(number);
    const std::optional<Scope> scope = ParseScope(words[0]);
    if (scope) words.erase(words.begin());
    const bool swapped = words.size() == 2 && (words[0].size() < kMinLength || ParseScope(words[1]));
    if (words.empty() || words.size() > 2 || swapped)
      return Invalid(where, "expected a token, or view, operate or admin and a token, and perhaps a name");
    if (Status checked = Check(words[0], where); !checked.ok()) return checked.error();
    bool repeated = std::any_of(tokens.begin(), tokens.end(),
                                [&words](const Line& other) { return other.token == words[0]; });
    if (repeated) return Invalid(where, "repeats the token of an earlier line");
    Line read{words[0], scope.value_or(Scope::kAdmin), {}};
    if (words.size() == 2) {
      if (Status checked = CheckName(words[1], where); !checked.ok()) return checked.error();
      read.name = words[1];
    }
    tokens.push_back(read);
  }
  for (const Line& named : tokens) {
    for (const Line& other : tokens) {
      if (named.name.find(other.token) != std::string_view::npos)
        return Invalid("token file " + path, "the name of a token contains a token, which events would show");
    }
  }
  if (tokens.empty()) return Invalid("token file " + path, "it holds no token");
  return tokens;
}

Status Tokens::Check(std::string_view token, const std::string& where) {
  if (token.size() < kMinLength) {
    return Invalid(where, "a token must have at least " + std::to_string(kMinLength) + " characters");
  }
  // Other characters are not possible in an Authorization header.
  if (!std::all_of(token.begin(), token.end(), IsVisible)) {
    return Invalid(where, "a token must consist of printable ASCII characters without spaces");
  }
  return {};
}

// A name must not be taken for another one who acts.
Status Tokens::CheckName(std::string_view name, const std::string& where) {
  if (name.size() > kMaxNameBytes || !std::all_of(name.begin(), name.end(), IsVisible))
    return Invalid(
        where, "a name must have at most " + std::to_string(kMaxNameBytes) + " printable ASCII characters");
  if (name.starts_with(kAgentPrefix) ||
      std::find(std::begin(kReserved), std::end(kReserved), name) != std::end(kReserved))
    return Invalid(where, "the name " + std::string(name) + " is reserved");
  return {};
}

}  // namespace reeve
