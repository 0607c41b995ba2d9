// Odd JSON: what a faulty or hostile agent may say in the words of its own protocol.
#pragma once

#include <random>
#include <string>

namespace reeve {

// `json` with one of its values replaced: by null, by another type, by a number beyond any use, or by a text
// that is hard to show. Text that is no JSON comes back as it is.
std::string WithAnOddValue(const std::string& json, std::mt19937& random);

}  // namespace reeve
