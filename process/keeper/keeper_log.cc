#include "process/keeper/keeper_log.h"

#include <unistd.h>

#include "process/clock.h"

namespace reeve::keeper {

namespace {

std::string LogLine(std::string_view level, std::string_view message) {
  std::string line = FormatTime(SystemClock().WallMs());
  return line.append(" ").append(level).append(" keeper: ").append(message).append("\n");
}

}  // namespace

KeeperLog::KeeperLog()
    : writer_(STDERR_FILENO, [](uint64_t dropped) {
        return LogLine("warning", "the log lost " + std::to_string(dropped) +
                                      " lines, because nobody read it or its disk was full");
      }) {}

void KeeperLog::Write(std::string_view level, std::string_view message) {
  writer_.Write(LogLine(level, message));
}

}  // namespace reeve::keeper
