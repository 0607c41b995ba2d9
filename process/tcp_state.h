// TcpState: the kernel's account of one TCP connection, which tells a peer whose machine has vanished from a
// peer that only reads slowly. A value.
#pragma once

#include <cstdint>
#include <optional>

namespace reeve {

struct TcpState {
  uint32_t in_flight = 0;        // segments that were sent and that the peer's machine has not confirmed
  uint64_t confirmed_bytes = 0;  // since the connection began
  uint32_t segments_in = 0;      // from the peer, with or without data; wraps around

  // Nothing if it is not a TCP socket.
  static std::optional<TcpState> Read(int socket);
};

}  // namespace reeve
