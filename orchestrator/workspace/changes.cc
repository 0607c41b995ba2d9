#include "orchestrator/workspace/changes.h"

#include <charconv>
#include <string_view>
#include <utility>

#include "orchestrator/workspace/agent_repository.h"
#include "process/confined_files.h"
#include "process/loop.h"
#include "process/random.h"

namespace reeve {

namespace {

constexpr size_t kMaxNameBytes = size_t{1} << 20;  // of the names of changed files
// Larger files count as binary, so that git neither reads nor compares them.
constexpr const char* kBigFile = "core.bigFileThreshold=1m";
// git knows it without an object; gitglossary(7), "tree object".
constexpr std::string_view kEmptyTree = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";

// The parts of `text` that end with `end`. A rest without it, which a limit may have cut, is left out.
std::vector<std::string_view> Parts(std::string_view text, char end) {
  std::vector<std::string_view> parts;
  for (size_t at = 0, stop = 0; (stop = text.find(end, at)) != std::string_view::npos; at = stop + 1)
    parts.push_back(text.substr(at, stop - at));
  return parts;
}

std::optional<uint64_t> LineCount(std::string_view word) {
  uint64_t count = 0;
  const char* end = word.data() + word.size();
  const auto [at, error] = std::from_chars(word.data(), end, count);
  return error == std::errc() && at == end ? std::optional(count) : std::nullopt;
}

// Reads the output of `git diff --raw --numstat -z`: for each file ":… STATUS", NUL, path, NUL; then for each
// file "ADDED\tREMOVED\tPATH", NUL.
std::vector<Changes::File> ParseFiles(std::string_view out) {
  std::vector<Changes::File> files;
  std::map<std::string, size_t, std::less<>> places;
  const std::vector<std::string_view> parts = Parts(out, '\0');
  for (size_t i = 0; i < parts.size(); ++i) {
    const std::string_view part = parts[i];
    if (part.starts_with(':')) {
      if (++i == parts.size()) break;
      places.emplace(parts[i], files.size());
      files.push_back({std::string(parts[i]), part.back(), {}, {}});
      continue;
    }
    const size_t first = part.find('\t');
    const size_t second = first == std::string_view::npos ? first : part.find('\t', first + 1);
    if (second == std::string_view::npos) continue;
    const auto place = places.find(part.substr(second + 1));
    if (place == places.end()) continue;
    files[place->second].added = LineCount(part.substr(0, first));
    files[place->second].removed = LineCount(part.substr(first + 1, second - first - 1));
  }
  return files;
}

// For GIT_ALTERNATE_OBJECT_DIRECTORIES, whose entries are separated by ':'; git(1).
std::string QuotedEntry(const std::string& path) {
  std::string quoted = "\"";
  for (const char c : path) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c == '\n' ? std::string("\\n") : std::string(1, c);
  }
  return quoted + "\"";
}

}  // namespace

struct Changes::Reading {
  std::string agent;
  std::string folder;
  std::vector<Done> waiting;
  int64_t until_ms = 0;
  uint64_t run = 0;
  AgentRepository theirs;
  std::string repository;  // ours
  Found found;

  [[nodiscard]] std::string base() const {
    return found.commit.empty() ? std::string(kEmptyTree) : found.commit;
  }
  // A command in our repository.
  [[nodiscard]] Git::Command Ours(std::vector<std::string> arguments) const {
    Git::Command command;
    command.arguments = {"-c", kBigFile,
                         "-c", "core.excludesFile=" + theirs.common + "/info/exclude",
                         "-c", "core.quotePath=false"};
    command.arguments.insert(command.arguments.end(), arguments.begin(), arguments.end());
    command.folder = theirs.top;
    command.env = {"GIT_DIR=" + repository, "GIT_WORK_TREE=" + theirs.top,
                   "GIT_INDEX_FILE=" + repository + "/index",
                   "GIT_ALTERNATE_OBJECT_DIRECTORIES=" + QuotedEntry(theirs.common + "/objects")};
    return command;
  }
  // The same, restricted to the files that are the agent's.
  [[nodiscard]] Git::Command OursWithin(std::vector<std::string> arguments) const {
    arguments.insert(arguments.end(), theirs.pathspec.begin(), theirs.pathspec.end());
    return Ours(std::move(arguments));
  }
};

Changes::~Changes() {
  for (auto& [agent, reading] : std::exchange(readings_, {})) {
    if (reading->run != 0) context_.git.Cancel(reading->run);
  }
}

void Changes::Read(const std::string& agent, const std::string& folder, Done done) {
  auto& reading = readings_[agent];
  if (reading) return reading->waiting.push_back(std::move(done));
  reading = std::make_shared<Reading>();
  reading->agent = agent;
  reading->folder = folder;
  reading->waiting.push_back(std::move(done));
  reading->until_ms = context_.loop.NowMs() + kTimeoutMs;
  FindRepository(reading);
}

void Changes::FindRepository(const Shared& reading) {
  reading->repository = context_.folder + "/" + std::string(kHalfWritten) + RandomHex(8);
  auto made = std::make_shared<Status>();
  context_.loop.Offload(
      [made, reading, folder = context_.folder] {
        auto found = FindAgentRepository(reading->folder, folder + "/..", folder + "/" + reading->agent);
        *made = found ? MakeBareRepository(reading->repository) : found.error();
        if (found) reading->theirs = *found;
      },
      alive_.Guard([this, reading, made] {
        if (!*made) return End(reading, made->error());
        ReadHead(reading);
      }));
}

// Prints nothing more if there is no commit yet, and "HEAD" in the last line if no branch is checked out.
void Changes::ReadHead(const Shared& reading) {
  Git::Command command;
  command.arguments = {"rev-parse", "--show-object-format", "--revs-only",
                       "HEAD",      "--symbolic-full-name", "HEAD"};
  command.folder = reading->theirs.top;
  command.env = {"GIT_DIR=" + reading->theirs.git_dir, "GIT_WORK_TREE=" + reading->theirs.top};
  Run(reading, std::move(command), [this, reading](const std::string& out) {
    const std::vector<std::string_view> lines = Parts(out, '\n');
    constexpr std::string_view kHeads = "refs/heads/";
    if (lines.empty() || lines[0] != "sha1")
      return End(reading, Error{"changes_unavailable", "repositories with SHA-256 are not supported"});
    if (lines.size() > 1) reading->found.commit = lines[1];
    if (lines.size() > 2 && lines[2].starts_with(kHeads))
      reading->found.branch = lines[2].substr(kHeads.size());
    ReadIndex(reading);
  });
}

void Changes::ReadIndex(const Shared& reading) {
  Run(reading, reading->Ours({"read-tree", reading->base()}), [this, reading](const std::string&) {
    Git::Command list = reading->OursWithin({"ls-files", "-z", "--others", "--exclude-standard"});
    list.max_output = kMaxNameBytes;
    list.cut = true;
    Run(reading, std::move(list),
        [this, reading](const std::string& names) { AddUntracked(reading, names); });
  });
}

// New files are entered into our index without their content, so that git compares them with nothing.
void Changes::AddUntracked(const Shared& reading, const std::string& names) {
  std::string input;
  size_t files = 0;
  reading->found.truncated = names.size() > kMaxNameBytes;
  for (const std::string_view name : Parts(names, '\0')) {
    if (name.ends_with('/')) continue;  // a repository within this one
    if (++files > kMaxFiles) {
      reading->found.truncated = true;
      break;
    }
    input.append(name).push_back('\0');
  }
  const auto refresh = [this, reading](const std::string&) {
    // Otherwise each of the following commands would read all files.
    Run(reading, reading->Ours({"update-index", "-q", "--ignore-submodules", "--refresh"}),
        [this, reading](const std::string&) { Compare(reading); });
  };
  if (input.empty()) return refresh("");
  Git::Command add = reading->Ours(
      {"add", "--intent-to-add", "--ignore-errors", "--pathspec-from-file=-", "--pathspec-file-nul"});
  add.env.emplace_back("GIT_LITERAL_PATHSPECS=1");
  add.input = std::move(input);
  Run(reading, std::move(add), refresh);
}

void Changes::Compare(const Shared& reading) {
  const std::vector<std::string> diff = {"diff",         "--no-ext-diff", "--no-textconv",
                                         "--no-color",   "--no-renames",  "--ignore-submodules=all",
                                         reading->base()};
  auto with = [&diff](std::vector<std::string> options) {
    std::vector<std::string> all = diff;
    all.insert(all.end() - 1, options.begin(), options.end());
    return all;
  };
  Git::Command list = reading->OursWithin(with({"--raw", "--numstat", "-z"}));
  Git::Command text = reading->OursWithin(with({"--patch"}));
  list.max_output = 2 * kMaxNameBytes;
  text.max_output = kMaxDiffBytes;
  list.cut = text.cut = true;
  Run(reading, std::move(list), [this, reading, text = std::move(text)](const std::string& out) mutable {
    Found& found = reading->found;
    found.files = ParseFiles(out);
    found.truncated = found.truncated || out.size() > 2 * kMaxNameBytes || found.files.size() > kMaxFiles;
    if (found.files.size() > kMaxFiles) found.files.resize(kMaxFiles);
    Run(reading, std::move(text), [this, reading](const std::string& patch) {
      reading->found.diff = patch;
      if (patch.size() > kMaxDiffBytes) {
        reading->found.truncated = true;
        reading->found.diff.resize(patch.rfind('\n', kMaxDiffBytes - 1) + 1);
      }
      End(reading, reading->found);
    });
  });
}

void Changes::Run(const Shared& reading, Git::Command command, Next next) {
  command.until_ms = reading->until_ms;
  command.done = [this, alive = alive_.Watch(), reading, name = command.Name(),
                  next = std::move(next)](const Result<std::string>& out) {
    if (alive.expired()) return;
    reading->run = 0;
    if (out) return next(*out);
    // git repeats lines of files that it cannot read, which may be links to anywhere.
    std::string why = out.error().message;
    if (out.error().code == "workspace_failed")
      why = Git::Program().empty() ? "git is not installed" : name + " failed";
    End(reading, Error{"changes_unavailable", why});
  };
  reading->run = context_.git.Run(std::move(command));
}

void Changes::End(const Shared& reading, const Result<Found>& result) {
  readings_.erase(reading->agent);
  if (!reading->repository.empty()) context_.discard(reading->repository);
  for (const Done& done : reading->waiting) done(result);
}

}  // namespace reeve
