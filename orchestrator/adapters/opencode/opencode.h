// Kinds `opencode` and `kilo`: driven through the agent's own HTTP server, with one process and one session
// per agent. OPENCODE.md in this folder describes how, and what can be relied on.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "orchestrator/adapters/kind.h"

namespace reeve {

// `session`: the upstream session to resume. A new one is made when it is empty or the session is gone.
std::unique_ptr<Adapter> MakeOpencodeAdapter(AgentHost& host, const std::string& session);
std::unique_ptr<Adapter> MakeKiloAdapter(AgentHost& host, const std::string& session);

inline constexpr Kind::Can kOpencodeCan = {.turns = true,
                                           .interrupt = true,
                                           .approve = true,
                                           .elicit = true,
                                           .resume = true,
                                           .model = true,
                                           .list_models = true,
                                           .system_prompt = true,
                                           .mcp = true};

struct OpencodeFlavour {
  const char* name;           // of the program, and the user of its HTTP server
  const char* prefix;         // of its environment variables
  bool closes_turns;          // by session.turn.close; otherwise a turn ends when the server is idle
  bool asks_about_snapshots;  // when the first one of a large folder is slow, unless a prompt says to wait
};
inline constexpr OpencodeFlavour kOpencode = {"opencode", "OPENCODE", false, false};
inline constexpr OpencodeFlavour kKilo = {"kilo", "KILO", true, true};

// How long the adapter waits for each thing; shorter in tests.
struct OpencodeTiming {
  int64_t probe_ms = 1'000;      // for a health probe: the server may accept a connection and never answer it
  int64_t probe_again_ms = 200;  // between probes
  int64_t open_ms = 10'000;      // for the event stream's first event
  int64_t silence_ms = 30'000;   // on the stream without a byte: heartbeats come every 10 s
  int64_t backoff_min_ms = 100;  // between attempts to open it again, doubled each time
  int64_t backoff_max_ms = 5'000;
  int64_t sound_ms = 10'000;  // a stream that lived this long does not count as a failure
  int64_t close_ms = 5'000;   // for a turn to close after the server is idle
  int64_t rest_ms = 1'000;    // for the rest of a turn after an error
};
std::unique_ptr<Adapter> MakeServerAdapter(AgentHost& host, const std::string& session,
                                           const OpencodeFlavour& flavour, const OpencodeTiming& timing);

}  // namespace reeve
