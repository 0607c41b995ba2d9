// RpcRecording: the recorded JSON-RPC output of a real program (NAME.jsonl) and its input (NAME-stdin.jsonl),
// to be replayed to an adapter. The input mostly consists of a person's actions; `act` repeats each of them
// in its turn.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "orchestrator/json/json.h"
#include "tests/support/recording_host.h"

namespace reeve {

// A RecordingHost whose agent takes lines: they are written down without their ends.
class RpcHost final : public RecordingHost {
 public:
  using RecordingHost::RecordingHost;
  Status WriteStdin(std::string_view bytes) override {
    return RecordingHost::WriteStdin(bytes.substr(0, bytes.find('\n')));
  }
};

class RpcRecording {
 public:
  explicit RpcRecording(const std::string& name);  // of the fixture

  // Says every line to `feed`, its end with it. Before the answer to a call, calls are acted up to that one;
  // after a request, everything up to its answer, where it had one. `eager`: a call is acted as soon as none
  // waits for its answer, where a protocol's turns lie between the two.
  void Play(const std::function<void(std::string_view bytes)>& feed,
            const std::function<void(const JsonValue& message)>& act, bool eager) const;

  [[nodiscard]] const std::vector<std::string>& lines() const { return said_; }

 private:
  std::vector<std::string> said_;
  std::vector<std::string> told_;
};

// Says these lines two thousand times, in no order, some cut and some with a byte changed; last one of 20
// MiB. The same each time.
void SayGarbled(const std::vector<std::string>& lines,
                const std::function<void(const std::string& line)>& say);

}  // namespace reeve
