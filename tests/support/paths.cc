#include "tests/support/paths.h"

namespace reeve {

const char* const kReeveBinary = REEVE_BINARY;
const char* const kKeeperBinary = REEVE_KEEPER;
const char* const kPuppetDaemon = REEVE_PUPPET_DAEMON;
const char* const kFaults = REEVE_FAULTS;
const char* const kTests = REEVE_TESTS_FOLDER;
const char* const kFixtures = REEVE_TESTS_FOLDER "/fixtures";

}  // namespace reeve
