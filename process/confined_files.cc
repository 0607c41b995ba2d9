#include "process/confined_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "process/fd.h"
#include "process/random.h"

namespace reeve {

namespace {

// `path` relative to `folder`; empty when it is not below it. Accepts two spellings of the folder: as given,
// and its real path.
std::string Below(const std::string& folder, const std::string& path) {
  const std::unique_ptr<char, decltype(&std::free)> real(::realpath(folder.c_str(), nullptr), &std::free);
  for (std::string prefix : {folder, std::string(real ? real.get() : "")}) {
    if (prefix.empty()) continue;
    if (prefix.back() != '/') prefix += '/';
    if (path.compare(0, prefix.size(), prefix) == 0) return path.substr(prefix.size());
  }
  return {};
}

Result<Fd> OpenWithin(const std::string& folder, const std::string& path, int flags) {
  const std::string below = Below(folder, path);
  if (below.empty() || below.find('\0') != std::string::npos)
    return Error{"outside", path + ": not below " + folder};
  Fd directory(::open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!directory.valid()) return OsError(folder, errno);
  struct open_how how = {};
  how.flags =
      static_cast<unsigned>(flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);  // do not wait for a pipe's other end
  how.mode = (flags & O_CREAT) != 0 ? 0666 : 0;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  Fd file(static_cast<int>(::syscall(SYS_openat2, directory.get(), below.c_str(), &how, sizeof(how))));
  if (!file.valid() && errno == EXDEV) return Error{"outside", path + ": leads out of " + folder};
  if (!file.valid()) return OsError(path, errno);
  struct stat about = {};
  if (::fstat(file.get(), &about) != 0) return OsError(path, errno);
  if (!S_ISREG(about.st_mode)) return OsError(path, EINVAL);
  return file;
}

Result<std::string> ReadAll(int file, const std::string& path, size_t max_bytes) {
  std::string content;
  char buffer[65536];
  for (;;) {
    const ssize_t got = ::read(file, buffer, sizeof(buffer));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return OsError(path, errno);
    if (got == 0) return content;
    content.append(buffer, static_cast<size_t>(got));
    if (content.size() > max_bytes)
      return Error{"too_large", path + ": more than " + std::to_string(max_bytes) + " bytes"};
  }
}

Status WriteAll(int file, const std::string& path, std::string_view content) {
  while (!content.empty()) {
    const ssize_t written = ::write(file, content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return OsError(path, errno);
    content.remove_prefix(static_cast<size_t>(written));
  }
  return {};
}

}  // namespace

Result<std::string> ReadFileWithin(const std::string& folder, const std::string& path, size_t max_bytes) {
  auto file = OpenWithin(folder, path, O_RDONLY);
  if (!file) return file.error();
  return ReadAll(file->get(), path, max_bytes);
}

Status WriteFileWithin(const std::string& folder, const std::string& path, std::string_view content) {
  auto file = OpenWithin(folder, path, O_WRONLY | O_CREAT);
  if (!file) return file.error();
  // Opened without O_TRUNC, because the file's type is checked before anything changes.
  if (::ftruncate(file->get(), 0) != 0) return OsError(path, errno);
  return WriteAll(file->get(), path, content);
}

Status FolderIsWithin(const std::string& folder, const std::string& path) {
  const Fd root(::open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root.valid()) return OsError(folder, errno);
  struct open_how how = {};
  how.flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  const Fd found(static_cast<int>(::syscall(SYS_openat2, root.get(), path.c_str(), &how, sizeof(how))));
  if (found.valid()) return {};
  if (errno == EXDEV) return Error{"outside", path + ": leads out of " + folder};
  return OsError(path, errno);
}

Result<Fd> OpenFolderAt(int parent, const std::string& name) {
  if (::mkdirat(parent, name.c_str(), 0700) != 0 && errno != EEXIST) return OsError("make " + name, errno);
  Fd folder(::openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!folder.valid()) return OsError(name, errno);
  return folder;
}

Status ReplaceFileAt(int folder, const std::string& name, std::string_view content) {
  const std::string draft = std::string(kHalfWritten) + RandomHex(8);
  Fd file(::openat(folder, draft.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file.valid()) return OsError(name, errno);
  Status done = WriteAll(file.get(), name, content);
  if (done && ::fsync(file.get()) != 0) done = OsError(name, errno);
  if (done && ::renameat(folder, draft.c_str(), folder, name.c_str()) != 0) done = OsError(name, errno);
  if (!done) {
    (void)::unlinkat(folder, draft.c_str(), 0);
    return done;
  }
  if (::fsync(folder) != 0) return OsError(name, errno);
  return {};
}

Result<std::string> ReadFileAt(int folder, const std::string& name, size_t max_bytes) {
  const Fd file(::openat(folder, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  struct stat about = {};
  if (!file.valid() || ::fstat(file.get(), &about) != 0) return OsError(name, errno);
  if (!S_ISREG(about.st_mode)) return OsError(name, EINVAL);
  return ReadAll(file.get(), name, max_bytes);
}

Result<std::vector<std::string>> ListFilesAt(int folder) {
  std::vector<std::string> names;
  Fd own(::openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(own.valid() ? ::fdopendir(own.get()) : nullptr,
                                                   &::closedir);
  if (!stream) return OsError("list a folder", errno);
  (void)own.Release();
  while (const dirent* entry = ::readdir(stream.get())) {
    struct stat about = {};
    if (::fstatat(folder, entry->d_name, &about, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(about.st_mode))
      names.emplace_back(entry->d_name);
  }
  return names;
}

}  // namespace reeve
