// Idempotency: requests that may be made again without being done again (control/api/API.md,
// "Idempotency-Key"). A key belongs to the token, the method and the path that it came with. While the first
// request with it is under way another is refused; once that has succeeded its answer is kept for a day,
// across restarts, and given again; if it failed, the key is as good as new.
//
// The answer is on disk before it is given. A daemon that is killed after the deed and before that does not
// know the key; so what makes something new (a message, an agent) gets an id of Request::key, and knows it
// again.
//
// Owned by the Daemon; on the loop's thread. The store and the clock outlive it.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "control/http/http.h"

namespace reeve {

class Clock;
class Store;

class Idempotency {
 public:
  static constexpr size_t kMaxKeyBytes = 255;
  static constexpr size_t kMaxUnderWay = 10'000;  // as many as connections

  Idempotency(const Clock& clock, Store& store);
  ~Idempotency();
  Idempotency(const Idempotency&) = delete;
  Idempotency& operator=(const Idempotency&) = delete;

  // Whether this request is to go through Handle: one that changes something, with a key. Tickets are made
  // afresh each time.
  [[nodiscard]] static bool Concerns(const Request& request);
  // Answers as before, or lets `handler`, which must outlive this, do it.
  void Handle(Request request, Reply reply, const Handler& handler);

 private:
  class UnderWay;

  const Clock& clock_;
  Store& store_;
  std::map<std::string, std::shared_ptr<UnderWay>> under_way_;  // by Request::key
};

}  // namespace reeve
