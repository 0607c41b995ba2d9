// Files of one folder for somebody who is not trusted with any other: what a name or a link leads out of it
// is refused by the kernel (openat2(2), RESOLVE_BENEATH), so that nothing can be exchanged between a look and
// a use. Blocking; for files of a size that a person edits.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "process/fd.h"
#include "process/result.h"

namespace reeve {

// `path` is absolute. Errors: "outside", "too_large" (more than `max_bytes`), "os_error"; anything but a
// regular file is the latter.
Result<std::string> ReadFileWithin(const std::string& folder, const std::string& path, size_t max_bytes);
// Made, where it is not there; its folder must be.
Status WriteFileWithin(const std::string& folder, const std::string& path, std::string_view content);

// Whether `path`, relative to it, is a folder that no link leads out of it to. Errors as above.
Status FolderIsWithin(const std::string& folder, const std::string& path);

// The folder `name` (no slash) of the folder behind descriptor `parent`, made (0700) where it is not there.
// A link of that name is an error.
Result<Fd> OpenFolderAt(int parent, const std::string& name);
// Puts `content` in the place of the file `name` (no slash): 0600, on disk when this returns; who opens it
// sees the old one or the new one, whole. A link of that name is replaced, not followed. What a crash leaves
// half written begins with kHalfWritten.
inline constexpr std::string_view kHalfWritten = ".new-";
Status ReplaceFileAt(int folder, const std::string& name, std::string_view content);
// Error "too_large", "os_error"; a link is the latter.
Result<std::string> ReadFileAt(int folder, const std::string& name, size_t max_bytes);
// The names of the regular files in it, in no order.
Result<std::vector<std::string>> ListFilesAt(int folder);

}  // namespace reeve
