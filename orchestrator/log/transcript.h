// Transcript: what passed between the daemon and one agent, both ways, as it was said: JSON Lines
//
//   {"time":"…","dir":"in"|"out"|"err","text":"…"}
//
// in: the agent's stdout (or event stream), err: its stderr, out: what we told it. A line of the agent's is a
// line here; one beyond 1 MiB, or one that was not ended, goes on in the next with "partial":true; what is
// not UTF-8 is Base64 with "encoding":"base64". The exact values of secrets are replaced by "***".
//
// Kept in `<base>.jsonl`; past 16 MiB that becomes `<base>.1.jsonl`, and what was there goes. Owned by its
// Agent. A line is with the kernel when it was taken: it survives the daemon, not the machine.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "process/child.h"
#include "process/fd.h"
#include "process/result.h"

namespace reeve {

class Clock;

class Transcript {
 public:
  static constexpr uint64_t kMaxFileBytes = uint64_t{16} << 20;
  static constexpr size_t kMaxLineBytes = size_t{1} << 20;
  static constexpr size_t kMaxAdded = 256;  // each costs a search of every line

  // `base` is a path whose folder exists. `secrets`: those of 8 bytes and more are replaced; shorter ones are
  // too likely to be a part of something else.
  Transcript(const Clock& clock, const std::string& base, const std::vector<std::string>& secrets);
  Transcript(const Transcript&) = delete;
  Transcript& operator=(const Transcript&) = delete;

  // From here on this one is replaced too. The latest kMaxAdded are known.
  void AddSecret(const std::string& secret);

  // Bytes of the child's output, as they were read.
  void Heard(Child::Output from, std::string_view bytes);
  // One message, whole.
  void HeardMessage(std::string_view text) { Write("in", std::string(text), false); }
  // Bytes for the child's stdin, whole lines.
  void Told(std::string_view bytes);
  // The process has gone: what it did not end is a line.
  void EndProcess();

  // For a handover (orchestrator/handover/saved_state.h): unfinished lines and the secrets to replace.
  static void Members(auto& self, auto& state) {
    state.Bytes("out", self.out_);
    state.Bytes("err", self.err_);
    state("torn", self.torn_);
    state.Bytes("hidden", self.hidden_);
  }
  void Restored();

  // The files of a transcript, oldest first; those that there are.
  static std::vector<std::string> Files(const std::string& base);
  static void Remove(const std::string& base);

 private:
  void TakeBytes(const char* dir, std::string& held, std::string_view bytes);
  void Hide(std::string& text) const;
  void Write(const char* dir, std::string text, bool partial);

  const Clock& clock_;
  const std::string path_;
  const std::string older_path_;
  const std::vector<std::string> given_;
  std::vector<std::string> hidden_;   // those given, then those added, the oldest first
  std::vector<std::string> secrets_;  // the same in all their forms, the longest first
  Fd file_;
  uint64_t size_ = 0;
  bool failed_ = false;  // told once
  bool torn_ = false;    // the file ends within a line
  // Of lines that are not whole yet.
  std::string out_;
  std::string err_;
};

}  // namespace reeve
