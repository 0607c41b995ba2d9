// HandoverState: the state that one image of the daemon passes to the next, beside the files on disk
// (HANDOVER.md). A value; its text is JSON Lines: the daemon's own line first, then one for each agent.
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
  int fd = -1;
  std::string url;      // as it was asked for
  std::string address;  // what a client would use
  std::string path;     // a socket file of ours, to be removed at the end if it is still this one
  uint64_t device = 0;
  uint64_t inode = 0;

  static void Members(auto& self, auto& state) {
    state("fd", self.fd);
    state("url", self.url);
    state("address", self.address);
    state("path", self.path);
    state.Number("device", self.device);
    state.Number("inode", self.inode);
  }
};

struct HandoverState {
  // Rises when another version would misread the text; no other format is read. An added member does not
  // raise it: readers ignore unknown members, and missing ones keep their defaults.
  static constexpr int64_t kFormat = 2;

  std::string version;     // of the image that wrote it
  uint64_t handovers = 0;  // of this process, the coming one included
  int64_t started_ms = 0;  // monotonic: when the first image began to serve
  int lock_fd = -1;        // of the data folder's lock
  std::vector<ListenerState> listeners;
  std::vector<TicketStore::Saved> tickets;
  std::vector<std::string> agents;  // Agent::HandOver

  // The daemon's own line, but for the format and the number of agents.
  static void Members(auto& self, auto& state) {
    state("version", self.version);
    state("handovers", self.handovers);
    state("started_ms", self.started_ms);
    state("lock_fd", self.lock_fd);
    state("listeners", self.listeners);
    state("tickets", self.tickets);
  }
  [[nodiscard]] std::string ToText() const;
  // Error "handover_state": not such a text, or of another format.
  static Result<HandoverState> Parse(std::string_view text);
};

// `text` in memory that looks like a file: what exec can carry. Close-on-exec.
Result<Fd> PutInMemory(const std::string& text);
// The state that is in `fd`, which is closed.
Result<HandoverState> ReadState(int fd);
// A descriptor that exec carried, close-on-exec again.
Result<Fd> Inherit(int fd);

}  // namespace reeve
