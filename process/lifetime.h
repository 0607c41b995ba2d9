// Lifetime: guards callbacks that come from outside (store, pool, loop): they run only while the object that
// has this member exists.
#pragma once

#include <memory>
#include <utility>

namespace reeve {

class Lifetime {
 public:
  template <typename Call>
  auto Guard(Call call) const {
    return [alive = Watch(), call = std::move(call)](auto&&... args) mutable {
      if (!alive.expired()) call(std::forward<decltype(args)>(args)...);
    };
  }
  // Expires with the object.
  [[nodiscard]] std::weak_ptr<const bool> Watch() const { return alive_; }

 private:
  std::shared_ptr<const bool> alive_ = std::make_shared<const bool>(true);
};

}  // namespace reeve
