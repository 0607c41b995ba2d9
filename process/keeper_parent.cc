#include "process/keeper_parent.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <utility>

#include "process/log.h"
#include "process/loop.h"

namespace reeve {

namespace {

constexpr int kMostLooks = 20;  // over a list that changes as we read it

}  // namespace

std::string KeeperProgramBeside(const std::string& program) {
  std::error_code error;
  const auto path = std::filesystem::canonical(program, error).replace_filename("reeve-keeper");
  return !error && access(path.c_str(), X_OK) == 0 ? path.string() : std::string();
}

Result<std::unique_ptr<KeeperParent>> KeeperParent::Connect(Loop& loop, Fd socket) {
  auto link = KeeperLink::Connect(std::move(socket));
  if (!link) return link.error();
  std::unique_ptr<KeeperParent> parent(new KeeperParent(std::move(*link)));
  Fd copy(fcntl(parent->link_->fd(), F_DUPFD_CLOEXEC, 0));
  if (!copy.valid()) return OsError("watch the keeper", errno);
  auto watch = Watch::Make(loop, std::move(copy), [raw = parent.get()](int) {
    raw->link_->OnReadable();
    if (raw->link_->fd() < 0) raw->pings_->Want(0);
  });
  if (!watch) return watch.error();
  // The watch has made the socket non-blocking, but the link waits for its replies.
  if (fcntl(parent->link_->fd(), F_SETFL, 0) != 0) return OsError("watch the keeper", errno);
  parent->pings_ = std::move(*watch);
  parent->pings_->Want(Watch::kRead);
  return parent;
}

KeeperParent::KeeperParent(std::unique_ptr<KeeperLink> link)
    : link_(std::move(link)), earlier_(link_->TakeChildren()) {
  for (const KeeperLink::HeldChild& child : earlier_) children_.insert(child.pid);
}

KeeperParent::~KeeperParent() = default;

Result<Started> KeeperParent::Start(const SpawnSpec& spec, const std::array<int, 3>& stdio) {
  auto started = link_->Spawn(spec, stdio);
  if (!started) return started;
  Own(started->pid);
  children_.insert(started->pid);
  return started;
}

Result<std::optional<ProcessParent::Exit>> KeeperParent::ExitOf(pid_t pid) {
  if (children_.count(pid) == 0) {
    return Error{"not_ours", "process " + std::to_string(pid) + " is no child of the keeper"};
  }
  const auto exit = link_->ExitOf(pid);
  if (!exit) return std::optional<Exit>();
  return std::optional<Exit>(Exit{exit->code, exit->signal});
}

void KeeperParent::Bury(pid_t pid) {
  link_->Reap(pid);
  children_.erase(pid);
  Disown(pid);
}

uint64_t KeeperParent::Keep(int fd, Purpose purpose) {
  return link_->Keep(fd, static_cast<uint8_t>(purpose));
}

std::vector<uint64_t> KeeperParent::Kept(Purpose purpose) const {
  return link_->Untaken(static_cast<uint8_t>(purpose));
}

Fd KeeperParent::Take(uint64_t key) { return link_->Take(key); }

void KeeperParent::Drop(uint64_t key) { link_->Drop(key); }

void KeeperParent::ForgetTheRest() {
  link_->DropUntaken();
  for (const KeeperLink::HeldChild& child : std::exchange(earlier_, {})) {
    if (owns(child.pid)) continue;
    log::Warning("killing process {}, because the daemon that started it died before it could record that",
                 child.pid);
    for (const ProcessId& process : Descendants(child.pid)) SignalProcess(process, SIGKILL);
    Bury(child.pid);
  }
}

bool KeeperParent::LookForOrphans(std::vector<ProcessStat>& adopted) {
  for (int look = 0; look < kMostLooks; ++look) {
    adopted.clear();
    const auto before = link_->Look();
    for (pid_t pid : ChildrenOf(link_->keeper_pid())) {
      if (owns(pid) || pid == getpid()) continue;
      if (auto stat = StatProcess(pid)) adopted.push_back(std::move(*stat));
    }
    // A list that is read while its owner reaps may lack some.
    const auto after = link_->Look();
    if (before.complete && after.complete && before.reaped == after.reaped) return true;
  }
  return false;
}

}  // namespace reeve
