#include "orchestrator/store/private_folder.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <utility>

#include "process/confined_files.h"
#include "process/log.h"
#include "process/loop.h"
#include "process/random.h"

namespace reeve {

namespace {

constexpr size_t kTokenBytes = 32;

// The agent's process runs in another folder, so it must get an absolute path.
std::string Absolute(const std::string& path) {
  std::error_code error;
  const std::filesystem::path absolute = std::filesystem::absolute(path, error);
  return error ? path : absolute.lexically_normal().string();
}

Fd OpenFolder(int parent, const char* name) {
  return Fd(openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
}

bool IsToken(const std::string& text) {
  return text.size() == 2 * kTokenBytes && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

}  // namespace

bool IsFileName(std::string_view name) {
  auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
  };
  return !name.empty() && name.size() <= 64 && name[0] != '.' && std::all_of(name.begin(), name.end(), fits);
}

PrivateFolder::PrivateFolder(Loop& loop, const std::string& parent, const std::string& agent)
    : loop_(loop),
      parent_(Absolute(parent)),
      agent_(agent),
      files_path_(parent_ + "/" + agent + "/files"),
      token_path_(parent_ + "/" + agent + "/token") {}

Result<PrivateFolder::Folders> PrivateFolder::Open() {
  const std::string what = "agent " + agent_ + ": its private folder: ";
  Folders folders;
  folders.parent = OpenFolder(AT_FDCWD, parent_.c_str());
  if (!folders.parent.valid()) return OsError(what + parent_, errno);
  auto own = OpenFolderAt(folders.parent.get(), agent_);
  if (!own) return Error{own.error().code, what + own.error().message};
  folders.own = std::move(*own);
  auto files = OpenFolderAt(folders.own.get(), "files");
  if (!files) return Error{files.error().code, what + files.error().message};
  folders.files = std::move(*files);
  return folders;
}

Status PrivateFolder::Make() {
  auto folders = Open();
  return folders ? Status() : Status(folders.error());
}

void PrivateFolder::Load() {
  const Fd own = OpenFolder(AT_FDCWD, (parent_ + "/" + agent_).c_str());
  const Fd files = own.valid() ? OpenFolder(own.get(), "files") : Fd();
  if (!files.valid()) return;
  auto names = ListFilesAt(files.get());
  if (!names) return;
  for (std::string& name : *names) {
    if (IsFileName(name)) names_.insert(std::move(name));
  }
}

void PrivateFolder::Sweep() const {
  const Fd own = OpenFolder(AT_FDCWD, (parent_ + "/" + agent_).c_str());
  const Fd files = own.valid() ? OpenFolder(own.get(), "files") : Fd();
  for (const Fd* folder : {&own, &files}) {
    auto names = folder->valid() ? ListFilesAt(folder->get()) : Result<std::vector<std::string>>(Error{});
    if (!names) continue;
    for (const std::string& name : *names) {
      if (name.starts_with(kHalfWritten)) (void)unlinkat(folder->get(), name.c_str(), 0);
    }
  }
}

std::vector<std::string> PrivateFolder::Contents(size_t max_bytes) const {
  std::vector<std::string> contents;
  const Fd files = OpenFolder(AT_FDCWD, files_path_.c_str());
  for (const std::string& name : names_) {
    auto content = ReadFileAt(files.get(), name, max_bytes);
    if (content) contents.push_back(std::move(*content));
  }
  return contents;
}

void PrivateFolder::Write(std::map<std::string, std::string> files, const std::string& token, Done done) {
  const auto is_new = [this](const auto& file) { return names_.count(file.first) == 0; };
  const auto added = static_cast<size_t>(std::count_if(files.begin(), files.end(), is_new));
  if (names_.size() + writing_ + added > kMaxFiles) {
    return done(Error{"invalid_request", "files: more than " + std::to_string(kMaxFiles)});
  }
  auto opened = Open();
  if (!opened) return done(opened.error());
  writing_ += added;
  // Works by descriptors, so that nothing of this reaches an agent that was purged meanwhile and made again
  // under the same id.
  struct Work {
    Folders folders;
    std::map<std::string, std::string> files;
    std::string token;
    Status status;
  };
  auto work = std::make_shared<Work>(Work{std::move(*opened), std::move(files), token, {}});
  auto write = [work, agent = agent_] {
    for (const auto& [name, content] : work->files) {
      if (work->status) work->status = ReplaceFileAt(work->folders.files.get(), name, content);
    }
    if (work->status && !work->token.empty())
      work->status = ReplaceFileAt(work->folders.own.get(), "token", work->token + "\n");
    for (const Fd* folder : {&work->folders.own, &work->folders.parent}) {
      if (work->status && fsync(folder->get()) != 0) work->status = OsError("its private folder", errno);
    }
    if (!work->status) {
      const Error& error = work->status.error();
      work->status = Error{error.code, "agent " + agent + ": files: " + error.message};
    }
  };
  loop_.Offload(std::move(write),
                [this, alive = std::weak_ptr<bool>(alive_), work, added, done = std::move(done)] {
                  if (!alive.expired()) {
                    writing_ -= added;
                    for (const auto& [name, content] : work->files) {
                      if (work->status) names_.insert(name);
                    }
                  }
                  done(work->status);
                });
}

void PrivateFolder::Remove(const std::string& name, Done done) {
  if (names_.erase(name) == 0)
    return done(Error{"file_not_found", "agent " + agent_ + " has no file " + name});
  auto files = std::make_shared<Fd>(OpenFolder(AT_FDCWD, files_path_.c_str()));
  auto status = std::make_shared<Status>();
  loop_.Offload(
      [files, status, name] {
        const bool gone = unlinkat(files->get(), name.c_str(), 0) == 0 || errno == ENOENT;
        if (!gone || fsync(files->get()) != 0) *status = OsError("files: " + name, errno);
      },
      [status, done = std::move(done)] { done(*status); });
}

std::string PrivateFolder::Token() const {
  const Fd own = OpenFolder(AT_FDCWD, (parent_ + "/" + agent_).c_str());
  if (!own.valid()) return {};
  auto text = ReadFileAt(own.get(), "token", 2 * kTokenBytes + 1);
  if (!text) return {};
  if (!text->empty() && text->back() == '\n') text->pop_back();
  return IsToken(*text) ? *text : std::string();
}

std::string PrivateFolder::NewToken() { return RandomHex(kTokenBytes); }

}  // namespace reeve
