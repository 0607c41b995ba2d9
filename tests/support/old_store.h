// Makes the content of a store older, as time would.
#pragma once

#include <cstdint>
#include <string>

namespace reeve {

// Moves the times of all messages, also those at which they are due, and of all answers that are kept for an
// Idempotency-Key back by `ms`. No daemon may run on the store. A failure is the test's.
void MakeOlder(const std::string& store, int64_t ms);

}  // namespace reeve
