// Spec: a SpawnSpec as bytes, in which the daemon sends it to the keeper. Its stdin_pipe, stdin_from and
// descriptor_3 are not part of it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "process/spawn.h"

namespace reeve::keeper {

std::string EncodeSpec(const SpawnSpec& spec);
// The inverse. Nothing for bytes that EncodeSpec does not make.
std::optional<SpawnSpec> DecodeSpec(std::string_view bytes);

}  // namespace reeve::keeper
