#include "control/cli/commands/recording.h"

#include <fstream>
#include <optional>
#include <string_view>
#include <utility>

#include "orchestrator/json/json.h"
#include "process/clock.h"

namespace reeve {

namespace {

std::optional<RecordedLine> ReadLine(const std::string& text) {
  auto json = JsonDocument::Parse(text);
  if (!json) return std::nullopt;
  const std::string_view dir = (*json)["dir"].StringOr("");
  auto said = (*json)["text"].AsString();
  if (!said || (dir != "in" && dir != "err" && dir != "out")) return std::nullopt;
  RecordedLine line;
  line.dir = dir == "in"    ? RecordedLine::Dir::kIn
             : dir == "err" ? RecordedLine::Dir::kErr
                            : RecordedLine::Dir::kOut;
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

}  // namespace

Result<std::vector<RecordedLine>> ReadRecording(const std::string& path) {
  std::ifstream file(path);
  if (!file) return Error{"not_found", path + " cannot be read"};
  std::vector<RecordedLine> lines;
  size_t number = 0;
  for (std::string text; std::getline(file, text);) {
    ++number;
    if (!JsonDocument::Parse(text)) continue;  // torn by a disk that was full
    auto line = ReadLine(text);
    if (!line)
      return Error{"invalid_json", path + ":" + std::to_string(number) + ": not a line of a transcript"};
    lines.push_back(std::move(*line));
  }
  if (lines.empty()) return Error{"invalid_json", path + " holds no transcript"};
  return lines;
}

}  // namespace reeve
