// Saves an agent's uncommitted work. The agent may have written anything into its clone's .git: filters,
// fsmonitor, submodules with filters of their own. So we read the work with a repository of our own, which is
// made for this purpose and only puts its objects where the clone has them, and with plumbing commands that
// start no other program. The objects and the ref that git writes into the clone stay in it: a .git that
// leads elsewhere is refused (CheckConfined).
#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "orchestrator/workspace/clone_check.h"
#include "orchestrator/workspace/saved_work.h"
#include "orchestrator/workspace/workspace.h"
#include "process/confined_files.h"
#include "process/loop.h"
#include "process/random.h"

namespace reeve {

namespace {

constexpr size_t kMaxChangesBytes = size_t{16} << 20;  // for the names of changed files

// Removes repositories within the work, which we must not commit. git lists them with a slash after the name.
std::string WithoutFolders(const std::string& names) {
  std::string kept;
  for (size_t at = 0; at < names.size();) {
    const size_t end = std::min(names.find('\0', at), names.size());
    if (end > at && names[end - 1] != '/') kept.append(names, at, end - at).push_back('\0');
    at = end + 1;
  }
  return kept;
}

std::string FirstLine(const std::string& text) { return text.substr(0, text.find('\n')); }

}  // namespace

struct Workspace::Saving {
  std::function<void(Result<Saved>)> done;
  int64_t deadline_ms = 0;
  uint64_t run = 0;
  std::string repository;           // our own repository
  SavedWork work;                   // the present work
  std::optional<SavedWork> before;  // the work that was saved last
  std::string upstream;             // "^<commit>\n" for each commit that upstream is known to have
  Saved saved;
  bool pushing = false;
};

bool Workspace::pushing() const { return saving_ && saving_->pushing; }

void Workspace::SaveWork(int64_t timeout_ms, std::function<void(Result<Saved>)> done) {
  saving_ = std::make_shared<Saving>();
  saving_->done = std::move(done);
  saving_->deadline_ms = context_.loop.NowMs() + timeout_ms;
  saving_->repository = context_.folder + "/" + std::string(kHalfWritten) + RandomHex(8);
  saving_->saved.branch = SavedWork::Ref(agent_).substr(std::string_view("refs/heads/").size());
  auto made = std::make_shared<Status>();
  context_.loop.Offload(
      [made, path = saving_->repository, clone = path_] {
        *made = CheckConfined(clone);
        if (*made) *made = MakeBareRepository(path);
      },
      [this, made, mine = std::weak_ptr<Saving>(saving_)] {
        if (mine.expired()) return;
        if (!*made) return EndSaving(made->error());
        ReadRefs();
      });
}

// Reads the refs of the clone: its HEAD, the work that was saved last, and what it knows of upstream.
void Workspace::ReadRefs() {
  // Prints nothing if there is no commit yet, and "HEAD" in the second line if no branch is checked out.
  SaveStep(
      {"rev-parse", "--revs-only", "HEAD", "--symbolic-full-name", "HEAD"},
      [this](const std::string& out) {
        SavedWork& work = saving_->work;
        work.head = FirstLine(out);
        const std::string name =
            out.size() > work.head.size() ? FirstLine(out.substr(work.head.size() + 1)) : "";
        constexpr std::string_view kHeads = "refs/heads/";
        if (name.starts_with(kHeads)) work.branch = name.substr(kHeads.size());
        work.detached = name == "HEAD";
        SaveStep(
            {"for-each-ref", std::string("--format=") + SavedWork::kFormat, SavedWork::Ref(agent_)},
            [this](const std::string& before) {
              saving_->before = SavedWork::Parse(before);
              SaveStep(
                  {"for-each-ref", "--format=^%(objectname)", "refs/remotes/origin", "refs/tags"},
                  [this](const std::string& upstream) {
                    saving_->upstream = upstream;
                    FindChanges();
                  },
                  {}, true);
            },
            {}, true);
      },
      {}, true);
}

// Compares with HEAD and ignores the agent's index: only the contents of its files count.
void Workspace::FindChanges() {
  auto list = [this](const std::string&) {
    SaveStep({"-c", "core.excludesFile=" + path_ + "/.git/info/exclude", "ls-files", "-z", "--others",
              "--modified", "--deleted", "--exclude-standard"},
             [this](const std::string& changes) {
               std::string names = WithoutFolders(changes);
               if (!names.empty()) return AddChanges(std::move(names));
               if (saving_->before) return CommitWork();  // it may be out of date
               if (saving_->work.head.empty()) return EndSaving(Saved{});
               FindCommits();
             });
  };
  if (saving_->work.head.empty()) return list("");
  SaveStep({"read-tree", saving_->work.head}, list);
}

// Nothing is uncommitted. Commits that only the clone has are work to save, too.
void Workspace::FindCommits() {
  SaveStep(
      {"rev-list", "--max-count=1", "--stdin"},
      [this](const std::string& missing) { missing.empty() ? EndSaving(Saved{}) : CommitWork(); },
      saving_->work.head + "\n" + saving_->upstream);
}

void Workspace::AddChanges(std::string changes) {
  SaveStep(
      {"update-index", "-z", "--add", "--remove", "--stdin"}, [this](const std::string&) { CommitWork(); },
      std::move(changes));
}

void Workspace::CommitWork() {
  SaveStep({"write-tree"}, [this](const std::string& tree) {
    SavedWork& work = saving_->work;
    const std::optional<SavedWork>& before = saving_->before;
    work.tree = FirstLine(tree);
    if (before && work.SameWork(*before)) {
      saving_->saved.commit = before->commit;
      return PushWork();
    }
    std::vector<std::string> commit = {"commit-tree", "-F", "-"};
    if (!work.head.empty()) commit.insert(commit.end(), {"-p", work.head});
    if (before && before->commit != work.head) commit.insert(commit.end(), {"-p", before->commit});
    commit.push_back(work.tree);
    SaveStep(
        std::move(commit),
        [this](const std::string& id) {
          saving_->saved.commit = FirstLine(id);
          SaveStep(
              {"update-ref", "--no-deref", "-m", "reeve: uncommitted work", "--", SavedWork::Ref(agent_),
               saving_->saved.commit},
              [this](const std::string&) { PushWork(); }, {}, true);
        },
        work.Message(agent_));
  });
}

// Upstream's branch is never overwritten. The new commit descends from the work that was saved last, so
// pushing it loses nothing. If somebody else's commit is there, it is first kept under another name.
void Workspace::PushWork() {
  if (context_.git.options().wip != Git::Options::Wip::kPush) return EndSaving(saving_->saved);
  saving_->pushing = true;
  SaveStep(
      {"ls-remote", "--refs", "--", spec_.git, SavedWork::Ref(agent_)}, [this](const std::string& listed) {
        const std::string there = listed.substr(0, listed.find('\t'));
        if (there.empty() || there == saving_->saved.commit ||
            (saving_->before && there == saving_->before->commit)) {
          return Push({});
        }
        SaveStep({"fetch", "--no-tags", "--no-write-fetch-head", "--", spec_.git, SavedWork::Ref(agent_)},
                 [this, there](const std::string&) {
                   SaveStep({"rev-list", "--max-count=1", there, "^" + saving_->saved.commit},
                            [this, there](const std::string& unknown) {
                              unknown.empty() ? Push({}) : KeepForeign(there);
                            });
                 });
      });
}

void Workspace::KeepForeign(const std::string& commit) {
  constexpr size_t kShownDigits = 12;
  const std::string suffix = "-" + commit.substr(0, kShownDigits);
  SaveStep({"push", "--no-verify", "--no-recurse-submodules", "--", spec_.git,
            commit + ":" + SavedWork::Ref(agent_) + suffix},
           [this, commit, suffix](const std::string&) {
             saving_->saved.kept = saving_->saved.branch + suffix;
             Push({"--force-with-lease=" + SavedWork::Ref(agent_) + ":" + commit});
           });
}

void Workspace::Push(std::vector<std::string> options) {
  std::vector<std::string> push = {"push", "--no-verify", "--no-recurse-submodules"};
  push.insert(push.end(), options.begin(), options.end());
  push.insert(push.end(), {"--", spec_.git, saving_->saved.commit + ":" + SavedWork::Ref(agent_)});
  SaveStep(std::move(push), [this](const std::string&) {
    saving_->saved.pushed = true;
    EndSaving(saving_->saved);
  });
}

void Workspace::EndSaving(const Result<Saved>& result) {
  const std::shared_ptr<Saving> saving = std::exchange(saving_, nullptr);
  context_.discard(saving->repository);
  saving->done(result);
}

void Workspace::CancelSaving() {
  const std::shared_ptr<Saving> saving = std::exchange(saving_, nullptr);
  if (saving && saving->run != 0) context_.git.Cancel(saving->run);
}

// `theirs`: run in the clone itself, for commands that only read or write a ref.
void Workspace::SaveStep(std::vector<std::string> arguments, Then next, std::string input, bool theirs) {
  const int64_t left_ms = saving_->deadline_ms - context_.loop.NowMs();
  if (left_ms <= 0) return EndSaving(Error{"workspace_timeout", "saving the work took too long"});
  Git::Command command;
  command.arguments = std::move(arguments);
  command.folder = path_;
  command.input = std::move(input);
  command.until_ms = saving_->deadline_ms;
  if (saving_->pushing) {
    command.reach = Git::Reach::kRemote;
    command.timeout_ms = std::max<int64_t>(left_ms / 2, 1);
  }
  command.max_output = kMaxChangesBytes;
  if (theirs) {
    command.env = {"GIT_DIR=" + path_ + "/.git"};
  } else {
    command.env = {"GIT_DIR=" + saving_->repository, "GIT_WORK_TREE=" + path_,
                   "GIT_INDEX_FILE=" + saving_->repository + "/index",
                   "GIT_OBJECT_DIRECTORY=" + path_ + "/.git/objects"};
  }
  for (const char* who : {"AUTHOR", "COMMITTER"}) {
    command.env.push_back(std::string("GIT_") + who + "_NAME=reeve");
    command.env.push_back(std::string("GIT_") + who + "_EMAIL=reeve@localhost");
  }
  command.done = [this, mine = std::weak_ptr<Saving>(saving_), repository = saving_->repository,
                  discard = context_.discard, next = std::move(next)](const Result<std::string>& out) {
    if (mine.expired()) return discard(repository);
    saving_->run = 0;
    if (!out) return EndSaving(out.error());
    next(*out);
  };
  saving_->run = context_.git.Run(std::move(command));
}

}  // namespace reeve
