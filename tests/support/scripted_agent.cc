#include "tests/support/scripted_agent.h"
#include "tests/support/paths.h"

#include "orchestrator/json/json.h"

namespace reeve {

std::string ScriptAsRecording(const std::vector<std::string>& script) {
  std::string recording;
  for (const std::string& line : script) {
    recording += JsonObject()
                     .Set("time", "2026-11-20T10:00:00.000Z")
                     .Set("dir", line[0] == '<' ? "in" : "out")
                     .Set("text", line.substr(2))
                     .Take() +
                 "\n";
  }
  return recording;
}

void CreateScripted(const Daemon& daemon, const std::string& id, const std::string& kind,
                    const std::vector<std::string>& script, const std::string& more) {
  const std::string file = daemon.data_dir() + "/" + id + ".recording";
  WriteFile(file, ScriptAsRecording(script));
  daemon.Create(R"({"id":")" + id + R"(","kind":")" + kind + R"(","record":true,"command":[")" +
                std::string(kReeveBinary) + R"(","replay",")" + file + "\"]" + more + "}");
}

}  // namespace reeve
