// Agents that are shell scripts, and what their logs say, for tests of the real daemon.
#pragma once

#include <string>
#include <vector>

#include "tests/support/daemon.h"

namespace reeve {

// POST /agents: a program that runs `script`; `more` are further members of its spec, each followed by a
// comma.
inline std::string Shell(const std::string& id, const std::string& script, const std::string& more = "") {
  return JsonObject()
      .Set("id", id)
      .Set("kind", "process")
      .SetRaw("command", JsonArray().Add("/bin/sh").Add("-c").Add(script).Take())
      .Take()
      .insert(1, more);
}

// This field of each event of these types, in order.
inline std::vector<std::string> Fields(const Daemon& daemon, const std::string& agent,
                                       const std::string& types, const std::string& field) {
  std::vector<std::string> fields;
  for (const std::string& event : daemon.Events(agent, "after=0&types=" + types)) {
    fields.push_back(JsonField(event, field));
  }
  return fields;
}

// Waits until its log has this string.
inline bool Says(const Daemon& daemon, const std::string& agent, const std::string& text) {
  return Eventually([&] { return daemon.LogFiles(agent).find("\"" + text + "\"") != std::string::npos; });
}

}  // namespace reeve
