#include "control/cli/replay.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <optional>
#include <string_view>
#include <thread>

#include "control/cli/client.h"
#include "orchestrator/json.h"
#include "process/clock.h"

namespace reeve {

namespace {

// However long the agent thought: a replay is watched.
constexpr int64_t kLongestPauseMs = 60'000;

struct Line {
  enum class Dir { kIn, kErr, kOut } dir = Dir::kIn;
  int64_t time_ms = 0;
  std::string text;
  bool partial = false;
};

std::optional<Line> ReadLine(const std::string& text) {
  auto json = JsonDocument::Parse(text);
  if (!json) return std::nullopt;
  const std::string_view dir = (*json)["dir"].StringOr("");
  Line line;
  if (dir == "in") {
    line.dir = Line::Dir::kIn;
  } else if (dir == "err") {
    line.dir = Line::Dir::kErr;
  } else if (dir == "out") {
    line.dir = Line::Dir::kOut;
  } else {
    return std::nullopt;
  }
  auto said = (*json)["text"].AsString();
  if (!said) return std::nullopt;
  line.text = *said;
  if ((*json)["encoding"]) {
    auto bytes = FromBase64(line.text);
    if (!bytes) return std::nullopt;
    line.text = std::move(*bytes);
  }
  line.time_ms = ParseTime(std::string((*json)["time"].StringOr(""))).value_or(0);
  line.partial = (*json)["partial"].AsBool().value_or(false);
  return line;
}

bool WriteAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

}  // namespace

int Replay(const ReplayOptions& options) {
  std::ifstream file(options.file);
  if (!file) {
    std::fprintf(stderr, "reeve replay: %s cannot be read\n", options.file.c_str());
    return kNoSuchAgent;
  }
  (void)std::signal(SIGPIPE, SIG_IGN);
  int64_t last_ms = 0;
  size_t number = 0;
  size_t played = 0;
  std::string heard;
  for (std::string text; std::getline(file, text);) {
    ++number;
    auto line = ReadLine(text);
    if (!line) {
      if (text.empty()) continue;
      std::fprintf(stderr, "reeve replay: %s:%zu: not a line of a transcript\n", options.file.c_str(),
                   number);
      return kDataError;
    }
    ++played;
    if (line->dir == Line::Dir::kOut) {
      if (!std::getline(std::cin, heard)) return kOk;
      last_ms = line->time_ms;
      continue;
    }
    if (!options.fast && last_ms != 0 && line->time_ms > last_ms) {
      const int64_t pause_ms = std::min(line->time_ms - last_ms, kLongestPauseMs);
      std::this_thread::sleep_for(
          std::chrono::duration<double, std::milli>(static_cast<double>(pause_ms) / options.speed));
    }
    last_ms = line->time_ms;
    if (!line->partial) line->text += '\n';
    if (!WriteAll(line->dir == Line::Dir::kIn ? STDOUT_FILENO : STDERR_FILENO, line->text)) return kOk;
  }
  if (played == 0) {
    std::fprintf(stderr, "reeve replay: %s holds no transcript\n", options.file.c_str());
    return kDataError;
  }
  while (std::getline(std::cin, heard)) {
  }
  return kOk;
}

}  // namespace reeve
