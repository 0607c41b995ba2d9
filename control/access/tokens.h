// Tokens: the bearer tokens that this daemon accepts, each with its scope. Owned by the Daemon; used on the
// loop's thread. It keeps only the SHA-256 of a token, and no message ever contains a token.
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
  static constexpr size_t kMaxNameBytes = 64;
  static constexpr size_t kMaxFileBytes = size_t{64} << 10;

  // The first source that is not empty is used.
  struct Source {
    // Each line is `[SCOPE] TOKEN [NAME]`, where SCOPE is view, operate or admin (admin if absent) and NAME
    // stands for the token in events. Comments that begin with `#`, blank lines and a byte order mark are
    // ignored.
    std::string file;
    std::string variable;  // the value of REEVE_TOKEN: one token, scope admin
    // The daemon's own folder: its file "token" (0600, 256 bits in hex) is made at the first start.
    std::string folder;
  };
  // Reads the files at once (blocks). Errors name the file, the line and the reason.
  static Result<Tokens> Load(const Source& source);

  // For a caller: the token of the largest scope in such a file's text, the first of several. Errors as Load.
  static Result<std::string> Strongest(std::string_view text, const std::string& path);

  // Reads the file again. Returns the ids of the tokens that are no longer valid. On an error nothing
  // changes.
  Result<std::vector<uint64_t>> Reload();

  // The caller to whom the token belongs. The time does not depend on whether, and where among the configured
  // tokens, it is found.
  [[nodiscard]] std::optional<Request::Caller> Find(std::string_view presented) const;

  // The caller of the valid token with that id.
  [[nodiscard]] std::optional<Request::Caller> FindById(uint64_t id) const;

  // Sets an agent's own token; an earlier one becomes void. Revoke returns the id of the token that became
  // void.
  void Grant(const std::string& agent, std::string_view token, Scope scope);
  std::optional<uint64_t> Revoke(const std::string& agent);

  // Whether a person chose a token, as opposed to the daemon generating one.
  [[nodiscard]] bool configured() const { return configured_; }

 private:
  struct Token {
    std::array<unsigned char, 32> hash;
    Scope scope;
    std::string agent;  // the agent that owns it; empty: a configured token
    std::string name;   // empty: it has none
    [[nodiscard]] uint64_t id() const;
    [[nodiscard]] Request::Caller ToCaller() const;
  };
  Tokens() = default;
  static Result<std::vector<Token>> ReadFile(const std::string& path);
  struct Line {
    std::string_view token;
    Scope scope;
    std::string_view name;
  };
  static Result<std::vector<Line>> Parse(std::string_view text, const std::string& path);
  static Status Check(std::string_view token, const std::string& where);
  static Status CheckName(std::string_view name, const std::string& where);

  std::vector<Token> tokens_;
  // By hash. The time of a search can reveal something about a hash, but no token follows from a hash.
  std::map<std::array<unsigned char, 32>, Token> agents_;
  std::map<std::string, std::array<unsigned char, 32>> hash_of_agent_;
  std::string path_;  // the file of the tokens; empty: they came from the environment
  bool configured_ = true;
};

}  // namespace reeve
