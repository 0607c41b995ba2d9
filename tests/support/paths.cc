#include "tests/support/paths.h"

namespace reeve {

const char* const kReeveBinary = REEVE_BINARY;
const char* const kFaults = REEVE_FAULTS;
const char* const kTests = REEVE_TESTS_FOLDER;
const char* const kFixtures = REEVE_TESTS_FOLDER "/fixtures";

}  // namespace reeve
