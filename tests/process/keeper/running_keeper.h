// RunningKeeper: a real reeve-keeper whose daemon is the puppet (puppet_daemon.cc), for tests. Ends it, and
// all its descendants, with its object.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "process/fd.h"
#include "tests/support/loop_fixture.h"

namespace reeve {

class RunningKeeper {
 public:
  struct Options {
    std::string binary;                    // empty: reeve-keeper
    std::vector<std::string> arguments;    // of the keeper
    std::vector<std::string> program;      // empty: the puppet
    std::vector<std::string> environment;  // NAME=value, beside PATH and the sanitizers'
    bool pid_namespace = false;            // as PID 1 of its own
  };

  RunningKeeper() : RunningKeeper(Options{}) {}
  explicit RunningKeeper(const Options& options);
  ~RunningKeeper();
  RunningKeeper(const RunningKeeper&) = delete;
  RunningKeeper& operator=(const RunningKeeper&) = delete;

  [[nodiscard]] pid_t pid() const { return pid_; }  // in this namespace; -1: the kernel makes no namespace
  void Say(const std::string& line) const;          // to the daemon that reads
  std::string Line();                               // the next line of a daemon, or "<timed out>"
  std::string Ask(const std::string& line);         // Say and Line
  // The next line, which must begin with "begun". Returns the daemon's pid.
  pid_t Begun(std::string* line = nullptr);
  // The same, and lets the daemon say Ready.
  pid_t BegunAndReady();
  pid_t Spawn(const std::string& script);  // its pid
  pid_t Run(const std::string& script);    // the pid that the script prints

  void Signal(int signum) const;
  int Wait();  // the exit code, minus the signal, or -1000 if it goes on
  [[nodiscard]] std::string log() const;

 private:
  TempDir folder_;
  pid_t pid_ = -1;
  Fd input_;
  Fd output_;
  std::string read_;
};

}  // namespace reeve
