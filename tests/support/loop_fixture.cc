#include "tests/support/loop_fixture.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "process/timer.h"

namespace reeve {

bool RunUntil(Loop& loop, const std::function<bool()>& condition, int64_t deadline_ms) {
  SystemClock clock;
  int64_t deadline = clock.MonotonicMs() + deadline_ms;
  Timer tick(loop, [] {});  // wakes the loop, so that conditions outside of it are seen too
  tick.Start(5, 5);
  while (!condition()) {
    if (clock.MonotonicMs() > deadline) return false;
    loop.RunOnce(true);
  }
  return true;
}

TempDir::TempDir() {
  std::string name = (std::filesystem::temp_directory_path() / "reeve-test-XXXXXX").string();
  if (!mkdtemp(name.data())) std::abort();
  path_ = name;
}

TempDir::~TempDir() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream bytes;
  bytes << file.rdbuf();
  return bytes.str();
}

void WriteFile(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

size_t OpenDescriptors() {
  size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) ++count;
  return count - 1;  // the iterator's own
}

}  // namespace reeve
