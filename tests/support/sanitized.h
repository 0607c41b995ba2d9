// Whether this build runs under a sanitizer: slower by far, its quarantine is no leak, and its runtime must
// come before anything that is preloaded.
#pragma once

namespace reeve {

#if defined(REEVE_SANITIZED)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif

}  // namespace reeve
