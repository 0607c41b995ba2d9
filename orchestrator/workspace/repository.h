// What may be said to git about somebody's repository: addresses and names of refs that hold nothing but what
// they seem to. Free functions over text.
#pragma once

#include <string>
#include <string_view>

namespace reeve {

// A spec's `workspace`. Empty `git`: none is asked for.
struct WorkspaceSpec {
  std::string git;     // https://host/path, ssh://user@host/path, user@host:path, file:///path
  std::string branch;  // empty: the repository's own
  std::string base;    // where a branch that is new begins: a branch, a tag, a commit; empty: the default
  [[nodiscard]] explicit operator bool() const { return !git.empty(); }
};

// What is wrong with it; nullptr: nothing. No credentials (gitcredentials(7) has places for them), nothing
// that git or ssh could take for an option, no transport helper ("ext::…", gitremote-helpers(7)).
const char* WhyNotRepository(std::string_view url);
// "https", "ssh", "file", …: as GIT_ALLOW_PROTOCOL names it (git(1)). Of a good one.
std::string_view ProtocolOf(std::string_view url);
// As git-check-ref-format(1) has it, and no leading '-'.
bool IsRefName(std::string_view name);
// Relative, and none of its parts leads up.
bool IsPathBelow(std::string_view path);

}  // namespace reeve
