// Tokens: the bearer tokens that this daemon accepts, each with its scope. Owned by the Daemon; used on the
// loop's thread. Of a token only its SHA-256 is kept, and no message ever holds one.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "control/http/http.h"
#include "process/result.h"

namespace reeve {

class Tokens {
 public:
  static constexpr size_t kMinLength = 16;  // shorter ones can be guessed
  static constexpr size_t kMaxFileBytes = size_t{64} << 10;

  // The first of these that is not empty is used.
  struct Source {
    // Lines `token` (scope admin) or `SCOPE token` with SCOPE view, operate or admin; `#` comments; blank
    // ones.
    std::string file;
    std::string variable;  // the value of REEVE_TOKEN: one token, scope admin
    // The daemon's own folder: its file "token" (0600, 256 bits in hex) is made at the first start.
    std::string folder;
  };
  // Reads files on the spot. Errors name the file, the line and the reason.
  static Result<Tokens> Load(const Source& source);

  // Reads the file again. Gives the ids of the tokens that are no more; on an error everything stays as it
  // was.
  Result<std::vector<uint64_t>> Reload();

  // The caller whose token this is. Takes the same time whether and where among the configured it is found.
  [[nodiscard]] std::optional<Request::Caller> Find(std::string_view presented) const;

  // An agent's own token; one that it had before is void. Revoke gives the id of the one that is no more.
  void Grant(const std::string& agent, std::string_view token, Scope scope);
  std::optional<uint64_t> Revoke(const std::string& agent);

  // Whether somebody chose a token, rather than this daemon making one.
  [[nodiscard]] bool configured() const { return configured_; }

 private:
  struct Token {
    std::array<unsigned char, 32> hash;
    Scope scope;
    std::string agent;  // whose it is; empty: a configured one
    [[nodiscard]] uint64_t id() const;
  };
  Tokens() = default;
  static Result<std::vector<Token>> ReadFile(const std::string& path);
  static Result<std::vector<Token>> Parse(std::string_view text, const std::string& path);
  static Result<Token> MakeToken(std::string_view text, Scope scope, const std::string& where);

  std::vector<Token> tokens_;
  // By their hashes: what the time of a search may tell is of a hash, from which no token follows.
  std::map<std::array<unsigned char, 32>, Token> agents_;
  std::map<std::string, std::array<unsigned char, 32>> hash_of_agent_;
  std::string path_;  // of the file they came from; empty: the environment
  bool configured_ = true;
};

}  // namespace reeve
