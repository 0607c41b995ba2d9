// However a byte stream is cut, the pieces of Lines, joined, are the bytes, and none is beyond its limit.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "process/lines.h"

namespace {

constexpr size_t kMaxBytes = 16;

std::string Joined(std::string_view bytes, size_t step) {
  reeve::Lines lines(kMaxBytes);
  std::string joined;
  auto take = [&joined](const reeve::Lines::Piece& piece) {
    if (piece.text.size() > kMaxBytes) std::abort();
    joined += piece.text;
    if (piece.ends) joined += '\n';
  };
  while (!bytes.empty()) {
    size_t size = step < bytes.size() ? step : bytes.size();
    lines.Feed(bytes.substr(0, size), take);
    bytes.remove_prefix(size);
  }
  lines.Flush(true, take);
  return joined;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  size_t step = data[0] + size_t{1};
  std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  for (const size_t each : {bytes.size() + 1, step, size_t{1}}) {
    if (Joined(bytes, each) != bytes) std::abort();
  }
  return 0;
}
