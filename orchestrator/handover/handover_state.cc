#include "orchestrator/handover/handover_state.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "orchestrator/json/json.h"

namespace reeve {

namespace {

std::string Text(const JsonValue& json) { return std::string(json.StringOr("")); }
uint64_t Count(const JsonValue& json) { return static_cast<uint64_t>(json.AsInt().value_or(0)); }

std::string ToJson(const ListenerState& listener) {
  return JsonObject()
      .Set("fd", listener.fd)
      .Set("url", listener.url)
      .Set("address", listener.address)
      .Set("path", listener.path)
      .Set("device", std::to_string(listener.device))  // 64 bits: more than a JSON number may hold
      .Set("inode", std::to_string(listener.inode))
      .Take();
}

ListenerState ListenerFromJson(const JsonValue& json) {
  return {static_cast<int>(json["fd"].AsInt().value_or(-1)),
          Text(json["url"]),
          Text(json["address"]),
          Text(json["path"]),
          std::strtoull(Text(json["device"]).c_str(), nullptr, 10),
          std::strtoull(Text(json["inode"]).c_str(), nullptr, 10)};
}

constexpr const char* kModes[] = {"view", "operate", "terminal"};  // by TicketMode

std::string ToJson(const TicketStore::Saved& ticket) {
  const Grant& grant = ticket.grant;
  JsonArray agents;
  for (const std::string& agent : grant.agents) agents.Add(agent);
  JsonObject after;
  for (const auto& [agent, cursor] : grant.after) after.Set(agent, cursor);
  return JsonObject()
      .Set("hash", Base64(ticket.hash))
      .Set("resume", ticket.resume)
      .Set("expires_at", ticket.expires_at)
      .Set("url", Base64(ticket.url))
      .Set("all_agents", grant.all_agents)
      .Set("several", grant.several)
      .SetRaw("agents", agents.Take())
      .Set("mode", kModes[static_cast<int>(grant.mode)])
      .Set("origin", grant.origin)
      .SetRaw("after", after.Take())
      .Set("token", std::to_string(grant.token))
      .Take();
}

TicketStore::Saved TicketFromJson(const JsonValue& json) {
  TicketStore::Saved ticket;
  ticket.hash = FromBase64(json["hash"].StringOr("")).value_or("");
  ticket.resume = json["resume"].AsBool().value_or(false);
  ticket.expires_at = json["expires_at"].AsInt().value_or(0);
  ticket.url = FromBase64(json["url"].StringOr("")).value_or("");
  Grant& grant = ticket.grant;
  grant.all_agents = json["all_agents"].AsBool().value_or(false);
  grant.several = json["several"].AsBool().value_or(false);
  for (const JsonValue& agent : json["agents"].Elements()) grant.agents.push_back(Text(agent));
  for (int i = 0; i < 3; ++i) {
    if (json["mode"].StringOr("view") == kModes[i]) grant.mode = static_cast<TicketMode>(i);
  }
  grant.origin = Text(json["origin"]);
  for (const auto& [agent, cursor] : json["after"].Members()) grant.after.emplace(agent, Text(cursor));
  grant.token = std::strtoull(Text(json["token"]).c_str(), nullptr, 10);
  return ticket;
}

}  // namespace

std::string HandoverState::ToText() const {
  JsonArray listening;
  for (const ListenerState& listener : listeners) listening.AddRaw(ToJson(listener));
  JsonArray issued;
  for (const TicketStore::Saved& ticket : tickets) issued.AddRaw(ToJson(ticket));
  std::string text = JsonObject()
                         .Set("format", kFormat)
                         .Set("version", version)
                         .Set("handovers", handovers)
                         .Set("started_ms", started_ms)
                         .Set("lock_fd", lock_fd)
                         .SetRaw("listeners", listening.Take())
                         .SetRaw("tickets", issued.Take())
                         .Set("agents", static_cast<uint64_t>(agents.size()))
                         .Take();
  text += '\n';
  for (const std::string& agent : agents) (text += agent) += '\n';
  return text;
}

Result<HandoverState> HandoverState::Parse(std::string_view text) {
  auto next_line = [&text] {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    return line;
  };
  auto json = JsonDocument::Parse(next_line());
  if (!json) return Error{"handover_state", "the state's first line: " + json.error().message};
  const auto format = (*json)["format"].AsInt();
  if (!format) return Error{"handover_state", "the state has no format"};
  if (*format < 1 || *format > kFormat) {
    return Error{"handover_state", "the state has format " + std::to_string(*format) +
                                       "; this reeve knows those up to " + std::to_string(kFormat)};
  }
  HandoverState state;
  state.version = Text((*json)["version"]);
  state.handovers = Count((*json)["handovers"]);
  state.started_ms = (*json)["started_ms"].AsInt().value_or(0);
  state.lock_fd = static_cast<int>((*json)["lock_fd"].AsInt().value_or(-1));
  for (const JsonValue& one : (*json)["listeners"].Elements())
    state.listeners.push_back(ListenerFromJson(one));
  for (const JsonValue& one : (*json)["tickets"].Elements()) state.tickets.push_back(TicketFromJson(one));
  while (!text.empty()) state.agents.emplace_back(next_line());
  if (state.agents.size() != Count((*json)["agents"])) {
    return Error{"handover_state", "the state names " + std::to_string(Count((*json)["agents"])) +
                                       " agents and holds " + std::to_string(state.agents.size())};
  }
  return state;
}

Result<Fd> PutInMemory(const std::string& text) {
  Fd memory(memfd_create("reeve-handover", MFD_CLOEXEC));
  if (!memory.valid()) return OsError("memfd_create", errno);
  for (size_t written = 0; written < text.size();) {
    const ssize_t taken = write(memory.get(), text.data() + written, text.size() - written);
    if (taken < 0 && errno == EINTR) continue;
    if (taken < 0) return OsError("write the state", errno);
    written += static_cast<size_t>(taken);
  }
  if (lseek(memory.get(), 0, SEEK_SET) != 0) return OsError("seek", errno);
  return memory;
}

Result<HandoverState> ReadState(int fd) {
  const Fd owned(fd);
  (void)lseek(fd, 0, SEEK_SET);
  std::string text;
  size_t size = 0;
  for (;;) {
    text.resize(size + (size_t{1} << 20));
    const ssize_t got = read(fd, text.data() + size, text.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return OsError("read the state", errno);
    if (got == 0) break;
    size += static_cast<size_t>(got);
  }
  text.resize(size);
  return HandoverState::Parse(text);
}

Result<Fd> Inherit(int fd) {
  if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) return OsError("descriptor " + std::to_string(fd), errno);
  return Fd(fd);
}

}  // namespace reeve
