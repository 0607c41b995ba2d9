// KeepingParent: a parent of processes that keeps descriptors as the keeper does, in the test's own process.
// So a test can save a child, abandon it, and adopt it again.
#pragma once

#include <fcntl.h>

#include <cstdint>
#include <map>
#include <vector>

#include "process/reaper.h"

namespace reeve {

class KeepingParent final : public Reaper {
 public:
  using Reaper::Reaper;

  [[nodiscard]] bool keeps() const override { return true; }
  uint64_t Keep(int fd, Purpose purpose) override {
    const uint64_t key = ++last_;
    kept_[key] = {Fd(fcntl(fd, F_DUPFD_CLOEXEC, 0)), purpose};
    return key;
  }
  [[nodiscard]] std::vector<uint64_t> Kept(Purpose purpose) const override {
    std::vector<uint64_t> keys;
    for (const auto& [key, kept] : kept_) {
      if (kept.purpose == purpose) keys.push_back(key);
    }
    return keys;
  }
  Fd Take(uint64_t key) override {
    auto found = kept_.find(key);
    return Fd(found == kept_.end() ? -1 : fcntl(found->second.fd.get(), F_DUPFD_CLOEXEC, 0));
  }
  void Drop(uint64_t key) override { kept_.erase(key); }

 private:
  struct Held {
    Fd fd;
    Purpose purpose;
  };
  std::map<uint64_t, Held> kept_;
  uint64_t last_ = 0;
};

}  // namespace reeve
