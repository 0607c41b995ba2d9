#include "orchestrator/workspace/agent_repository.h"

#include <fcntl.h>
#include <unistd.h>

#include <filesystem>
#include <optional>
#include <system_error>

#include "process/regular_file.h"

namespace reeve {

namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxPathFile = 8'192;  // of a file that holds one path

fs::file_type TypeOf(const fs::path& path) {
  std::error_code error;
  return fs::symlink_status(path, error).type();
}

Error Elsewhere(const fs::path& path) {
  return {"changes_unavailable", path.string() + " leads out of the repository"};
}

// The path of `path` from `folder`; nothing if it is not within. Both have neither links nor dots.
std::optional<std::string> Below(const fs::path& path, const fs::path& folder) {
  const fs::path below = path.lexically_relative(folder);
  if (below.empty() || *below.begin() == "..") return std::nullopt;
  return below == "." ? std::string() : below.string();
}

// The path in a file such as .git or commondir, after `prefix`, without links; nothing if there is none.
std::optional<fs::path> PathIn(const fs::path& file, const std::string& prefix) {
  auto opened = OpenRegularFile(file.string(), O_RDONLY | O_NOFOLLOW);
  if (!opened) return std::nullopt;
  std::string text(kMaxPathFile, '\0');
  const ssize_t size = ::read(opened->get(), text.data(), text.size());
  if (size <= 0) return std::nullopt;
  text.resize(static_cast<size_t>(size));
  if (text.ends_with('\n')) text.pop_back();
  if (!text.starts_with(prefix)) return std::nullopt;
  std::error_code error;
  const fs::path path = fs::canonical(file.parent_path() / text.substr(prefix.size()), error);
  return error ? std::nullopt : std::optional(path);
}

// git-worktree(1): .git is a file that names a folder in "worktrees" of the repository, and that folder names
// .git. Only who may write into the repository can make it so.
Status ReadWorktree(AgentRepository& found) {
  const fs::path link = fs::path(found.top) / ".git";
  const auto git_dir = PathIn(link, "gitdir: ");
  if (!git_dir) return Elsewhere(link);
  const auto back = PathIn(*git_dir / "gitdir", "");
  const auto common = PathIn(*git_dir / "commondir", "");
  if (!back || *back != link || !common || git_dir->parent_path() != *common / "worktrees")
    return Elsewhere(link);
  found.git_dir = *git_dir;
  found.common = *common;
  return {};
}

// Refs that are links would show the commits of a repository that the agent cannot read.
Status CheckRefs(const AgentRepository& found) {
  const fs::path common = found.common;
  if (TypeOf(fs::path(found.git_dir) / "HEAD") != fs::file_type::regular)
    return Elsewhere(fs::path(found.git_dir) / "HEAD");
  if (found.git_dir == found.common && TypeOf(common / "commondir") != fs::file_type::not_found)
    return Elsewhere(common / "commondir");
  for (const char* folder : {"objects", "refs"}) {
    if (TypeOf(common / folder) != fs::file_type::directory) return Elsewhere(common / folder);
  }
  for (const char* file : {"packed-refs", "reftable"}) {
    if (TypeOf(common / file) == fs::file_type::symlink) return Elsewhere(common / file);
  }
  std::error_code error;
  for (fs::recursive_directory_iterator at(common / "refs", error), end; !error && at != end;
       at.increment(error)) {
    if (fs::is_symlink(at->symlink_status(error))) return Elsewhere(at->path());
  }
  if (error) return Error{"changes_unavailable", (common / "refs").string() + ": " + error.message()};
  return {};
}

Status SetPathspec(AgentRepository& found, const fs::path& folder, const std::string& data,
                   const std::string& own) {
  std::error_code error;
  const fs::path real_data = fs::canonical(data, error);
  if (error) return Error{"changes_unavailable", data + ": " + error.message()};
  const fs::path real_own = fs::canonical(own, error);  // an error: there is none
  if (Below(folder, real_data) && (error || !Below(folder, real_own)))
    return Error{"changes_unavailable", "the agent's folder is in the daemon's data folder"};
  const std::string below = *Below(folder, found.top);
  found.pathspec = {"--", below.empty() ? ":/" : ":(literal)" + below};
  if (const auto hidden = Below(real_data, folder))
    found.pathspec.push_back(":(exclude,literal)" + *Below(real_data, found.top));
  return {};
}

}  // namespace

Result<AgentRepository> FindAgentRepository(const std::string& folder, const std::string& data,
                                            const std::string& own) {
  const Error none = {"repository_not_found", "the agent's folder is in no git repository"};
  std::error_code error;
  const fs::path real = fs::canonical(folder, error);
  if (error) return none;
  AgentRepository found;
  // A folder .git without HEAD is no repository; git-rev-parse(1) goes on as well.
  for (fs::path top = real;; top = top.parent_path()) {
    const fs::path git = top / ".git";
    const fs::file_type type = TypeOf(git);
    if (type == fs::file_type::symlink) return Elsewhere(git);
    if (type == fs::file_type::regular || TypeOf(git / "HEAD") != fs::file_type::not_found) {
      found.top = top;
      found.git_dir = found.common = git;
      if (type == fs::file_type::directory) break;
      if (Status read = ReadWorktree(found); !read) return read.error();
      break;
    }
    if (top == top.parent_path()) return none;
  }
  if (Status checked = CheckRefs(found); !checked) return checked.error();
  if (Status set = SetPathspec(found, real, data, own); !set) return set.error();
  return found;
}

}  // namespace reeve
