#include "process/tcp_state.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cstddef>

namespace reeve {

namespace {

// The beginning of the kernel's struct tcp_info, to which the kernel only ever appends. That of
// <netinet/tcp.h> lacks the later members, and <linux/tcp.h> cannot be included beside it, as <uv.h> does.
struct KernelTcpInfo {
  uint8_t states[8];
  uint32_t rto, ato, snd_mss, rcv_mss;
  uint32_t unacked;
  uint32_t sacked_to_total_retrans[19];
  uint64_t pacing_rate, max_pacing_rate;
  uint64_t bytes_acked, bytes_received;
  uint32_t segs_out, segs_in;
};
static_assert(offsetof(KernelTcpInfo, unacked) == offsetof(tcp_info, tcpi_unacked));
static_assert(offsetof(KernelTcpInfo, pacing_rate) == offsetof(tcp_info, tcpi_total_retrans) + 4);

}  // namespace

std::optional<TcpState> TcpState::Read(int socket) {
  KernelTcpInfo info{};
  socklen_t size = sizeof info;
  if (getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return std::nullopt;
  return TcpState{info.unacked, info.bytes_acked, info.segs_in};
}

}  // namespace reeve
