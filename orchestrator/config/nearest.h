// What somebody meant who wrote a name that nobody knows: a key of the configuration, a command.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace reeve {

// The one of `known` that takes the fewest edits (Levenshtein's distance); empty when none is within `most`.
std::string Nearest(std::string_view name, const std::vector<std::string>& known, size_t most);

}  // namespace reeve
