// Wire: sends and receives the messages of protocol.h. Both ends use it: the keeper on a socket that does not
// block, the daemon on one that does.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

#include "process/fd.h"
#include "process/keeper/protocol.h"

namespace reeve::keeper {

// One message that has arrived.
struct Packet {
  enum class Result {
    kMessage,
    kNothing,  // none is there now
    kClosed    // the other end is closed, or the socket fails
  };
  Result result = Result::kNothing;
  bool too_long = false;  // the rest of the message is lost
  bool lost_fds = false;  // descriptors are lost: too many of them, or this process has no free ones
  size_t size = 0;
  std::vector<Fd> fds;  // close-on-exec
  alignas(8) std::array<char, kMaxMessageBytes> bytes;

  [[nodiscard]] std::string_view text() const { return {bytes.data(), size}; }
  // The type; nothing if the message is shorter than one.
  [[nodiscard]] std::optional<Type> type() const;
  // The message as `Struct`; nothing if it is shorter. `tail` gets the bytes behind it.
  template <typename Struct>
  [[nodiscard]] std::optional<Struct> As(std::string_view* tail) const {
    static_assert(std::is_trivially_copyable_v<Struct> && std::has_unique_object_representations_v<Struct>);
    if (size < sizeof(Struct)) return {};
    Struct message;
    std::memcpy(&message, bytes.data(), sizeof message);
    *tail = text().substr(sizeof message);
    return message;
  }
};

// Receives one message into `packet`, whose descriptors it closes before. `flags` are recv(2)'s.
void Receive(int socket, Packet& packet, int flags);

// Sends one message. False: the other end is closed, takes nothing now, or the kernel refuses; errno says it.
bool SendBytes(int socket, std::string_view message, std::string_view tail, std::span<const int> fds);

template <typename Struct>
bool Send(int socket, const Struct& message, std::span<const int> fds = {}, std::string_view tail = {}) {
  static_assert(std::is_trivially_copyable_v<Struct> && std::has_unique_object_representations_v<Struct>);
  return SendBytes(socket, {reinterpret_cast<const char*>(&message), sizeof message}, tail, fds);
}

}  // namespace reeve::keeper
