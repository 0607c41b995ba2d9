#include "orchestrator/workspace/saved_work.h"

#include <algorithm>
#include <sstream>
#include <string_view>

#include "orchestrator/workspace/repository.h"

namespace reeve {

namespace {

constexpr std::string_view kHead = "Head: ";
constexpr std::string_view kBranch = "Branch: ";
constexpr std::string_view kNone = "none";
constexpr std::string_view kDetached = "(detached)";

bool IsObjectId(std::string_view id) {
  return (id.size() == 40 || id.size() == 64) &&
         id.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

}  // namespace

const char* const SavedWork::kFormat = "%(objectname)%0a%(tree)%0a%(parent)%0a%(contents)";

std::string SavedWork::Ref(const std::string& agent) { return "refs/heads/reeve/" + agent + "/wip"; }

std::string SavedWork::Message(const std::string& agent) const {
  std::string message = "Uncommitted work of agent " + agent + "\n\n";
  message.append(kHead).append(head.empty() ? kNone : std::string_view(head)).append("\n");
  message.append(kBranch).append(detached ? kDetached : std::string_view(branch)).append("\n");
  return message;
}

std::optional<SavedWork> SavedWork::Parse(const std::string& listed) {
  SavedWork saved;
  std::string parents;
  std::istringstream lines(listed);
  std::getline(lines, saved.commit);
  std::getline(lines, saved.tree);
  std::getline(lines, parents);
  if (!IsObjectId(saved.commit) || !IsObjectId(saved.tree)) return std::nullopt;
  saved.head = parents.substr(0, parents.find(' '));
  for (std::string line; std::getline(lines, line);) {
    const std::string_view text(line);
    if (text.starts_with(kHead)) {
      const std::string_view head = text.substr(kHead.size());
      if (head == kNone) saved.head.clear();
      if (IsObjectId(head) && parents.find(head) != std::string::npos) saved.head = head;
    } else if (text.starts_with(kBranch)) {
      const std::string_view branch = text.substr(kBranch.size());
      saved.detached = branch == kDetached;
      if (IsRefName(branch) && !saved.detached) saved.branch = branch;
    }
  }
  return saved;
}

}  // namespace reeve
