#include "orchestrator/adapters/adapter.h"

#include <cstdlib>

#include "process/log.h"

namespace reeve {

void Adapter::Missing(const char* function) {
  log::Failure("this kind claims an ability in its Kind::Can and has no function {} for it", function);
  std::abort();
}

}  // namespace reeve
