// Files of one folder for somebody who is not trusted with any other: what a name or a link leads out of it
// is refused by the kernel (openat2(2), RESOLVE_BENEATH), so that nothing can be exchanged between a look and
// a use. Blocking; for files of a size that a person edits.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "process/result.h"

namespace reeve {

// `path` is absolute. Errors: "outside", "too_large" (more than `max_bytes`), "os_error"; anything but a
// regular file is the latter.
Result<std::string> ReadFileWithin(const std::string& folder, const std::string& path, size_t max_bytes);
// Made, where it is not there; its folder must be.
Status WriteFileWithin(const std::string& folder, const std::string& path, std::string_view content);

}  // namespace reeve
