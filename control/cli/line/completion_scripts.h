// What `reeve completion` prints.
#pragma once

#include <string>

namespace reeve {

// `shell`: bash, zsh, fish.
const char* CompletionScript(const std::string& shell);

}  // namespace reeve
