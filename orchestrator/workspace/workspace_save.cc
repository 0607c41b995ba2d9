// Saves an agent's uncommitted work. The agent may have written anything into its clone's .git: filters,
// fsmonitor, submodules with filters of their own. So we read the work with a repository of our own, which is
// made for this purpose and only puts its objects where the clone has them, and with plumbing commands that
// start no other program.
#include <algorithm>
#include <utility>
#include <vector>

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

}  // namespace

struct Workspace::Saving {
  std::function<void(Result<std::string>)> done;
  int64_t deadline_ms = 0;
  uint64_t run = 0;
  std::string repository;  // our own repository
  std::string head;        // empty: no commit yet
  bool pushing = false;
};

bool Workspace::pushing() const { return saving_ && saving_->pushing; }

void Workspace::SaveWork(int64_t timeout_ms, std::function<void(Result<std::string>)> done) {
  saving_ = std::make_shared<Saving>();
  saving_->done = std::move(done);
  saving_->deadline_ms = context_.loop.NowMs() + timeout_ms;
  saving_->repository = context_.folder + "/" + std::string(kHalfWritten) + RandomHex(8);
  auto made = std::make_shared<Status>();
  context_.loop.Offload([made, path = saving_->repository] { *made = MakeBareRepository(path); },
                        [this, made, mine = std::weak_ptr<Saving>(saving_)] {
                          if (mine.expired()) return;
                          if (!*made) return EndSaving(made->error());
                          // Prints nothing if there is no commit yet.
                          SaveStep(
                              {"rev-parse", "--revs-only", "HEAD"},
                              [this](const std::string& head) {
                                saving_->head = head.substr(0, head.find('\n'));
                                FindChanges();
                              },
                              {}, true);
                        });
}

// Compares with HEAD and ignores the agent's index: only the contents of its files count.
void Workspace::FindChanges() {
  auto list = [this](const std::string&) {
    SaveStep({"-c", "core.excludesFile=" + path_ + "/.git/info/exclude", "ls-files", "-z", "--others",
              "--modified", "--deleted", "--exclude-standard"},
             [this](const std::string& changes) {
               std::string names = WithoutFolders(changes);
               if (names.empty()) return EndSaving(std::string());
               CommitChanges(std::move(names));
             });
  };
  if (saving_->head.empty()) return list("");
  SaveStep({"read-tree", saving_->head}, list);
}

void Workspace::CommitChanges(std::string changes) {
  SaveStep(
      {"update-index", "-z", "--add", "--remove", "--stdin"},
      [this](const std::string&) {
        SaveStep({"write-tree"}, [this](const std::string& tree) {
          std::vector<std::string> commit = {"commit-tree", "-m", "Uncommitted work of agent " + agent_};
          if (!saving_->head.empty()) commit.insert(commit.end(), {"-p", saving_->head});
          commit.push_back(tree.substr(0, tree.find('\n')));
          SaveStep(std::move(commit),
                   [this](const std::string& id) { KeepCommit(id.substr(0, id.find('\n'))); });
        });
      },
      std::move(changes));
}

void Workspace::KeepCommit(const std::string& commit) {
  const std::string ref = "refs/heads/reeve/" + agent_ + "/wip";
  SaveStep(
      {"update-ref", "--no-deref", "-m", "reeve: uncommitted work", "--", ref, commit},
      [this, commit, ref](const std::string&) {
        if (context_.git.options().wip != Git::Options::Wip::kPush) return EndSaving(commit);
        std::string refspec = "+";
        refspec.append(commit).append(":").append(ref);
        saving_->pushing = true;
        SaveStep({"push", "--no-verify", "--no-recurse-submodules", "--", spec_.git, refspec},
                 [this, commit](const std::string&) { EndSaving(commit); });
      },
      {}, true);
}

void Workspace::EndSaving(const Result<std::string>& result) {
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
