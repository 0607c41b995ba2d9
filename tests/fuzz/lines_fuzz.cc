// However a byte stream is cut, Lines gives the same lines, none beyond its limit.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "process/lines.h"

namespace {

constexpr size_t kMaxBytes = 16;
using Cut = std::vector<std::pair<std::string, bool>>;

Cut Split(std::string_view bytes, size_t step) {
  reeve::Lines lines(kMaxBytes);
  Cut got;
  auto take = [&got](std::string_view line, bool truncated) {
    if (line.size() > kMaxBytes) std::abort();
    got.emplace_back(line, truncated);
  };
  while (!bytes.empty()) {
    size_t size = step < bytes.size() ? step : bytes.size();
    lines.Feed(bytes.substr(0, size), take);
    bytes.remove_prefix(size);
  }
  lines.Finish(take);
  return got;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  size_t step = data[0] + size_t{1};
  std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  Cut whole = Split(bytes, bytes.size() + 1);
  if (Split(bytes, step) != whole || Split(bytes, 1) != whole) std::abort();
  return 0;
}
