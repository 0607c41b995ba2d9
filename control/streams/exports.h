// Exports: the downloads of whole agents (control/api/API.md, "Export"). A download makes the next piece when
// its socket has taken the last one. So a slow reader costs the memory of one piece and delays nobody.
//
// Owned by the Daemon; on the loop's thread. The loop, the town and the store outlive it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "control/http/http.h"
#include "process/timer.h"

namespace reeve {

class Loop;
class Store;
class Town;

class Exports {
 public:
  struct Limits {
    size_t downloads = 100;
    int64_t stall_ms = 600'000;  // a download is closed if its client reads nothing for so long
    size_t piece_bytes = size_t{64} << 10;
    int pieces_a_turn = 4;  // of one download; then it is the turn of the others
  };

  Exports(Loop& loop, Town& town, Store& store, Limits limits);
  ~Exports();
  Exports(const Exports&) = delete;
  Exports& operator=(const Exports&) = delete;

  // Answers `reply` with the agents `ids`, one after another. `headers` are those of CORS. The download ends
  // when `token` is no longer valid. Error "too_many_exports"; `reply` is then unused.
  Status Open(Reply& reply, std::vector<std::string> ids, const Headers& headers,
              const std::string& request_id, uint64_t token);
  void CloseByToken(uint64_t token);
  void SetTimeouts(int64_t stall_ms) { limits_.stall_ms = stall_ms; }
  [[nodiscard]] size_t open() const { return all_.size(); }

 private:
  class Download;
  void Remove(Download& download);
  void CheckTimeouts();  // closes stalled downloads and destroys closed ones

  Loop& loop_;
  Town& town_;
  Store& store_;
  Limits limits_;
  std::vector<std::unique_ptr<Download>> all_;
  std::vector<std::unique_ptr<Download>> gone_;  // closed; may still be on the stack
  Timer scan_;
};

}  // namespace reeve
