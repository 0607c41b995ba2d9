// What `reeve doctor` looks at and finds. It changes nothing: what it makes to see whether it can, it takes
// away again.
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
  enum class Grade { kOk, kWarn, kFail };
  Grade grade = Grade::kOk;
  std::string about;  // "token"
  std::string found;  // a sentence; never a secret
  std::string mend;   // what to do; empty: nothing
};
const char* NameOf(Finding::Grade grade);

class Findings {
 public:
  void Ok(std::string about, std::string found) {
    all_.push_back({Finding::Grade::kOk, std::move(about), std::move(found), {}});
  }
  void Warn(std::string about, std::string found, std::string mend) {
    all_.push_back({Finding::Grade::kWarn, std::move(about), std::move(found), std::move(mend)});
  }
  void Fail(std::string about, std::string found, std::string mend) {
    all_.push_back({Finding::Grade::kFail, std::move(about), std::move(found), std::move(mend)});
  }
  [[nodiscard]] const std::vector<Finding>& all() const { return all_; }

 private:
  std::vector<Finding> all_;
};

// What a daemon here goes by.
struct Patient {
  Config config;
  std::optional<RuntimeFile> daemon;  // one that lives on config.data
  int64_t began_ms = 0;               // monotonic: when doctor began to look
  int64_t began_wall_ms = 0;
};

// The machine's part (doctor_machine.cc), each of one matter.
void CheckDataFolder(const Patient& patient, Findings& findings);
void CheckListeners(const Patient& patient, Findings& findings);
void CheckCgroups(const Patient& patient, Findings& findings);
void CheckLimits(const Patient& patient, Findings& findings);
void CheckGit(Findings& findings);
void CheckClock(const Patient& patient, Findings& findings);
void CheckTerminal(Findings& findings);
void CheckTemporary(Findings& findings);

}  // namespace reeve
