// Random bytes from the system's generator (getrandom(2)). Blocks only while the machine's generator is not
// seeded yet.
#pragma once

#include <cstddef>
#include <string>

namespace reeve {

std::string RandomBytes(size_t bytes);

// `bytes` random bytes in lower-case hex.
std::string RandomHex(size_t bytes);

}  // namespace reeve
