// HandoverState: the state that a daemon leaves for the next one, besides the files on disk (KEEPER.md): the
// checkpoint of the town, and for the trial of an upgrade that of each agent, too. A value. Its text is JSON
// Lines: first the daemon's own line, then one line for each agent.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "process/fd.h"
#include "process/result.h"
#include "tickets/ticket_store.h"

namespace reeve {

// A listening socket.
struct ListenerState {
  uint64_t key = 0;     // under which the parent of processes keeps it
  std::string url;      // the URL from the configuration
  std::string address;  // the address for clients
  std::string path;     // our socket file, to be removed at the end if it is still this one
  uint64_t device = 0;
  uint64_t inode = 0;

  static void Members(auto& self, auto& state) {
    state.Number("key", self.key);
    state("url", self.url);
    state("address", self.address);
    state("path", self.path);
    state.Number("device", self.device);
    state.Number("inode", self.inode);
  }
};

struct HandoverState {
  // Rises when another version would misread the text; no other format is read. A new member does not raise
  // it: readers ignore unknown members, and missing members keep their defaults.
  static constexpr int64_t kFormat = 3;

  std::string version;     // of the daemon that wrote it
  uint64_t handovers = 0;  // completed upgrades
  std::string becoming;    // the binary of an upgrade that is not complete yet; empty: none
  int64_t started_ms = 0;  // monotonic: when the first daemon began to serve
  std::vector<ListenerState> listeners;
  std::vector<TicketStore::Saved> tickets;
  std::vector<std::string> agents;  // Agent::HandOver

  // The daemon's own line, without the format and the number of agents.
  static void Members(auto& self, auto& state) {
    state("version", self.version);
    state("handovers", self.handovers);
    state("becoming", self.becoming);
    state("started_ms", self.started_ms);
    state("listeners", self.listeners);
    state("tickets", self.tickets);
  }
  [[nodiscard]] std::string ToText() const;
  // Error "handover_state": the text is not such a state, or has another format.
  static Result<HandoverState> Parse(std::string_view text);
};

// Puts `text` into memory that looks like a file, which exec can carry. Close-on-exec.
Result<Fd> PutInMemory(const std::string& text);
// Reads the state from `fd`, and closes it.
Result<HandoverState> ReadState(int fd);

}  // namespace reeve
