// `reeve replay`: plays a transcript (orchestrator/log/transcript.h) back on stdin and stdout, in place of
// the agent. It prints the agent's lines and waits for input wherever the agent received some.
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "control/cli/commands/commands.h"
#include "control/cli/line/exit_code.h"
#include "orchestrator/json/json.h"
#include "process/clock.h"
#include "process/result.h"

namespace reeve {

namespace {

struct ReplayOptions {
  std::string file;
  double speed = 1;   // times the pace of the recording
  bool fast = false;  // without pauses
};

struct RecordedLine {
  std::string dir;       // "in": the agent's stdout, "err": its stderr, "out": its stdin
  int64_t time_ms = 0;   // wall clock
  std::string text;      // bytes
  bool partial = false;  // the line continues in the next one of its kind
};

std::optional<RecordedLine> LineOf(const JsonDocument& json) {
  const auto text = json["text"].AsString();
  RecordedLine line;
  line.dir = json["dir"].StringOr("");
  if (!text || (line.dir != "in" && line.dir != "err" && line.dir != "out")) return std::nullopt;
  line.text = *text;
  if (json["encoding"]) {
    auto bytes = FromBase64(line.text);
    if (!bytes) return std::nullopt;
    line.text = std::move(*bytes);
  }
  line.time_ms = ParseTime(std::string(json["time"].StringOr(""))).value_or(0);
  line.partial = json["partial"].AsBool().value_or(false);
  return line;
}

// An agent such as opencode prints the address of its HTTP server; its events come from there, not from
// stdout.
bool IsServer(const std::vector<RecordedLine>& lines) {
  bool listens = false;
  bool events = false;
  for (const RecordedLine& line : lines) {
    if (line.dir == "out") continue;
    auto json = JsonDocument::Parse(line.text);
    listens |= !json && line.text.find("server listening on http://") != std::string::npos;
    events |= json && (*json)["type"] && (*json)["properties"];
  }
  return listens && events;
}

// Errors: "not_found", "invalid_json".
Result<std::vector<RecordedLine>> ReadRecording(const std::string& path) {
  std::ifstream file(path);
  if (!file) return Error{"not_found", path + " cannot be read"};
  std::vector<RecordedLine> lines;
  size_t number = 0;
  for (std::string text; std::getline(file, text);) {
    ++number;
    auto json = JsonDocument::Parse(text);
    if (!json) continue;  // cut off when the disk was full
    auto line = LineOf(*json);
    if (!line)
      return Error{"invalid_json", path + ":" + std::to_string(number) + ": not a line of a transcript"};
    lines.push_back(std::move(*line));
  }
  if (lines.empty()) return Error{"invalid_json", path + " holds no transcript"};
  if (IsServer(lines))
    return Error{"invalid_json", path + " is the transcript of an HTTP server, which cannot be replayed"};
  return lines;
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

void Pause(const ReplayOptions& options, int64_t last_ms, int64_t next_ms) {
  constexpr int64_t kLongestMs = 60'000;  // however long the agent took: somebody watches the replay
  if (options.fast || last_ms == 0 || next_ms <= last_ms) return;
  const auto pause_ms = static_cast<double>(std::min(next_ms - last_ms, kLongestMs)) / options.speed;
  std::this_thread::sleep_for(std::chrono::milliseconds(static_cast<int64_t>(pause_ms)));
}

// Ends with the recording and stdin; earlier if stdin ends while the recording expects input, or if nobody
// reads the output.
int Replay(const ReplayOptions& options) {
  auto lines = ReadRecording(options.file);
  if (!lines) {
    std::fprintf(stderr, "reeve: replay: %s\n", lines.error().message.c_str());
    return lines.error().code == "not_found" ? kNoSuchAgent : kDataError;
  }
  (void)std::signal(SIGPIPE, SIG_IGN);
  int64_t last_ms = 0;
  std::string input;
  for (const RecordedLine& line : *lines) {
    if (line.dir == "out") {
      if (!std::getline(std::cin, input)) return kOk;
    } else {
      Pause(options, last_ms, line.time_ms);
      const std::string text = line.partial ? line.text : line.text + '\n';
      if (!WriteAll(line.dir == "in" ? STDOUT_FILENO : STDERR_FILENO, text)) return kOk;
    }
    last_ms = line.time_ms;
  }
  while (std::getline(std::cin, input)) {
  }
  return kOk;
}

}  // namespace

void AddReplay(Command root) {
  auto options = std::make_shared<ReplayOptions>();
  Command command = root.Add("replay", "Play a transcript back in place of the agent.");
  command.Details(
      "Use it as the command of an agent of the recorded kind. The daemon keeps a transcript of an agent "
      "whose spec has \"record\": true; `reeve transcript` prints it. A transcript of an HTTP server "
      "(opencode, kilo) cannot be played back.");
  command.Argument("FILE", options->file, "The transcript").Required();
  command.Option("--speed", options->speed, 0.001, 1e6, "How many times as fast as the recording")
      .Default("1");
  command.Flag("--fast", options->fast, "Make no pauses at all, whatever --speed says");
  command.AllowExtras();  // a kind appends its own options to the command line of its program
  command.Example("reeve run --kind claude --prompt hello -- reeve replay turn.jsonl",
                  "repeats what claude said in the recording");
  command.Action([options] { return Replay(*options); });
}

}  // namespace reeve
