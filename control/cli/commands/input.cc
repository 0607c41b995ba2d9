#include "control/cli/commands/input.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "orchestrator/config/units.h"
#include "orchestrator/json/json.h"

namespace reeve {

Result<int64_t> ReadDuration(const char* option, const std::string& value) {
  auto duration = ParseDuration(value);
  if (!duration) return Error{"invalid_request", std::string(option) + ": " + duration.error().message};
  return duration;
}

Result<std::string> ReadText(const char* about, const std::string& text) {
  constexpr size_t kMaxBytes = size_t{1} << 20;
  if (text != "-") return text;
  std::string input;
  char piece[65536];
  while (const size_t got = std::fread(piece, 1, sizeof piece, stdin)) {
    input.append(piece, got);
    if (input.size() > kMaxBytes)
      return Error{"invalid_request", std::string(about) + ": more than 1 MiB on stdin"};
  }
  if (std::ferror(stdin) != 0)
    return Error{"invalid_request", OsError(std::string(about) + ": stdin", errno).message};
  if (!IsUtf8(input)) return Error{"invalid_request", std::string(about) + ": stdin is not UTF-8"};
  return input;
}

EventPrinter::Options PrinterOptions(const Console& console, const std::vector<std::string>& ids, bool live) {
  EventPrinter::Options options;
  options.json = console.json();
  options.colours = console.colours();
  options.names = ids.size() > 1;
  for (const std::string& id : ids) options.name_width = std::max(options.name_width, id.size());
  options.live = live && console.columns() != 0;
  options.columns = console.columns();
  return options;
}

}  // namespace reeve
