#include "orchestrator/handover/saved_state.h"

#include <charconv>

namespace reeve {

// Prefixes an error with its member: "name: reason", "outer.name: reason".
Status StateReader::In(std::string_view name, Status status) {
  if (status) return status;
  const bool reason = status.error().message.find(": ") == std::string::npos;
  return Error{status.error().code, std::string(name) + (reason ? ": " : ".") + status.error().message};
}

// The text goes into events unchanged, so it must be JSON on one line.
void StateReader::Json(std::string_view name, std::string& into) {
  (*this)(name, into);
  if (!object_[name] || !status_.ok() || into.empty()) return;
  if (auto json = JsonDocument::Parse(into)) {
    into = json->root().Raw();
  } else {
    status_ = In(name, Wrong("not JSON"));
  }
}

void StateReader::Number(std::string_view name, uint64_t& into) {
  std::string text;
  (*this)(name, text);
  if (!object_[name] || !status_.ok()) return;
  uint64_t number = 0;
  const char* end = text.data() + text.size();
  if (const auto read = std::from_chars(text.data(), end, number);
      read.ec == std::errc() && read.ptr == end) {
    into = number;
  } else {
    status_ = In(name, Wrong("not a whole number"));
  }
}

void StateReader::Bytes(std::string_view name, std::string& into) {
  std::string text;
  (*this)(name, text);
  if (!object_[name] || !status_.ok()) return;
  if (auto bytes = FromBase64(text)) {
    into = std::move(*bytes);
  } else {
    status_ = In(name, Wrong("not base64"));
  }
}

void StateReader::ReadBytes(std::string_view name, std::vector<std::string>& into) {
  (*this)(name, into);
  for (size_t i = 0; i < into.size() && status_.ok(); ++i) {
    if (auto bytes = FromBase64(into[i])) {
      into[i] = std::move(*bytes);
    } else {
      status_ = In(name, In(std::to_string(i), Wrong("not base64")));
    }
  }
}

}  // namespace reeve
