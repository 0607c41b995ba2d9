// The kinds there are. Adding one is a file beside this one and a line here.
#include <algorithm>

#include "orchestrator/adapters/adapter.h"
#include "orchestrator/adapters/jsonl.h"
#include "orchestrator/adapters/opencode.h"
#include "orchestrator/adapters/process.h"

namespace reeve {

const std::vector<Kind>& Kinds() {
  static const std::vector<Kind> kinds = {
      {"process", false, true, false, nullptr, nullptr, MakeProcessAdapter, {"stdin"}},
      {"jsonl", false, true, false, nullptr, nullptr, MakeJsonlAdapter, {"turns"}},
      {"opencode", true, true, true, "opencode", "npm install -g opencode-ai", MakeOpencodeAdapter},
      {"kilo", true, true, true, "kilo", "npm install -g @kilocode/cli", MakeKiloAdapter},
  };
  return kinds;
}

const Kind* FindKind(std::string_view name) {
  auto found =
      std::find_if(Kinds().begin(), Kinds().end(), [name](const Kind& kind) { return kind.name == name; });
  return found == Kinds().end() ? nullptr : &*found;
}

}  // namespace reeve
