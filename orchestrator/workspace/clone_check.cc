#include "orchestrator/workspace/clone_check.h"

#include <filesystem>
#include <string_view>
#include <system_error>

namespace reeve {

namespace {

namespace fs = std::filesystem;

Error LeadsElsewhere(const fs::path& path) {
  return {"workspace_failed", path.string() + " leads out of the clone, so nothing is saved there"};
}

// Objects may have several names, as clones on one disk share them; a reflog, to which git appends, may not.
Status CheckTree(const fs::path& folder, bool shared) {
  std::error_code error;
  const fs::file_status top = fs::symlink_status(folder, error);
  if (top.type() == fs::file_type::not_found) return {};
  if (!fs::is_directory(top)) return LeadsElsewhere(folder);
  for (fs::recursive_directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    const fs::file_status status = at->symlink_status(error);
    const bool file = fs::is_regular_file(status) && (shared || at->hard_link_count(error) == 1);
    if (!file && !fs::is_directory(status)) return LeadsElsewhere(at->path());
  }
  if (error) return Error{"workspace_failed", folder.string() + ": " + error.message()};
  return {};
}

}  // namespace

Status CheckConfined(const std::string& clone) {
  const fs::path git = fs::path(clone) / ".git";
  std::error_code error;
  if (!fs::is_directory(fs::symlink_status(git, error))) return LeadsElsewhere(git);
  // gitrepository-layout(5): refs and objects are then in another folder.
  if (fs::symlink_status(git / "commondir", error).type() != fs::file_type::not_found)
    return LeadsElsewhere(git / "commondir");
  for (const char* folder : {"objects", "refs", "logs"}) {
    const bool shared = std::string_view(folder) == "objects";
    if (Status checked = CheckTree(git / folder, shared); !checked) return checked;
  }
  return {};
}

}  // namespace reeve
