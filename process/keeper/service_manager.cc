#include "process/keeper/service_manager.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <charconv>
#include <cstddef>
#include <cstdlib>
#include <ctime>
#include <optional>

#include "process/fd.h"

namespace reeve::keeper {

namespace {

std::string Variable(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

std::optional<int64_t> Number(const std::string& text) {
  int64_t number = 0;
  const char* end = text.data() + text.size();
  const auto [next, error] = std::from_chars(text.data(), end, number);
  if (text.empty() || error != std::errc() || next != end || number <= 0) return {};
  return number;
}

}  // namespace

ServiceManager::ServiceManager() : socket_(Variable("NOTIFY_SOCKET")) {
  const std::string pid = Variable("WATCHDOG_PID");
  if (pid.empty() || Number(pid) == getpid())
    watchdog_ms_ = Number(Variable("WATCHDOG_USEC")).value_or(0) / 1000;
}

void ServiceManager::Ready() const { Say("READY=1\nMAINPID=" + std::to_string(getpid())); }

void ServiceManager::Reloaded() const {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  const int64_t usec = int64_t{now.tv_sec} * 1'000'000 + now.tv_nsec / 1000;
  Say("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(usec));
  Say("READY=1");
}

bool ServiceManager::IsPrivate(std::string_view entry) {
  return entry.starts_with("NOTIFY_SOCKET=") || entry.starts_with("WATCHDOG_USEC=") ||
         entry.starts_with("WATCHDOG_PID=");
}

// The name of an abstract socket begins with '@', which stands for a NUL.
void ServiceManager::Say(const std::string& message) const {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket_.empty() || socket_.size() >= sizeof address.sun_path) return;
  if (socket_[0] != '/' && socket_[0] != '@') return;
  socket_.copy(address.sun_path, socket_.size());
  if (socket_[0] == '@') address.sun_path[0] = '\0';
  const Fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return;
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + socket_.size());
  (void)sendto(socket.get(), message.data(), message.size(), MSG_DONTWAIT | MSG_NOSIGNAL,
               reinterpret_cast<const sockaddr*>(&address), size);
}

}  // namespace reeve::keeper
