// reeve-keeper: the parent process of the daemon and of all agents (keeper.h). `reeve serve` becomes it by
// exec, so it is started by no person.
//
//   reeve-keeper [--orphan-timeout-ms N] [--restart-delay-ms N] [--inherit FD]... [--state FD] -- PROGRAM
//   ARG... reeve-keeper --trial FD
//
// --inherit names a descriptor that this process was started with, such as a listening socket of systemd. The
// daemon finds it under that number as its key. --state and --trial are for the upgrade of the keeper itself
// (keeper_state.h).
#include <fcntl.h>
#include <malloc.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <charconv>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "process/fd.h"
#include "process/keeper/keeper.h"
#include "process/keeper/keeper_state.h"

namespace {

constexpr int kFailed = 1;
constexpr int kUsage = 64;

struct Words {
  std::optional<int64_t> orphan_timeout_ms;
  std::optional<int64_t> restart_delay_ms;
  std::optional<int64_t> state;
  std::optional<int64_t> trial;
  std::vector<int> inherited;
  std::vector<std::string> program;
};

std::optional<int64_t> NumberOf(std::string_view text) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || error != std::errc() || end != text.data() + text.size() || number < 0) return {};
  return number;
}

std::optional<Words> Parse(const std::vector<std::string>& words) {
  Words parsed;
  auto word = words.begin();
  while (word != words.end() && *word != "--") {
    const std::string& option = *word++;
    const auto number = word != words.end() ? NumberOf(*word++) : std::nullopt;
    if (!number) return {};
    if (option == "--orphan-timeout-ms") {
      parsed.orphan_timeout_ms = number;
    } else if (option == "--restart-delay-ms") {
      parsed.restart_delay_ms = number;
    } else if (option == "--state" && *number <= INT32_MAX) {
      parsed.state = number;
    } else if (option == "--inherit" && *number > 2 && *number < int64_t{reeve::keeper::kFirstFreeKey}) {
      parsed.inherited.push_back(static_cast<int>(*number));
    } else if (option == "--trial" && *number <= INT32_MAX) {
      parsed.trial = number;
    } else {
      return {};
    }
  }
  if (word != words.end()) parsed.program.assign(word + 1, words.end());
  if (parsed.trial.has_value() != parsed.program.empty()) return {};
  return parsed;
}

int Refuse(const std::string& reason) {
  std::fprintf(stderr, "reeve-keeper: %s\n", reason.c_str());
  return kFailed;
}

// Descriptors that are opened later must not become stdin, stdout or stderr.
void FillStandardDescriptors() {
  for (;;) {
    const int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (fd < 0) return;
    if (fd > 2) {
      close(fd);
      return;
    }
    (void)fcntl(fd, F_SETFD, 0);
  }
}

int Main(const std::vector<std::string>& arguments) {
  auto words = Parse(arguments);
  if (!words) {
    std::fprintf(stderr, "usage: reeve-keeper [--orphan-timeout-ms N] -- PROGRAM ARG...\n");
    return kUsage;
  }
  if (words->trial) {
    const int state = static_cast<int>(*words->trial);
    const auto loaded = reeve::keeper::LoadState(state);
    if (!loaded) return Refuse(loaded.error().message);
    return reeve::keeper::MarkAccepted(state) ? 0 : kFailed;
  }
#if !defined(REEVE_SANITIZED)
  // Tokens pass through the environment. LeakSanitizer needs to read our memory at exit.
  (void)prctl(PR_SET_DUMPABLE, 0);
#endif
  (void)mallopt(M_MMAP_THRESHOLD, 64 << 10);  // so that large specs are given back to the system
  FillStandardDescriptors();
  rlimit limit{};
  (void)getrlimit(RLIMIT_NOFILE, &limit);
  reeve::RaiseDescriptorLimit();
  reeve::keeper::Keeper::Options options;
  if (words->orphan_timeout_ms) options.orphan_timeout_ms = *words->orphan_timeout_ms;
  options.program = std::move(words->program);
  if (words->restart_delay_ms) options.restart_delay_ms = *words->restart_delay_ms;
  options.soft_limit = limit.rlim_cur;
  options.inherited = std::move(words->inherited);
  reeve::keeper::Keeper keeper(std::move(options));
  if (words->state) {
    const reeve::Fd state(static_cast<int>(*words->state));
    const auto loaded = reeve::keeper::LoadState(state.get());
    if (!loaded) return Refuse(loaded.error().message);
    keeper.Restore(*loaded);
  }
  return keeper.Run();
}

}  // namespace

int main(int argc, char** argv) { return Main({argv + (argc > 0 ? 1 : 0), argv + argc}); }
