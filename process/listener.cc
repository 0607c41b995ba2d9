#include "process/listener.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <string_view>
#include <utility>

namespace reeve {

namespace {

// The addresses whose sockets accept connections to 127.0.0.1, as /proc/net/tcp and tcp6 spell them: the most
// specific one gets them.
constexpr std::pair<const char*, std::string_view> kAddresses[] = {
    {"/proc/self/net/tcp", "0100007F"},
    {"/proc/self/net/tcp6", "0000000000000000FFFF00000100007F"},
    {"/proc/self/net/tcp", "00000000"},
    {"/proc/self/net/tcp6", "00000000000000000000000000000000"},
};
constexpr unsigned kListening = 0x0A;  // TCP_LISTEN of the kernel's net/tcp_states.h

// The inodes of the sockets that listen on this port at this address.
std::set<uint64_t> InodesOf(const char* file, std::string_view address, uint16_t port) {
  std::set<uint64_t> inodes;
  std::ifstream table(file);
  std::string line;
  std::getline(table, line);  // the head of the table
  while (std::getline(table, line)) {
    char local[33] = "";
    unsigned local_port = 0, state = 0;
    unsigned long inode = 0;
    if (std::sscanf(line.c_str(), " %*u: %32[0-9A-F]:%4X %*[0-9A-F]:%*4X %2X %*s %*s %*s %*u %*u %lu", local,
                    &local_port, &state, &inode) != 4)
      continue;
    if (state != kListening) break;  // the table begins with all that listen
    if (local == address && local_port == port) inodes.insert(inode);
  }
  return inodes;
}

std::set<uint64_t> SocketsOf(pid_t pid) {
  std::set<uint64_t> inodes;
  std::error_code error;
  const std::string folder = "/proc/" + std::to_string(pid) + "/fd";
  for (std::filesystem::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    std::error_code gone;
    const std::string leads_to = std::filesystem::read_symlink(at->path(), gone).string();
    unsigned long inode = 0;
    if (!gone && std::sscanf(leads_to.c_str(), "socket:[%lu]", &inode) == 1) inodes.insert(inode);
  }
  return inodes;
}

}  // namespace

bool OnlyTheseListen(uint16_t port, const std::vector<ProcessId>& processes) {
  std::set<uint64_t> listening;
  for (const auto& [file, address] : kAddresses) {
    listening = InodesOf(file, address, port);
    if (!listening.empty()) break;
  }
  if (listening.empty()) return false;
  for (const ProcessId& process : processes) {
    for (const uint64_t inode : SocketsOf(process.pid)) listening.erase(inode);
    if (listening.empty()) return true;
  }
  return false;
}

}  // namespace reeve
