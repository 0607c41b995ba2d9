// What a process that dies of its own fault (a signal such as SIGSEGV) does for its terminal: a handler of
// those signals gives it back as it was. One in a process; what it needs is kept where a handler may look.
#pragma once

#include <string_view>

namespace reeve {

// From now on, with the modes that the terminal on stdin has now.
void KeepForTheWorst();
// What to write to the terminal then: sequences that undo what was written to it.
void LeaveWith(std::string_view sequences);
void ForgetTheWorst();

}  // namespace reeve
