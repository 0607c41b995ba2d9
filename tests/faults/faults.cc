// Preloaded (LD_PRELOAD) into a daemon, it makes the disk fail at one moment: REEVE_FAULT=HOW:N, the N-th
// write, sync, truncation or rename of a regular file, once the file REEVE_FAULT_ARMED names is there. HOW is
//   kill    the process is killed in place of it
//   torn    half of what was to be written is written, then it is killed
//   eio     it fails with EIO, once
//   enospc  it and the nineteen that follow fail with ENOSPC
//   hold    it waits until that file has gone, then fails with ENOSPC
// Two other plans hold for as long as that file is there: REEVE_FAULT=syncfs, every syncfs fails with EIO;
// REEVE_FAULT=full, every write, sync, truncation and rename fails with ENOSPC.
// REEVE_FAULT=cold: for as long as that file is there, no page of a file is in the cache (preadv2 with
// RWF_NOWAIT), and pread of another thread than the main one waits until the file has gone.
// stderr and stdout are left alone.
// REEVE_FAULT=poison:WORD: the process is killed when pread returns text that contains WORD, as that of an
// agent does (process/capture.h).
#include <dlfcn.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <string_view>

namespace {

enum class Fault { kNone, kKill, kTorn, kEio, kEnospc, kHold };

struct Plan {
  Fault fault = Fault::kNone;
  long at = 0;
  bool syncfs = false;
  bool full = false;
  bool cold = false;
  const char* armed = nullptr;
  std::string_view poison;
  Plan() {
    const char* text = std::getenv("REEVE_FAULT");
    armed = std::getenv("REEVE_FAULT_ARMED");
    if (!text) return;
    const std::string_view plan(text);
    constexpr std::string_view kPoison = "poison:";
    if (plan.substr(0, kPoison.size()) == kPoison) poison = plan.substr(kPoison.size());
    if (!armed || !poison.empty()) return;
    syncfs = plan == "syncfs";
    full = plan == "full";
    cold = plan == "cold";
    if (syncfs || full || cold) return;
    const size_t colon = plan.find(':');
    const std::string_view how = plan.substr(0, colon);
    fault = how == "kill"   ? Fault::kKill
            : how == "torn" ? Fault::kTorn
            : how == "eio"  ? Fault::kEio
            : how == "hold" ? Fault::kHold
                            : Fault::kEnospc;
    at = std::atol(text + colon + 1);
  }
};

const Plan& ThePlan() {
  static const Plan plan;
  return plan;
}

std::atomic<bool> poisoned{false};

Fault Next(int fd) {
  const Plan& plan = ThePlan();
  static std::atomic<long> count{0};
  static std::atomic<bool> armed{false};
  if ((plan.fault == Fault::kNone && !plan.full) || (fd >= 0 && fd <= 2)) return Fault::kNone;
  struct stat info {};
  if (fd >= 0 && (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode))) return Fault::kNone;
  const int before = errno;
  const bool there = (plan.full || !armed.load()) && access(plan.armed, F_OK) == 0;
  errno = before;
  if (plan.full) return there ? Fault::kEnospc : Fault::kNone;
  if (there) armed = true;
  if (!armed.load()) return Fault::kNone;
  const long number = ++count;
  if (plan.fault == Fault::kEnospc) {
    return number >= plan.at && number < plan.at + 20 ? plan.fault : Fault::kNone;
  }
  if (number != plan.at) return Fault::kNone;
  const bool kills = plan.fault == Fault::kKill || plan.fault == Fault::kTorn;
  return kills && access(plan.armed, F_OK) != 0 ? Fault::kNone : plan.fault;  // the test is over
}

// True: the call fails with errno set.
bool Fails(Fault fault) {
  switch (fault) {
    case Fault::kNone:
      return false;
    case Fault::kKill:
    case Fault::kTorn:
      (void)unlink(ThePlan().armed);  // once, also if another process follows
      (void)kill(getpid(), SIGKILL);
      for (;;) pause();
    case Fault::kEio:
      errno = EIO;
      return true;
    case Fault::kHold:
      while (access(ThePlan().armed, F_OK) == 0) usleep(1'000);
      errno = ENOSPC;
      return true;
    case Fault::kEnospc:
      errno = ENOSPC;
      return true;
  }
  return false;
}

bool Cold() { return ThePlan().cold && access(ThePlan().armed, F_OK) == 0; }

template <typename Function>
Function Real(const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

}  // namespace

extern "C" {

ssize_t write(int fd, const void* bytes, size_t size) {
  static const auto real = Real<ssize_t (*)(int, const void*, size_t)>("write");
  const Fault fault = Next(fd);
  if (fault == Fault::kTorn) (void)!real(fd, bytes, size / 2);
  return Fails(fault) ? -1 : real(fd, bytes, size);
}

ssize_t pwrite64(int fd, const void* bytes, size_t size, off64_t at) {
  static const auto real = Real<ssize_t (*)(int, const void*, size_t, off64_t)>("pwrite64");
  const Fault fault = Next(fd);
  if (fault == Fault::kTorn) (void)!real(fd, bytes, size / 2, at);
  return Fails(fault) ? -1 : real(fd, bytes, size, at);
}

ssize_t pwrite(int fd, const void* bytes, size_t size, off_t at) { return pwrite64(fd, bytes, size, at); }

ssize_t pread64(int fd, void* bytes, size_t size, off64_t at) {
  static const auto real = Real<ssize_t (*)(int, void*, size_t, off64_t)>("pread64");
  while (gettid() != getpid() && Cold()) usleep(1'000);
  const ssize_t got = real(fd, bytes, size, at);
  const std::string_view poison = ThePlan().poison;
  if (got > 0 && !poison.empty() &&
      std::string_view(static_cast<const char*>(bytes), static_cast<size_t>(got)).find(poison) !=
          std::string_view::npos) {
    poisoned = true;
  }
  return got;
}

ssize_t preadv2(int fd, const iovec* pieces, int count, off_t at, int flags) {
  static const auto real = Real<ssize_t (*)(int, const iovec*, int, off_t, int)>("preadv2");
  if ((flags & RWF_NOWAIT) != 0 && Cold()) {
    errno = EAGAIN;
    return -1;
  }
  return real(fd, pieces, count, at, flags);
}

int clock_gettime(clockid_t clock, timespec* time) {
  static const auto real = Real<int (*)(clockid_t, timespec*)>("clock_gettime");
  if (poisoned) (void)kill(getpid(), SIGKILL);
  return real(clock, time);
}

ssize_t pread(int fd, void* bytes, size_t size, off_t at) { return pread64(fd, bytes, size, at); }

ssize_t writev(int fd, const iovec* pieces, int count) {
  static const auto real = Real<ssize_t (*)(int, const iovec*, int)>("writev");
  const Fault fault = Next(fd);
  if (fault == Fault::kTorn && count > 0) {
    const iovec half = {pieces[0].iov_base, pieces[0].iov_len / 2};
    (void)!real(fd, &half, 1);
  }
  return Fails(fault) ? -1 : real(fd, pieces, count);
}

int fsync(int fd) {
  static const auto real = Real<int (*)(int)>("fsync");
  return Fails(Next(fd)) ? -1 : real(fd);
}

int fdatasync(int fd) {
  static const auto real = Real<int (*)(int)>("fdatasync");
  return Fails(Next(fd)) ? -1 : real(fd);
}

int syncfs(int fd) {
  static const auto real = Real<int (*)(int)>("syncfs");
  return Fails(ThePlan().syncfs && access(ThePlan().armed, F_OK) == 0 ? Fault::kEio : Fault::kNone)
             ? -1
             : real(fd);
}

int ftruncate64(int fd, off64_t size) {
  static const auto real = Real<int (*)(int, off64_t)>("ftruncate64");
  return Fails(Next(fd)) ? -1 : real(fd, size);
}

int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }

int rename(const char* from, const char* to) {
  static const auto real = Real<int (*)(const char*, const char*)>("rename");
  return Fails(Next(-1)) ? -1 : real(from, to);
}

}  // extern "C"
