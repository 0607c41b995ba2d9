// AgentSecrets: files and an API token that only one agent's process may see. Their contents are in its
// private folder (private_folder.h) and nowhere else. This object knows the names of the files.
//
// Owned by its Agent; on the loop's thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "orchestrator/agent/agent_spec.h"
#include "orchestrator/store/private_folder.h"
#include "process/result.h"

namespace reeve {

struct AgentContext;
struct SpawnSpec;

class AgentSecrets {
 public:
  using Done = std::function<void(Status)>;
  struct Handlers {
    std::function<void(const std::string& secret)> hide;  // keep it out of the transcript
    std::function<void()> changed;                        // due() may have changed
  };

  // `spec` outlives this object and may change.
  AgentSecrets(AgentContext& context, const AgentSpec& spec, Handlers handlers);

  // Stores the files and the token of a new agent. Calls `done` once they are on disk, or at once if there
  // are none; never after this object is destroyed.
  void WriteFirst(std::map<std::string, std::string> files, Done done);
  // Restores the secrets of an agent of an earlier daemon. Sweep deletes half-written files of that daemon.
  void Load();
  void Sweep() { folder_.Sweep(); }
  // The spec's `api` or `record` has changed. The next process gets the token; its scope changes at once.
  void OnSpecChanged();
  // The agent never starts again. The token is void at once. The files are deleted once no process uses them.
  void Forget(bool process_lives);

  // Files are being written to disk, and a process must wait for them.
  [[nodiscard]] bool due() const { return due_; }
  // The folder exists, and the environment of a process names it.
  Status MakeFolder() { return folder_.Make(); }
  void AddEnvironment(SpawnSpec& spawn) const;

  [[nodiscard]] const std::set<std::string>& names() const { return names_; }
  // Calls `done` once the change is on disk; a process sees it at once. Errors "invalid_request",
  // "too_large", "file_not_found", "os_error".
  void Put(const std::string& name, std::string content, Done done);
  void Remove(const std::string& name, Done done);

 private:
  void RenewToken();
  void Hide(const std::string& secret);

  AgentContext& context_;
  const std::string agent_;
  const AgentSpec& spec_;
  const Handlers handlers_;
  PrivateFolder folder_;
  std::set<std::string> names_;
  bool due_ = false;
  bool forgotten_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace reeve
