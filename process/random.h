// Random bytes from the system's generator (getrandom(2)), as text.
#pragma once

#include <cstddef>
#include <string>

namespace reeve {

// `bytes` random bytes in lower-case hex. Blocks only before the machine's generator is seeded.
std::string RandomHex(size_t bytes);

}  // namespace reeve
