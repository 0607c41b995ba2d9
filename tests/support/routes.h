// The routes of the daemon, for tests that walk all of them.
#pragma once

#include <vector>

#include "control/http/router.h"

namespace reeve {

// Their handlers have no context and must not be called.
const std::vector<Route>& AllRoutes();

}  // namespace reeve
