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

// One try to make it. What is late for it finds it gone.
struct Workspace::Attempt {
  Mirrors::Progress progress;
  std::function<void(Result<Made>)> done;
  uint64_t waiting = 0;  // for the mirror
  uint64_t run = 0;      // of git
  std::string draft;     // the folder that is being made
  std::string mirror;
  std::string head;     // the repository's own branch; empty: none
  std::string start;    // what is checked out; empty: there is no commit
  bool tracks = false;  // start is the branch's own, upstream
  Made made;
};

Workspace::Workspace(Shop& shop, std::string agent, WorkspaceSpec spec)
    : shop_(shop), agent_(std::move(agent)), spec_(std::move(spec)), path_(shop.folder + "/" + agent_) {}

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
  attempt_->waiting = shop_.mirrors.Update(
      spec_.git,
      [mine](const std::string& phase, int percent) {
        if (auto attempt = mine.lock()) attempt->progress(phase, percent);
      },
      [this, mine](const Result<Mirrors::Mirror>& mirror) {
        if (mine.expired()) return;
        attempt_->waiting = 0;
        if (!mirror) return Fail(mirror.error());
        Choose(*mirror);
      });
}

void Workspace::Cancel() {
  const std::shared_ptr<Attempt> attempt = std::exchange(attempt_, nullptr);
  if (!attempt) return;
  if (attempt->waiting != 0) shop_.mirrors.Leave(attempt->waiting);
  if (attempt->run != 0) {
    shop_.git.Cancel(attempt->run);  // its end throws the draft away: until then git writes there
  } else if (!attempt->draft.empty()) {
    shop_.discard(attempt->draft);
  }
}

// git's part of it, one command after the other. Of one that was cancelled only the draft is left to see to.
void Workspace::Step(Git::Command command, std::function<void(const std::string& out)> next) {
  command.done = [this, mine = std::weak_ptr<Attempt>(attempt_), draft = attempt_->draft,
                  discard = shop_.discard, next = std::move(next)](const Result<std::string>& out) {
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
  attempt_->run = shop_.git.Run(std::move(command));
}

// Which commit it begins with: names are looked up in the mirror, where nobody else writes.
void Workspace::Choose(const Mirrors::Mirror& mirror) {
  attempt_->mirror = mirror.path;
  attempt_->head = mirror.head;
  attempt_->made.branch = !spec_.branch.empty() ? spec_.branch : !mirror.head.empty() ? mirror.head : "main";
  const std::string base = !spec_.base.empty() ? spec_.base : mirror.head;
  Git::Command command;
  command.arguments = {"for-each-ref", "--format=%(refname)", "--"};
  command.arguments.push_back("refs/heads/" + attempt_->made.branch);
  if (!base.empty()) {
    command.arguments.push_back("refs/heads/" + base);
    command.arguments.push_back("refs/tags/" + base);
  }
  command.folder = mirror.path;
  command.env = {"GIT_DIR=" + mirror.path};
  Step(std::move(command), [this, base](const std::string& listed) {
    auto has = [&listed](const std::string& ref) {
      return ("\n" + listed).find("\n" + ref + "\n") != std::string::npos;
    };
    const bool commit = base.size() == 40 && base.find_first_not_of("0123456789abcdef") == std::string::npos;
    if (has("refs/heads/" + attempt_->made.branch)) {
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
    }
    Clone();
  });
}

void Workspace::Clone() {
  attempt_->draft = shop_.folder + "/" + std::string(kHalfWritten) + RandomHex(8);
  Git::Command command;
  command.arguments = {"clone",      "--shared", "--no-checkout",  "--template=",  "--origin=origin",
                       "--progress", "--",       attempt_->mirror, attempt_->draft};
  command.folder = shop_.folder;
  command.reach = Git::Reach::kLocal;
  Step(std::move(command), [this](const std::string&) {
    // Of git's template this alone is missed: programs put into info/exclude what they leave in a work tree.
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
  } else {
    command.arguments = {"checkout", "--progress", attempt_->tracks ? "--track" : "--no-track",
                         "-B",       branch,       attempt_->start,
                         "--"};
  }
  command.folder = attempt_->draft;
  Step(std::move(command), [this](const std::string&) {
    if (attempt_->start.empty()) return Finish();
    Git::Command head;
    head.arguments = {"rev-parse", "--verify", "HEAD"};
    head.folder = attempt_->draft;
    Step(std::move(head), [this](const std::string& commit) {
      attempt_->made.commit = commit.substr(0, commit.find('\n'));
      Finish();
    });
  });
}

// Its name says that it is whole. So it is on the disk first, with the objects that it borrows: after a power
// cut nobody would look.
void Workspace::Finish() {
  shop_.disk.Sync([this, mine = std::weak_ptr<Attempt>(attempt_)](const Status& synced) {
    if (mine.expired()) return;  // Cancel saw to the draft
    if (!synced) return Fail({"workspace_failed", synced.error().message});
    if (::rename(attempt_->draft.c_str(), path_.c_str()) != 0)
      return Fail({"workspace_failed", OsError("make " + path_, errno).message});
    const std::shared_ptr<Attempt> attempt = std::exchange(attempt_, nullptr);
    attempt->done(attempt->made);
  });
}

void Workspace::Fail(const Error& error) {
  const std::shared_ptr<Attempt> attempt = std::exchange(attempt_, nullptr);
  if (!attempt->draft.empty()) shop_.discard(attempt->draft);
  attempt->done(Error{error.code == "workspace_timeout" ? error.code : "workspace_failed",
                      "workspace: " + error.message});
}

}  // namespace reeve
