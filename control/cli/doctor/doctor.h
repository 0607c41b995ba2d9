// Room doctor/: the checks of `reeve doctor`.
//
// The findings of `reeve doctor`, and the checks of the machine. Checks change nothing: a file that a check
// creates in order to try the disk is removed again.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "orchestrator/config/config.h"
#include "orchestrator/store/data_folder.h"

namespace reeve {

struct Finding {
  enum class Grade { kOk, kSkip, kWarn, kFail };
  Grade grade = Grade::kOk;
  std::string about;  // "token"
  std::string found;  // a sentence; never a secret
  std::string fix;    // empty: there is nothing to do
};

class Findings {
 public:
  void Ok(std::string about, std::string found) {
    all_.push_back({Finding::Grade::kOk, std::move(about), std::move(found), {}});
  }
  // Nothing to check, which is no fault.
  void Skip(std::string about, std::string found) {
    all_.push_back({Finding::Grade::kSkip, std::move(about), std::move(found), {}});
  }
  void Warn(std::string about, std::string found, std::string fix) {
    all_.push_back({Finding::Grade::kWarn, std::move(about), std::move(found), std::move(fix)});
  }
  void Fail(std::string about, std::string found, std::string fix) {
    all_.push_back({Finding::Grade::kFail, std::move(about), std::move(found), std::move(fix)});
  }
  [[nodiscard]] const std::vector<Finding>& all() const { return all_; }

 private:
  std::vector<Finding> all_;
};

// The installation that is checked.
struct Target {
  Config config;
  std::optional<RuntimeFile> daemon;  // the running daemon of config.data
  int64_t began_ms = 0;               // monotonic: when doctor started
  int64_t began_wall_ms = 0;
};

// The checks of the machine (doctor_machine.cc).
void CheckDataFolder(const Target& target, Findings& findings);
void CheckListeners(const Target& target, Findings& findings);
void CheckCgroups(const Target& target, Findings& findings);
void CheckLimits(const Target& target, Findings& findings);
void CheckGit(Findings& findings);
void CheckClock(const Target& target, Findings& findings);
void CheckTerminal(Findings& findings);
void CheckTemporary(Findings& findings);

}  // namespace reeve
