#include "orchestrator/workspace/workspace.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <utility>
#include <vector>

#include "process/confined_files.h"
#include "process/disk_sync.h"
#include "process/loop.h"
#include "process/random.h"

namespace reeve {

// One attempt to make the workspace. A late callback finds that its attempt is gone.
struct Workspace::Attempt {
  Mirrors::Progress progress;
  std::function<void(Result<Made>)> done;
  uint64_t waiting = 0;  // id of the request to the mirrors
  uint64_t run = 0;      // id of the git command
  std::string draft;     // the folder that is being filled
  std::string mirror;
  std::string head;                // the repository's own branch; empty: none
  std::string start;               // the commit to check out; empty: there is no commit
  bool tracks = false;             // start is the upstream of the branch
  std::optional<SavedWork> saved;  // of an earlier clone of this agent
  Made made;
};

Workspace::Workspace(WorkspaceContext& context, std::string agent, WorkspaceSpec spec)
    : context_(context),
      agent_(std::move(agent)),
      spec_(std::move(spec)),
      path_(context.folder + "/" + agent_) {}

Workspace::~Workspace() {
  Cancel();
  CancelSaving();
}

bool Workspace::there() const {
  struct stat about {};
  return ::lstat(path_.c_str(), &about) == 0 && S_ISDIR(about.st_mode);
}

Status Workspace::CheckFolder(const std::string& cwd) const {
  Status within = FolderIsWithin(path_, cwd.empty() ? "." : cwd);
  return within ? within : Error{"workspace_failed", "cwd: " + within.error().message};
}

void Workspace::Prepare(Mirrors::Progress progress, std::function<void(Result<Made>)> done) {
  attempt_ = std::make_shared<Attempt>();
  attempt_->progress = std::move(progress);
  attempt_->done = std::move(done);
  std::weak_ptr<Attempt> mine = attempt_;
  attempt_->waiting = context_.mirrors.Update(
      spec_.git,
      [mine](const std::string& phase, int percent) {
        if (auto attempt = mine.lock()) attempt->progress(phase, percent);
      },
      [this, mine](const Result<Mirrors::Mirror>& mirror) {
        if (mine.expired()) return;
        attempt_->waiting = 0;
        if (!mirror) return Fail(mirror.error());
        FindSaved(*mirror);
      });
}

void Workspace::Cancel() {
  const std::shared_ptr<Attempt> attempt = std::exchange(attempt_, nullptr);
  if (!attempt) return;
  if (attempt->waiting != 0) context_.mirrors.Leave(attempt->waiting);
  if (attempt->run != 0) {
    context_.git.Cancel(attempt->run);  // git writes to the draft until it ends; then the draft is discarded
  } else if (!attempt->draft.empty()) {
    context_.discard(attempt->draft);
  }
}

// Runs one git command, then `next`. After a cancelled command only the draft is discarded.
void Workspace::Step(Git::Command command, std::function<void(const std::string& out)> next) {
  command.done = [this, mine = std::weak_ptr<Attempt>(attempt_), draft = attempt_->draft,
                  discard = context_.discard, next = std::move(next)](const Result<std::string>& out) {
    if (mine.expired()) {
      if (!draft.empty()) discard(draft);
      return;
    }
    attempt_->run = 0;
    if (!out) return Fail(out.error());
    next(*out);
  };
  command.on_progress = [mine = std::weak_ptr<Attempt>(attempt_)](const std::string& phase, int percent) {
    if (auto attempt = mine.lock()) attempt->progress(phase, percent);
  };
  attempt_->run = context_.git.Run(std::move(command));
}

// Work that an earlier clone of this agent saved is continued, unless upstream has all of it by now.
void Workspace::FindSaved(const Mirrors::Mirror& mirror) {
  if (context_.git.options().wip == Git::Options::Wip::kOff) return Choose(mirror);
  auto in_mirror = [path = mirror.path](std::vector<std::string> arguments) {
    Git::Command command;
    command.arguments = std::move(arguments);
    command.folder = path;
    command.env = {"GIT_DIR=" + path};
    return command;
  };
  auto find = in_mirror(
      {"for-each-ref", std::string("--format=") + SavedWork::kFormat, "--", SavedWork::Ref(agent_)});
  Step(std::move(find), [this, mirror, in_mirror](const std::string& listed) {
    attempt_->saved = SavedWork::Parse(listed);
    if (!attempt_->saved) return Choose(mirror);
    const SavedWork& saved = *attempt_->saved;
    attempt_->made.continued = saved;
    if (saved.head.empty()) return Choose(mirror);
    // Prints the tree of HEAD, and a commit of HEAD that no other branch has.
    Step(in_mirror({"rev-parse", "--verify", saved.head + "^{tree}"}),
         [this, mirror, in_mirror](const std::string& tree) {
           if (tree != attempt_->saved->tree + "\n") return Choose(mirror);
           Step(in_mirror({"rev-list", "--max-count=1", attempt_->saved->head, "--not",
                           "--exclude=reeve/" + agent_ + "/*", "--branches"}),
                [this, mirror](const std::string& missing) {
                  if (missing.empty()) attempt_->made.continued.reset();
                  Choose(mirror);
                });
         });
  });
}

// Chooses the first commit. Names are looked up in the mirror, because nobody else writes there.
void Workspace::Choose(const Mirrors::Mirror& mirror) {
  attempt_->mirror = mirror.path;
  attempt_->head = mirror.head;
  // As `git clone` does: a detached HEAD is checked out as such.
  const std::string continued = attempt_->made.continued ? attempt_->made.continued->branch : "";
  const bool detached =
      continued.empty() && spec_.branch.empty() && spec_.base.empty() && !mirror.detached.empty();
  if (!detached) {
    attempt_->made.branch = !continued.empty()      ? continued
                            : !spec_.branch.empty() ? spec_.branch
                            : !mirror.head.empty()  ? mirror.head
                                                    : "main";
  }
  const std::string base = !spec_.base.empty()    ? spec_.base
                           : !mirror.head.empty() ? mirror.head
                                                  : mirror.detached;
  Git::Command command;
  command.arguments = {"for-each-ref", "--format=%(refname)", "--"};
  if (!detached) command.arguments.push_back("refs/heads/" + attempt_->made.branch);
  if (!base.empty()) {
    command.arguments.push_back("refs/heads/" + base);
    command.arguments.push_back("refs/tags/" + base);
  }
  command.folder = mirror.path;
  command.env = {"GIT_DIR=" + mirror.path};
  Step(std::move(command), [this, base, detached](const std::string& listed) {
    auto has = [&listed](const std::string& ref) {
      return ("\n" + listed).find("\n" + ref + "\n") != std::string::npos;
    };
    const bool commit = (base.size() == 40 || base.size() == 64) &&
                        base.find_first_not_of("0123456789abcdef") == std::string::npos;
    if (!detached && has("refs/heads/" + attempt_->made.branch)) {
      attempt_->start = "refs/remotes/origin/" + attempt_->made.branch;
      attempt_->tracks = true;
    } else if (has("refs/heads/" + base)) {
      attempt_->start = "refs/remotes/origin/" + base;
    } else if (has("refs/tags/" + base)) {
      attempt_->start = "refs/tags/" + base;
    } else if (commit) {
      attempt_->start = base;
    } else if (!spec_.base.empty()) {
      return Fail({"workspace_failed", "workspace.base: the repository has no branch or tag " + base});
    } else {
      return ExpectEmpty();
    }
    Clone();
  });
}

// Nothing says where to start, which is right only for a repository without commits.
void Workspace::ExpectEmpty() {
  Git::Command command;
  command.arguments = {"for-each-ref", "--count=1", "--format=%(refname)", "--", "refs/heads", "refs/tags"};
  command.folder = attempt_->mirror;
  command.env = {"GIT_DIR=" + attempt_->mirror};
  Step(std::move(command), [this](const std::string& listed) {
    if (listed.empty()) return Clone();
    Fail(
        {"workspace_failed",
         "the repository's HEAD names a branch that does not exist; name an existing one in workspace.base"});
  });
}

void Workspace::Clone() {
  attempt_->draft = context_.folder + "/" + std::string(kHalfWritten) + RandomHex(8);
  Git::Command command;
  command.arguments = {"clone",      "--shared", "--no-checkout",  "--template=",  "--origin=origin",
                       "--progress", "--",       attempt_->mirror, attempt_->draft};
  command.folder = context_.folder;
  command.reach = Git::Reach::kLocal;
  Step(std::move(command), [this](const std::string&) {
    // The only part of git's template that we need: programs add to info/exclude the files that they leave in
    // a work tree.
    (void)::mkdir((attempt_->draft + "/.git/info").c_str(), 0755);
    Git::Command origin;
    origin.arguments = {"config", "--", "remote.origin.url", spec_.git};
    origin.folder = attempt_->draft;
    Step(std::move(origin), [this](const std::string&) {
      if (attempt_->head.empty()) return CheckOut();
      Git::Command head;
      head.arguments = {"symbolic-ref", "--", "refs/remotes/origin/HEAD",
                        "refs/remotes/origin/" + attempt_->head};
      head.folder = attempt_->draft;
      Step(std::move(head), [this](const std::string&) { CheckOut(); });
    });
  });
}

void Workspace::CheckOut() {
  Git::Command command;
  const std::string& branch = attempt_->made.branch;
  if (attempt_->start.empty()) {
    command.arguments = {"symbolic-ref", "--", "HEAD", "refs/heads/" + branch};
  } else if (branch.empty()) {
    command.arguments = {"checkout", "--progress", "--detach", attempt_->start, "--"};
  } else {
    command.arguments = {"checkout", "--progress", attempt_->tracks ? "--track" : "--no-track",
                         "-B",       branch,       attempt_->start,
                         "--"};
  }
  command.folder = attempt_->draft;
  Step(std::move(command), [this](const std::string&) { attempt_->saved ? ContinueSaved() : ReadHead(); });
}

// The saved work becomes the work tree, with the agent's own HEAD and branch, so that all of its changes are
// uncommitted as they were. The next save descends from it.
void Workspace::ContinueSaved() {
  const std::string& known = attempt_->saved->commit;
  std::vector<std::vector<std::string>> steps = {
      {"update-ref", "--no-deref", "--", SavedWork::Ref(agent_), known}};
  if (attempt_->made.continued) {
    const SavedWork& saved = *attempt_->made.continued;
    if (saved.detached) steps.push_back({"checkout", "--quiet", "--detach"});
    if (attempt_->start.empty()) {
      steps.push_back({"read-tree", "-m", "-u", saved.tree});
    } else {
      steps.push_back({"read-tree", "-m", "-u", "HEAD", saved.tree});
    }
    if (!saved.head.empty()) {
      steps.push_back({"reset", "--quiet", saved.head, "--"});
    } else {
      if (!attempt_->start.empty()) steps.push_back({"update-ref", "-d", "HEAD"});
      steps.push_back({"read-tree", "--empty"});
    }
  }
  Steps(std::move(steps), [this] { ReadHead(); });
}

void Workspace::Steps(std::vector<std::vector<std::string>> steps, std::function<void()> next) {
  if (steps.empty()) return next();
  Git::Command command;
  command.arguments = steps.front();
  command.folder = attempt_->draft;
  steps.erase(steps.begin());
  Step(std::move(command),
       [this, steps = std::move(steps), next = std::move(next)](const std::string&) { Steps(steps, next); });
}

// Prints nothing if there is no commit yet.
void Workspace::ReadHead() {
  Git::Command head;
  head.arguments = {"rev-parse", "--revs-only", "HEAD"};
  head.folder = attempt_->draft;
  Step(std::move(head), [this](const std::string& commit) {
    attempt_->made.commit = commit.substr(0, commit.find('\n'));
    Finish();
  });
}

// The final name means that the clone is complete. So the clone is synced to the disk before it gets that
// name, together with the objects that it borrows: after a power cut nobody would check.
void Workspace::Finish() {
  context_.disk.Sync([this, mine = std::weak_ptr<Attempt>(attempt_)](const Status& synced) {
    if (mine.expired()) return;  // Cancel has discarded the draft
    if (!synced) return Fail({"workspace_failed", synced.error().message});
    if (::rename(attempt_->draft.c_str(), path_.c_str()) != 0)
      return Fail({"workspace_failed", OsError("make " + path_, errno).message});
    const std::shared_ptr<Attempt> attempt = std::exchange(attempt_, nullptr);
    attempt->done(attempt->made);
  });
}

void Workspace::Fail(const Error& error) {
  const std::shared_ptr<Attempt> attempt = std::exchange(attempt_, nullptr);
  if (!attempt->draft.empty()) context_.discard(attempt->draft);
  attempt->done(Error{error.code == "workspace_timeout" ? error.code : "workspace_failed",
                      "workspace: " + error.message});
}

}  // namespace reeve
