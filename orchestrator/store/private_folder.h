// PrivateFolder: what is on disk for one agent's process to read, and for nobody else:
//
//   DATA/agents/<id>/      0700
//     files/<name>         0600: the spec's `files`, and what was put since
//     token                0600: the bearer token of an agent that may use the API
//
// It is the record too: contents are nowhere else, and nothing gives them back. A file is replaced whole, so
// that a process that opens it afresh always finds a good one. The agent's own user may write here as well;
// so nothing here is followed if it is a link.
//
// Owned by its Agent, on the loop's thread; files are written on the pool, as that waits for the disk.
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
  static constexpr size_t kMaxFileBytes = size_t{256} << 10;  // a key, a certificate chain, a settings file

  using Done = std::function<void(Status)>;  // also when this has gone

  // `parent` is an existing folder of the daemon's own.
  PrivateFolder(Loop& loop, const std::string& parent, const std::string& agent);
  PrivateFolder(const PrivateFolder&) = delete;
  PrivateFolder& operator=(const PrivateFolder&) = delete;

  // The names that an earlier daemon left. Reads only.
  void Load();
  // Half-written files that an earlier daemon left go.
  void Sweep() const;
  // Makes the folders, where they are not there.
  Status Make();

  [[nodiscard]] std::string path() const { return parent_ + "/" + agent_; }
  [[nodiscard]] const std::string& files_path() const { return files_path_; }
  [[nodiscard]] const std::string& token_path() const { return token_path_; }
  [[nodiscard]] const std::set<std::string>& names() const { return names_; }
  // What is in the files of at most `max_bytes`.
  [[nodiscard]] std::vector<std::string> Contents(size_t max_bytes) const;

  // On disk when `done` says so. Error "invalid_request" (too many), "os_error". `token`: that one too, where
  // it is not empty.
  void Write(std::map<std::string, std::string> files, const std::string& token, Done done);
  // Likewise. Error "file_not_found".
  void Remove(const std::string& name, Done done);

  // The token that is there; empty: none, or none of ours.
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
  size_t writing_ = 0;  // files under way
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

// [A-Za-z0-9_-][A-Za-z0-9._-]{0,63}: no path, no hidden file, nothing that a shell would expand.
bool IsFileName(std::string_view name);

}  // namespace reeve
