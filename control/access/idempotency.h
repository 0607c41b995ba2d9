// Idempotency: makes requests with an Idempotency-Key safe to repeat (control/api/API.md, "Idempotency-Key").
// A key belongs to the token, the method and the path of its request. While the first request is in progress,
// a repetition is refused. After it has succeeded, its answer is kept for a day, across restarts, and sent
// again. If it failed, the key may be used again.
//
// The answer is on disk before the client gets it. A daemon that is killed after the request took effect and
// before the answer was written does not know the key. So a request that creates something (a message, an
// agent) derives its id from Request::key, and a repetition finds it.
//
// Owned by the Daemon; on the loop's thread. The store and the clock outlive it.
#pragma once

#include <cstddef>
#include <cstdint>
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
  // Bytes that the requests in progress of one token hold, and those of all tokens: their bodies, and their
  // answers while these are written. Beyond that a request is refused, and an answer is sent but not kept.
  static constexpr size_t kMaxTokenBytes = size_t{16} << 20;
  static constexpr size_t kMaxBytes = size_t{64} << 20;

  Idempotency(const Clock& clock, Store& store);
  ~Idempotency();
  Idempotency(const Idempotency&) = delete;
  Idempotency& operator=(const Idempotency&) = delete;

  // Whether this request must go through Handle: it changes something and has a key. Ticket routes are
  // excluded, because each request makes a new ticket.
  [[nodiscard]] static bool Concerns(const Request& request);
  // Sends the earlier answer, or calls `handler`, in a later turn.
  void Handle(Request request, Reply reply, Handler handler);

 private:
  class UnderWay;

  [[nodiscard]] bool Fits(uint64_t token, size_t more) const;
  void Count(uint64_t token, size_t more);
  void Discount(uint64_t token, size_t less);

  const Clock& clock_;
  Store& store_;
  std::map<std::string, std::shared_ptr<UnderWay>> under_way_;  // by Request::key
  std::map<uint64_t, size_t> bytes_by_token_;
  size_t bytes_ = 0;
};

}  // namespace reeve
