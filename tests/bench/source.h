// Source: where events come from, for all servers alike: a child program (this one, `reeve_bench source`)
// that prints JSON lines, as an agent does, when a line on its stdin says so.
#pragma once

#include <string>
#include <vector>

namespace reeve::bench {

// Every line begins so; what follows, to the closing brace, is `data` of the event.
inline constexpr char kLineStart[] = R"({"type":"assistant.delta",)";
// In data, before the time at which the line was made: CLOCK_MONOTONIC, ns.
inline constexpr char kStampStart[] = R"("t":)";

// About 300 bytes an event, envelope and frame included.
inline constexpr int kLineBytes = 170;

// The command of the child; its lines are `line_bytes` long, newline included.
std::vector<std::string> SourceCommand(int line_bytes = kLineBytes);
// The order for its stdin, without the newline: `count` lines at `rate` per second, each with a write of its
// own; with rate 0 as fast as they are read, 64 KiB per write.
std::string SourceOrder(int64_t count, int64_t rate);

// The child: obeys orders from stdin until it ends.
int RunSource(int line_bytes);

}  // namespace reeve::bench
