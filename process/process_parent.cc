#include "process/process_parent.h"

namespace reeve {

namespace {

constexpr int64_t kShareLookMs = 5;

}  // namespace

const std::vector<ProcessStat>& ProcessParent::Adopted() {
  if (clock_.MonotonicMs() >= look_again_at_) Look();
  return adopted_;
}

void ProcessParent::Look() {
  adopted_.clear();
  complete_ = LookForOrphans(adopted_);
  look_again_at_ = clock_.MonotonicMs() + kShareLookMs;
}

}  // namespace reeve
