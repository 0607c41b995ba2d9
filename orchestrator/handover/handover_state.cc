#include "orchestrator/handover/handover_state.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "orchestrator/handover/saved_state.h"

namespace reeve {

std::string HandoverState::ToText() const {
  StateWriter head;
  head("format", kFormat);
  Members(*this, head);
  head("agents", agents.size());
  std::string text = head.Take() + '\n';
  for (const std::string& agent : agents) (text += agent) += '\n';
  return text;
}

Result<HandoverState> HandoverState::Parse(std::string_view text) {
  auto next_line = [&text] {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    return line;
  };
  auto json = JsonDocument::Parse(next_line());
  if (!json) return Error{"handover_state", "the state's first line: " + json.error().message};
  const auto format = (*json)["format"].AsInt();
  if (!format) return Error{"handover_state", "the state has no format"};
  if (*format != kFormat) {
    return Error{"handover_state", "the state has format " + std::to_string(*format) +
                                       "; this reeve reads format " + std::to_string(kFormat) + " only"};
  }
  HandoverState state;
  size_t count = 0;
  StateReader head(json->root());
  Members(state, head);
  head("agents", count);
  if (!head.status()) return head.status().error();
  while (!text.empty()) state.agents.emplace_back(next_line());
  if (state.agents.size() != count) {
    return Error{"handover_state", "the state names " + std::to_string(count) + " agents and contains " +
                                       std::to_string(state.agents.size())};
  }
  return state;
}

Result<Fd> PutInMemory(const std::string& text) {
  Fd memory(memfd_create("reeve-handover", MFD_CLOEXEC));
  if (!memory.valid()) return OsError("memfd_create", errno);
  for (size_t written = 0; written < text.size();) {
    const ssize_t taken = write(memory.get(), text.data() + written, text.size() - written);
    if (taken < 0 && errno == EINTR) continue;
    if (taken < 0) return OsError("write the state", errno);
    written += static_cast<size_t>(taken);
  }
  if (lseek(memory.get(), 0, SEEK_SET) != 0) return OsError("seek", errno);
  return memory;
}

Result<HandoverState> ReadState(int fd) {
  const Fd owned(fd);
  (void)lseek(fd, 0, SEEK_SET);
  std::string text;
  size_t size = 0;
  for (;;) {
    text.resize(size + (size_t{1} << 20));
    const ssize_t got = read(fd, text.data() + size, text.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return OsError("read the state", errno);
    if (got == 0) break;
    size += static_cast<size_t>(got);
  }
  text.resize(size);
  return HandoverState::Parse(text);
}

}  // namespace reeve
