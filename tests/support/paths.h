// Where the tests find things. These are no macros, so that a compiler cache also serves other clones.
#pragma once

namespace reeve {

extern const char* const kReeveBinary;  // the daemon and its command line
extern const char* const kKeeperBinary;
extern const char* const kPuppetDaemon;  // plays the daemon of a keeper (tests/process/keeper/)
extern const char* const kFaults;        // the library that makes a disk fail, for LD_PRELOAD
extern const char* const kTests;         // the folder tests/
extern const char* const kFixtures;      // tests/fixtures/

}  // namespace reeve
