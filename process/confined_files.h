// Access to the files of one folder on behalf of a caller who is trusted with no other folder. The kernel
// refuses every name or link that leads out of the folder (openat2(2), RESOLVE_BENEATH), so nobody can swap a
// file between a check and its use. These functions block; use them for files of a size that a person edits.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "process/fd.h"
#include "process/result.h"

namespace reeve {

// `path` is absolute. Errors: "outside", "too_large" (more than `max_bytes`), "os_error" (also for anything
// but a regular file).
Result<std::string> ReadFileWithin(const std::string& folder, const std::string& path, size_t max_bytes);
// Creates the file if there is none. The folder that it is in must exist.
Status WriteFileWithin(const std::string& folder, const std::string& path, std::string_view content);

// Succeeds if `path`, relative to `folder`, is a folder and no link on the way leads out of `folder`. Errors
// as above.
Status FolderIsWithin(const std::string& folder, const std::string& path);

// Opens the folder `name` (no slash) inside the folder behind descriptor `parent`, and creates it (0700) if
// there is none. A link of that name is an error.
Result<Fd> OpenFolderAt(int parent, const std::string& name);
// Replaces the file `name` (no slash) by one that holds `content`, with mode 0600. The file is on disk when
// this returns. A reader sees the old file or the new one, whole. A link of that name is replaced, not
// followed. A file that a crash leaves half written has a name that begins with kHalfWritten.
inline constexpr std::string_view kHalfWritten = ".new-";
Status ReplaceFileAt(int folder, const std::string& name, std::string_view content);
// Errors "too_large", "os_error" (also for a link).
Result<std::string> ReadFileAt(int folder, const std::string& name, size_t max_bytes);
// The names of the regular files in it, in no particular order.
Result<std::vector<std::string>> ListFilesAt(int folder);

}  // namespace reeve
