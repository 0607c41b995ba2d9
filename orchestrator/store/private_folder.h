// PrivateFolder: the files on disk that only one agent's process may read:
//
//     DATA/agents/<id>/      0700
//       files/<name>         0600: the spec's `files`, and those added later
//       token                0600: the bearer token of an agent that may use the API
//
// The folder is also the only record of these contents: they are stored nowhere else, and no API returns
// them. A file is always replaced as a whole, so a process that opens it finds a complete one. The agent's
// own user may write here as well, so no link in this folder is followed.
//
// Owned by its Agent, on the loop's thread. Files are written on the pool, because that waits for the disk.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "process/fd.h"
#include "process/result.h"

namespace reeve {

class Loop;

class PrivateFolder {
 public:
  static constexpr size_t kMaxFiles = 64;
  static constexpr size_t kMaxFileBytes = size_t{256}
                                          << 10;  // for a key, a certificate chain, a settings file

  using Done = std::function<void(Status)>;  // called even if this object is gone by then

  // `parent` is an existing folder of the daemon's own.
  PrivateFolder(Loop& loop, const std::string& parent, const std::string& agent);
  PrivateFolder(const PrivateFolder&) = delete;
  PrivateFolder& operator=(const PrivateFolder&) = delete;

  // Reads the names of the files that an earlier daemon left. Changes nothing.
  void Load();
  // Removes half-written files that an earlier daemon left.
  void Sweep() const;
  // Makes the folders that do not exist yet.
  Status Make();

  [[nodiscard]] std::string path() const { return parent_ + "/" + agent_; }
  [[nodiscard]] const std::string& files_path() const { return files_path_; }
  [[nodiscard]] const std::string& token_path() const { return token_path_; }
  [[nodiscard]] const std::set<std::string>& names() const { return names_; }
  // The contents of all files of at most `max_bytes`.
  [[nodiscard]] std::vector<std::string> Contents(size_t max_bytes) const;

  // Writes `files`, and `token` if it is not empty. They are on disk when `done` reports success. Errors
  // "invalid_request" (too many files), "os_error".
  void Write(std::map<std::string, std::string> files, const std::string& token, Done done);
  // Removes a file, likewise. Error "file_not_found".
  void Remove(const std::string& name, Done done);

  // The stored token; empty: there is none, or not one that we wrote.
  [[nodiscard]] std::string Token() const;
  // 256 bits in hex.
  static std::string NewToken();

 private:
  struct Folders {
    Fd parent;
    Fd own;
    Fd files;
  };
  Result<Folders> Open();

  Loop& loop_;
  const std::string parent_;
  const std::string agent_;
  const std::string files_path_;
  const std::string token_path_;
  std::set<std::string> names_;
  size_t writing_ = 0;  // files being written
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

// [A-Za-z0-9_-][A-Za-z0-9._-]{0,63}: no path, no hidden file, nothing that a shell would expand.
bool IsFileName(std::string_view name);

}  // namespace reeve
