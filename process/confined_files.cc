#include "process/confined_files.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <memory>

#include "process/fd.h"

namespace reeve {

namespace {

// `path` as seen from `folder`; empty when it is not below it. The folder may be spelled in two ways.
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
      static_cast<unsigned>(flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);  // no waiting for a pipe's other end
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

}  // namespace

Result<std::string> ReadFileWithin(const std::string& folder, const std::string& path, size_t max_bytes) {
  auto file = OpenWithin(folder, path, O_RDONLY);
  if (!file) return file.error();
  std::string content;
  char buffer[65536];
  for (;;) {
    const ssize_t got = ::read(file->get(), buffer, sizeof(buffer));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return OsError(path, errno);
    if (got == 0) return content;
    content.append(buffer, static_cast<size_t>(got));
    if (content.size() > max_bytes)
      return Error{"too_large", path + ": more than " + std::to_string(max_bytes) + " bytes"};
  }
}

Status WriteFileWithin(const std::string& folder, const std::string& path, std::string_view content) {
  auto file = OpenWithin(folder, path, O_WRONLY | O_CREAT);
  if (!file) return file.error();
  // Not O_TRUNC: what is opened is looked at first.
  if (::ftruncate(file->get(), 0) != 0) return OsError(path, errno);
  while (!content.empty()) {
    const ssize_t written = ::write(file->get(), content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return OsError(path, errno);
    content.remove_prefix(static_cast<size_t>(written));
  }
  return {};
}

}  // namespace reeve
