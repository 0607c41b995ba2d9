// Transcript: a record of everything that passed between the daemon and one agent, in both directions, as
// JSON Lines:
//
//     {"time":"…","dir":"in"|"out"|"err","text":"…"}
//
// "in" is the agent's stdout (or event stream), "err" its stderr, and "out" is everything we sent to it. Each
// line of the agent becomes a line here. A line that is longer than 1 MiB, or that was not ended, continues
// in the next one, with "partial":true. Text that is not UTF-8 is Base64, with "encoding":"base64". The
// values of secrets are replaced by "***", also as they are written in JSON, in URLs and in Base64.
//
// The transcript is in `<base>.jsonl`. Past 16 MiB that file becomes `<base>.1.jsonl` and replaces the one
// before. Owned by its Agent. Each line is handed to the kernel at once: it survives the end of the daemon,
// but not of the machine.
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
  static constexpr size_t kMaxAdded = 256;  // each one costs a search of every line

  // `base` is a path whose folder exists. Secrets of 8 bytes and more are replaced; shorter ones are
  // too likely to be part of other text.
  Transcript(const Clock& clock, const std::string& base, const std::vector<std::string>& secrets);
  Transcript(const Transcript&) = delete;
  Transcript& operator=(const Transcript&) = delete;

  // From now on this secret is replaced too. Only the latest kMaxAdded are remembered.
  void AddSecret(const std::string& secret);

  // Takes bytes of the child's output, as they were read.
  void Received(Child::Output from, std::string_view bytes);
  // Takes one whole message from the agent.
  void ReceivedMessage(std::string_view text) { Write("in", std::string(text), false); }
  // Takes bytes for the child's stdin. Output without a line end that came before them (a prompt) is written
  // before them.
  void Sent(std::string_view bytes);
  // The process is gone: writes its unfinished lines.
  void EndProcess();

  // For the next daemon (orchestrator/handover/saved_state.h): unfinished lines and the secrets to replace.
  static void Members(auto& self, auto& state) {
    state.Bytes("out", self.out_);
    state.Bytes("err", self.err_);
    state("torn", self.torn_);
    state.Bytes("hidden", self.hidden_);
  }
  void Restored();

  // The files of a transcript that exist, oldest first.
  static std::vector<std::string> Files(const std::string& base);
  static void Remove(const std::string& base);

 private:
  // Writes an unfinished line as a part, but not the beginning of what may become a secret.
  void WritePart(const char* dir, std::string& held);
  void TakeBytes(const char* dir, std::string& held, std::string_view bytes);
  void Hide(std::string& text) const;
  void Write(const char* dir, std::string text, bool partial);

  const Clock& clock_;
  const std::string path_;
  const std::string older_path_;
  const std::vector<std::string> given_;
  std::vector<std::string> hidden_;   // the given ones, then the added ones, oldest first
  std::vector<std::string> secrets_;  // all forms of hidden_, the longest first
  Fd file_;
  uint64_t size_ = 0;
  bool failed_ = false;  // a failure is logged once
  bool torn_ = false;    // the file ends within a line
  // Lines that are not complete yet.
  std::string out_;
  std::string err_;
};

}  // namespace reeve
