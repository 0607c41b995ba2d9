// Listeners: callbacks that run after every change of an agent. A listener may remove itself or add another
// one during the call.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <utility>

namespace reeve {

class Listeners {
 public:
  uint64_t Add(std::function<void()> changed) {
    listeners_.emplace(next_, std::move(changed));
    return next_++;
  }
  void Remove(uint64_t listener) { listeners_.erase(listener); }
  void Notify() const {
    const auto called = listeners_;
    for (const auto& [listener, changed] : called) {
      if (listeners_.count(listener) != 0) changed();
    }
  }

 private:
  std::map<uint64_t, std::function<void()>> listeners_;
  uint64_t next_ = 1;
};

}  // namespace reeve
