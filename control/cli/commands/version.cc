#include <cstdio>
#include <memory>

#include "control/cli/commands/commands.h"
#include "control/cli/line/exit_code.h"
#include "orchestrator/json/json.h"

namespace reeve {

void AddVersion(Command root) {
  auto json = std::make_shared<bool>(false);
  Command version = root.Add("version", "Print the version.");
  version.Flag("--json", *json, "As a JSON object");
  version.Example("reeve version --json", "for scripts; `reeve doctor` also prints the daemon's version");
  version.Action([json] {
    const std::string text =
        *json ? JsonObject().Set("version", REEVE_VERSION).Take() : "reeve " REEVE_VERSION;
    std::printf("%s\n", text.c_str());
    return static_cast<int>(kOk);
  });
}

}  // namespace reeve
