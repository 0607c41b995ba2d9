#include "process/log.h"

#include <poll.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <new>
#include <string>

#include "process/line_writer.h"

namespace reeve::log {

namespace {

// stderr. A reader that does not read must not hold up the loop.
class StderrSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  uint64_t Dropped() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return writer_.dropped();
  }
  void CopyTo(std::function<void(std::string_view)> copy) {
    const std::lock_guard<std::mutex> lock(mutex_);
    copy_ = std::move(copy);
  }

 private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    std::string line = Format(message);
    if (copy_) copy_(line);
    writer_.Write(std::move(line));
  }
  void flush_() override {}

  std::string Format(const spdlog::details::log_msg& message) {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    return {line.data(), line.size()};
  }

  std::string NoteOf(uint64_t dropped) {
    const std::string text =
        fmt::format("the log lost {} lines, because nobody read it or its disk was full", dropped);
    return Format({"reeve", spdlog::level::warn, text});
  }

  std::function<void(std::string_view)> copy_;
  LineWriter writer_{STDERR_FILENO, [this](uint64_t dropped) { return NoteOf(dropped); }};
};

const std::shared_ptr<StderrSink>& TheSink() {
  // Never destroyed, as the logger.
  static const auto* const sink = new auto(std::make_shared<StderrSink>());
  return *sink;
}

spdlog::logger& Logger() {
  // Never destroyed, because threads may log until the process is gone.
  static spdlog::logger* const logger = [] {
    auto* made = new spdlog::logger("reeve", TheSink());
    made->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %l %v", spdlog::pattern_time_type::utc);
    made->set_level(spdlog::level::info);
    return made;
  }();
  return *logger;
}

spdlog::level::level_enum ToSpdlog(Level level) {
  switch (level) {
    case Level::kDebug:
      return spdlog::level::debug;
    case Level::kInfo:
      return spdlog::level::info;
    case Level::kWarning:
      return spdlog::level::warn;
    case Level::kError:
      return spdlog::level::err;
    case Level::kOff:
      return spdlog::level::off;
  }
  return spdlog::level::off;
}

// Async-signal-safe, and does not wait for the reader of stderr.
void LastLine(std::string_view line) {
  pollfd ready = {STDERR_FILENO, POLLOUT, 0};
  if (poll(&ready, 1, 0) == 1) (void)!write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace

void SetLevel(Level level) { Logger().set_level(ToSpdlog(level)); }
bool Enabled(Level level) { return Logger().should_log(ToSpdlog(level)); }
void Write(Level level, std::string_view message) { Logger().log(ToSpdlog(level), message); }

void TellOfAborts() {
  std::set_terminate([] {
    std::string_view reason = "reeve: ended by an error that nothing caught\n";
    if (const std::exception_ptr failure = std::current_exception()) {
      try {
        std::rethrow_exception(failure);
      } catch (const std::bad_alloc&) {
        reason = "reeve: out of memory\n";
      } catch (...) {
      }
    }
    LastLine(reason);
    (void)std::signal(SIGABRT, SIG_DFL);
    std::abort();
  });
  struct sigaction present {};
  if (sigaction(SIGABRT, nullptr, &present) != 0 || present.sa_handler != SIG_DFL) return;  // a sanitizer's
  (void)std::signal(SIGABRT, [](int) {
    LastLine("reeve: a library aborted, which it does for want of memory, threads or descriptors\n");
    (void)std::signal(SIGABRT, SIG_DFL);
    (void)std::raise(SIGABRT);
  });
}

uint64_t Dropped() { return TheSink()->Dropped(); }
void CopyTo(std::function<void(std::string_view)> copy) { TheSink()->CopyTo(std::move(copy)); }

}  // namespace reeve::log
