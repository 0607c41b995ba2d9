#include "tests/bench/source.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <ctime>
#include <iterator>
#include <string_view>

#include "tests/bench/measure.h"

namespace reeve::bench {

namespace {

bool WriteAll(std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t written = write(STDOUT_FILENO, bytes.data(), bytes.size());
    if (written <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return true;
}

// All lines have one length: the text makes up for the digits.
void AppendLine(std::string& out, int64_t number, size_t line_bytes) {
  static const std::string filler(size_t{4096}, 'x');
  size_t begin = out.size();
  fmt::format_to(std::back_inserter(out), R"({}"message_id":"m","n":{},{}{},"text":")", kLineStart, number,
                 kStampStart, NowNs());
  size_t used = out.size() - begin + 3;
  if (used < line_bytes) out.append(filler, 0, line_bytes - used);
  out.append("\"}\n");
}

void SleepUntil(int64_t ns) {
  timespec until{ns / 1'000'000'000, ns % 1'000'000'000};
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr) != 0) {
  }
}

bool Obey(int64_t count, int64_t rate, size_t line_bytes) {
  constexpr size_t kWriteBytes = size_t{64} << 10;
  int64_t begin = NowNs();
  std::string out;
  for (int64_t i = 0; i < count; ++i) {
    if (rate > 0) SleepUntil(begin + (i + 1) * 1'000'000'000 / rate);
    AppendLine(out, i, line_bytes);
    if (rate == 0 && out.size() < kWriteBytes && i + 1 < count) continue;
    if (!WriteAll(out)) return false;
    out.clear();
  }
  return true;
}

}  // namespace

std::vector<std::string> SourceCommand(int line_bytes) {
  return {SelfPath(), "source", "--line-bytes", std::to_string(line_bytes)};
}

std::string SourceOrder(int64_t count, int64_t rate) { return fmt::format("go {} {}", count, rate); }

int RunSource(int line_bytes) {
  char order[256];
  while (std::fgets(order, sizeof order, stdin)) {
    long long count = 0;
    long long rate = 0;
    if (std::sscanf(order, "go %lld %lld", &count, &rate) != 2) continue;
    if (!Obey(count, rate, static_cast<size_t>(line_bytes))) return 1;
  }
  return 0;
}

}  // namespace reeve::bench
