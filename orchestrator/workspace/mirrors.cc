#include "orchestrator/workspace/mirrors.h"

#include <fcntl.h>
#include <fts.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "orchestrator/workspace/repository.h"
#include "process/confined_files.h"
#include "process/loop.h"
#include "tickets/digest.h"

namespace reeve {

namespace {

constexpr const char* kConfig =
    "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = true\n"
    "[gc]\n\tauto = 0\n\tpruneExpire = never\n\treflogExpire = never\n[maintenance]\n\tauto = false\n";

// Removes what a killed git left behind: its locks would stop the next git, and its drafts would stay for
// ever. No other program writes to a mirror.
void RemoveLeftOvers(const std::string& path) {
  std::string root = path;
  char* const roots[] = {root.data(), nullptr};
  const std::unique_ptr<FTS, int (*)(FTS*)> walk(::fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, nullptr),
                                                 &::fts_close);
  if (!walk) return;
  while (FTSENT* entry = ::fts_read(walk.get())) {
    const std::string_view name(entry->fts_name, entry->fts_namelen);
    // There are many loose objects, and none of them is a draft.
    const bool loose = entry->fts_level == 2 && name.size() == 2 && entry->fts_info == FTS_D;
    if (loose && std::string_view(entry->fts_path).ends_with("/objects/" + std::string(name)))
      (void)::fts_set(walk.get(), entry, FTS_SKIP);
    if (entry->fts_info != FTS_F) continue;
    const bool object = std::string_view(entry->fts_path).starts_with(path + "/objects/");
    const bool ours = entry->fts_level == 1 && name.starts_with(kHalfWritten);
    const bool gits =
        entry->fts_level == 1 && name == "packed-refs.new";  // below that level a ref may have this name
    if (ours || gits || (object ? name.starts_with("tmp_") : name.ends_with(".lock")))
      (void)::unlink(entry->fts_accpath);
  }
}

// "ref: refs/heads/main\tHEAD", the first line of `git ls-remote --symref URL HEAD`.
std::string HeadOf(const std::string& listed) {
  constexpr std::string_view kRef = "ref: refs/heads/";
  if (!listed.starts_with(kRef)) return {};
  std::string name = listed.substr(kRef.size(), listed.find('\t') - kRef.size());
  return IsRefName(name) ? name : std::string();
}

// "<commit>\tHEAD", which is the first line if HEAD names no branch.
std::string DetachedHeadOf(const std::string& listed) {
  std::string commit = listed.substr(0, listed.find('\t'));
  const bool is_id = (commit.size() == 40 || commit.size() == 64) &&
                     commit.find_first_not_of("0123456789abcdef") == std::string::npos;
  return is_id && listed.substr(commit.size()).starts_with("\tHEAD\n") ? commit : std::string();
}

}  // namespace

Status MakeBareRepository(const std::string& path) {
  for (const char* below :
       {"", "/objects", "/objects/info", "/objects/pack", "/refs", "/refs/heads", "/refs/tags"}) {
    const std::string folder = path + below;
    if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) return OsError("make " + folder, errno);
  }
  const Fd folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!folder.valid()) return OsError("open " + path, errno);
  if (Status written = ReplaceFileAt(folder.get(), "config", kConfig); !written) return written;
  return ReplaceFileAt(folder.get(), "HEAD", "ref: refs/heads/main\n");
}

Mirrors::Mirrors(Loop& loop, Git& git, std::string folder)
    : loop_(loop), git_(git), folder_(std::move(folder)) {}

std::string Mirrors::NameOf(const std::string& url) { return ToHex(Sha256(url)).substr(0, 32); }

uint64_t Mirrors::Update(const std::string& url, Progress progress, Done done) {
  Repository& repository = repositories_[url];
  repository.path = folder_ + "/" + NameOf(url);
  repository.waiting.push_back({++last_, std::move(progress), std::move(done)});
  if (!repository.busy) Begin(url);
  return last_;
}

void Mirrors::Leave(uint64_t waiter) {
  auto is_it = [waiter](const Waiter& one) { return one.id == waiter; };
  for (auto& [url, repository] : repositories_) {
    for (std::vector<Waiter>* list : {&repository.served, &repository.waiting}) {
      list->erase(std::remove_if(list->begin(), list->end(), is_it), list->end());
    }
    if (repository.busy && repository.served.empty()) git_.Cancel(repository.run);
  }
}

void Mirrors::Begin(const std::string& url) {
  Repository& repository = repositories_[url];
  repository.busy = true;
  repository.run = 0;
  repository.served = std::exchange(repository.waiting, {});
  auto made = std::make_shared<Status>();
  loop_.Offload(
      [made, path = repository.path] {
        *made = MakeBareRepository(path);
        RemoveLeftOvers(path);
      },
      [this, made, url, alive = std::weak_ptr<bool>(alive_)] {
        if (alive.expired()) return;
        if (!*made) return End(url, Error{"workspace_failed", made->error().message});
        AskForHead(url);
      });
}

void Mirrors::AskForHead(const std::string& url) {
  Git::Command command;
  command.arguments = {"ls-remote", "--symref", "--", url, "HEAD"};
  Step(url, std::move(command), [this, url](const std::string& listed) {
    Repository& repository = repositories_[url];
    repository.head = HeadOf(listed);
    repository.detached = DetachedHeadOf(listed);
    Fetch(url);
  });
}

void Mirrors::Fetch(const std::string& url) {
  Git::Command command;
  command.arguments = {"fetch",
                       "--prune",
                       "--force",
                       "--no-tags",
                       "--no-write-fetch-head",
                       "--progress",
                       "--",
                       url,
                       "+refs/heads/*:refs/heads/*",
                       "+refs/tags/*:refs/tags/*"};
  // No branch need lead to it.
  if (!repositories_[url].detached.empty()) command.arguments.emplace_back("+HEAD:refs/reeve/head");
  command.on_progress = [this, url](const std::string& phase, int percent) {
    for (const Waiter& waiter : repositories_[url].served) waiter.progress(phase, percent);
  };
  Step(url, std::move(command), [this, url](const std::string&) {
    const Repository& repository = repositories_[url];
    End(url, Mirror{repository.path, repository.head, repository.detached});
  });
}

void Mirrors::Step(const std::string& url, Git::Command command,
                   std::function<void(const std::string& out)> next) {
  Repository& repository = repositories_[url];
  if (repository.served.empty()) return End(url, Error{"cancelled", "no agent waits for it"});
  command.folder = repository.path;
  // A power cut may leave a ref or an object empty, and no later fetch would repair it, because git believes
  // that it exists. So these are synced.
  command.env = {"GIT_DIR=" + repository.path, "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=core.fsync",
                 "GIT_CONFIG_VALUE_0=loose-object,reference"};
  command.reach = Git::Reach::kRemote;
  command.done = [this, url, next = std::move(next)](const Result<std::string>& out) {
    if (!out) return End(url, out.error());
    next(*out);
  };
  repository.run = git_.Run(std::move(command));
}

void Mirrors::End(const std::string& url, const Result<Mirror>& result) {
  Repository& repository = repositories_[url];
  repository.busy = false;
  repository.run = 0;
  const std::vector<Waiter> served = std::exchange(repository.served, {});
  // Starts the next fetch before anybody is notified, because a notified caller may ask again.
  if (!repository.waiting.empty()) {
    Begin(url);
  } else {
    repositories_.erase(url);
  }
  for (const Waiter& waiter : served) waiter.done(result);
}

}  // namespace reeve
