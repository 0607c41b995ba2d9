#include "process/tcp_state.h"

#include <linux/tcp.h>  // <netinet/tcp.h> lacks the later members of tcp_info
#include <netinet/in.h>
#include <sys/socket.h>

namespace reeve {

std::optional<TcpState> TcpState::Read(int socket) {
  tcp_info info{};
  socklen_t size = sizeof info;
  if (getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return std::nullopt;
  return TcpState{info.tcpi_unacked, info.tcpi_bytes_acked, info.tcpi_segs_in};
}

}  // namespace reeve
