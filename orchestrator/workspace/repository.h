// Checks what git may be told about a repository: addresses and names of refs must contain nothing that git
// could take for something else. Free functions over text.
#pragma once

#include <string>
#include <string_view>

namespace reeve {

// A spec's `workspace`. Empty `git`: the spec asks for none.
struct WorkspaceSpec {
  std::string git;     // https://host/path, ssh://user@host/path, user@host:path, file:///path
  std::string branch;  // empty: the repository's own branch
  std::string base;    // where a new branch begins: a branch, a tag, a commit; empty: the default
  [[nodiscard]] explicit operator bool() const { return !git.empty(); }
};

// The reason why `url` is refused; nullptr: it is good. An address may contain no credentials
// (gitcredentials(7) has places for them), nothing that git or ssh could take for an option, and no transport
// helper ("ext::…", gitremote-helpers(7)).
const char* WhyNotRepository(std::string_view url);
// The protocol of a good address, as GIT_ALLOW_PROTOCOL names it (git(1)): "https", "ssh", "file", …
std::string_view ProtocolOf(std::string_view url);
// Whether `name` is valid by git-check-ref-format(1), and has no leading '-'.
bool IsRefName(std::string_view name);
// Whether `path` is relative, and none of its parts leads up.
bool IsPathBelow(std::string_view path);

}  // namespace reeve
