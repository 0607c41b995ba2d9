// SavedWork: the work of an agent that upstream does not have otherwise, as a commit on the branch
// reeve/<agent>/wip (WORKSPACES.md). The commit's tree is the agent's work tree. Its message names the
// agent's HEAD and branch. Its parents are that HEAD and the work that was saved before, so that a newer save
// always descends from the older one. A value.
#pragma once

#include <optional>
#include <string>

namespace reeve {

struct SavedWork {
  std::string commit;  // the commit itself
  std::string tree;
  std::string head;    // the agent's HEAD; empty: it had no commit yet
  std::string branch;  // the agent's branch, such as "main"; empty: HEAD was detached, or it is unknown
  bool detached = false;

  // "refs/heads/reeve/<agent>/wip"
  static std::string Ref(const std::string& agent);
  // The --format of git-for-each-ref(1) whose output Parse reads.
  static const char* const kFormat;
  // Returns nothing if `listed` is empty. A commit that reeve did not make is read as well: its HEAD is its
  // first parent.
  static std::optional<SavedWork> Parse(const std::string& listed);
  [[nodiscard]] std::string Message(const std::string& agent) const;
  // Whether `other` saves the same content.
  [[nodiscard]] bool SameWork(const SavedWork& other) const {
    return tree == other.tree && head == other.head && branch == other.branch;
  }
};

}  // namespace reeve
