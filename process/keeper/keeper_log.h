// KeeperLog: the keeper's lines on stderr, which look like those of the daemon (process/log.h): "time level
// keeper: message". Owned by the Keeper. Writing never waits: a line that stderr does not take is dropped,
// and a later line tells how many were.
#pragma once

#include <string>
#include <string_view>

#include "process/line_writer.h"

namespace reeve::keeper {

class KeeperLog {
 public:
  KeeperLog();
  void Info(std::string_view message) { Write("info", message); }
  void Warning(std::string_view message) { Write("warning", message); }
  void Failure(std::string_view message) { Write("error", message); }

 private:
  void Write(std::string_view level, std::string_view message);

  LineWriter writer_;
};

}  // namespace reeve::keeper
