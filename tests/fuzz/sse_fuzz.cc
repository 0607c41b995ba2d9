// However an event stream is cut, the parser gives the same events.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "process/sse_parser.h"

namespace {

std::vector<std::string> Parse(std::string_view bytes, const std::vector<size_t>& cuts) {
  reeve::SseParser parser(64);
  std::vector<std::string> events;
  bool fits = true;
  auto take = [&events](const reeve::SseEvent& event) {
    events.push_back(event.event + '\0' + event.data + '\0' + event.id + (event.has_id ? "+" : "-"));
  };
  for (size_t cut : cuts) {
    fits &= parser.Feed(bytes.substr(0, cut), take);
    bytes.remove_prefix(cut);
  }
  fits &= parser.Feed(bytes, take);
  if (!fits) events.emplace_back("dropped");
  return events;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // The first bytes say where to cut the rest.
  size_t count = size > 0 ? data[0] % 8 : 0;
  if (size < count + 1) return 0;
  std::string_view bytes(reinterpret_cast<const char*>(data) + count + 1, size - count - 1);
  std::vector<size_t> cuts;
  size_t left = bytes.size();
  for (size_t i = 0; i < count; ++i) {
    size_t cut = data[1 + i] < left ? data[1 + i] : left;
    cuts.push_back(cut);
    left -= cut;
  }
  if (Parse(bytes, {}) != Parse(bytes, cuts)) std::abort();
  if (Parse(bytes, {}) != Parse(bytes, std::vector<size_t>(bytes.size(), 1))) std::abort();
  return 0;
}
