// TakenSocket: a socket that a handler has taken from the HTTP connection for good (Reply::TakeSocket),
// because another protocol continues on it. Nothing is watched, and everything that the connection had to
// send is sent.
#pragma once

#include <memory>
#include <string>

#include "process/watch.h"

namespace reeve {

struct TakenSocket {
  std::unique_ptr<Watch> socket;  // null: the client has gone
  std::string input;              // bytes that arrived after the request, at most 64 KiB
};

}  // namespace reeve
