// Suggests the name that was probably meant by an unknown one: a configuration key, a command, an option.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace reeve {

// The name in `known` with the fewest edits (Levenshtein distance); empty if none is within `most` edits.
std::string ClosestMatch(std::string_view name, const std::vector<std::string>& known, size_t most);

}  // namespace reeve
