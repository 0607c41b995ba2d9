#include "control/cli/commands/replay.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <iostream>
#include <memory>
#include <string_view>
#include <thread>

#include "control/cli/commands/commands.h"
#include "control/cli/commands/recording.h"
#include "control/cli/commands/replay_server.h"
#include "control/cli/line/exit_code.h"

namespace reeve {

namespace {

using Dir = RecordedLine::Dir;

bool WriteAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

int ReplayOnPipes(const std::vector<RecordedLine>& lines, const ReplayOptions& options) {
  int64_t last_ms = 0;
  std::string heard;
  for (const RecordedLine& line : lines) {
    if (line.dir == Dir::kOut) {
      if (!std::getline(std::cin, heard)) return kOk;
      last_ms = line.time_ms;
      continue;
    }
    const int64_t pause_ms = PauseMs(options, last_ms, line.time_ms);
    if (pause_ms > 0) std::this_thread::sleep_for(std::chrono::milliseconds(pause_ms));
    last_ms = line.time_ms;
    const std::string text = line.partial ? line.text : line.text + '\n';
    if (!WriteAll(line.dir == Dir::kIn ? STDOUT_FILENO : STDERR_FILENO, text)) return kOk;
  }
  while (std::getline(std::cin, heard)) {
  }
  return kOk;
}

}  // namespace

int64_t PauseMs(const ReplayOptions& options, int64_t last_ms, int64_t next_ms) {
  constexpr int64_t kLongestMs = 60'000;  // however long the agent thought: a replay is watched
  if (options.fast || last_ms == 0 || next_ms <= last_ms) return 0;
  return static_cast<int64_t>(static_cast<double>(std::min(next_ms - last_ms, kLongestMs)) / options.speed);
}

int Replay(const ReplayOptions& options) {
  auto lines = ReadRecording(options.file);
  if (!lines) {
    std::fprintf(stderr, "reeve: replay: %s\n", lines.error().message.c_str());
    return lines.error().code == "not_found" ? kNoSuchAgent : kDataError;
  }
  (void)std::signal(SIGPIPE, SIG_IGN);
  return IsOfServer(*lines) ? ReplayAsServer(*lines, options) : ReplayOnPipes(*lines, options);
}

void AddReplay(Command root) {
  auto options = std::make_shared<ReplayOptions>();
  Command command = root.Add("replay", "Play a transcript back as the agent it was taken of.");
  command.Details(
      "Give it as an agent's command, with the kind that was recorded. A spec with \"record\": true makes a "
      "transcript, GET /agents/ID/transcript gives it.");
  command.Argument("FILE", options->file, "The transcript").Required();
  command.Option("--speed", options->speed, 0.001, 1e6, "Times the recording's pace").Default("1");
  command.Flag("--fast", options->fast, "As fast as it goes");
  command.AllowExtras();  // what a kind appends to its program's command line
  command.Example("reeve run --kind claude --prompt hello -- reeve replay turn.jsonl",
                  "an agent that says again what a claude said");
  command.Action([options] { return Replay(*options); });
}

}  // namespace reeve
