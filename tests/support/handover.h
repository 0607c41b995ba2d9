// Handovers of adapters, as the end of a daemon makes them: the state that one saved is read by another,
// which goes on in its place.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "orchestrator/adapters/adapter.h"
#include "orchestrator/handover/saved_state.h"
#include "orchestrator/json/json.h"
#include "tests/support/recording_host.h"

namespace reeve {

// Whether the tests of adapters shall hand over before each call, whatever else they look at. So they are run
// a second time (tests/CMakeLists.txt), by REEVE_TEST_HANDOVER=1.
bool HandingOver();

// An adapter that can be handed over, as often as one likes.
class HandedAdapter {
 public:
  // `fresh` makes an adapter of the same kind, for the same host; with what else is to be restored.
  using Make = std::function<std::unique_ptr<Adapter>()>;
  HandedAdapter(const RecordingHost& host, std::unique_ptr<Adapter> first, Make fresh)
      : host_(host), adapter_(std::move(first)), fresh_(std::move(fresh)) {}

  // Its process runs: from here on it is handed over before each call, where HandingOver().
  void Begin() { begun_ = true; }
  // Demands that nothing is told by it, and that what was read is all that was saved.
  void HandOver();
  // Says it in pieces of up to `most` bytes, and hands over after each.
  void SayInPieces(std::string_view bytes, size_t most);

  // Good for one call, in which others may be made.
  class Call {
   public:
    explicit Call(HandedAdapter& of) : of_(of) { ++of_.calls_; }
    ~Call() { --of_.calls_; }
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;
    Adapter* operator->() { return of_.adapter_.get(); }

   private:
    HandedAdapter& of_;
  };
  Call operator->() {
    if (begun_ && calls_ == 0 && HandingOver()) HandOver();
    return Call(*this);
  }

 private:
  const RecordingHost& host_;
  std::unique_ptr<Adapter> adapter_;
  const Make fresh_;
  bool begun_ = false;
  int calls_ = 0;
};

// The state of an adapter with one thing in it changed: a member left out, a value of another type or from
// elsewhere in it, or bytes that are no state at all. By `random`, any number.
std::string Spoil(const std::string& state, uint32_t random);

}  // namespace reeve
