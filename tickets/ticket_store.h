// TicketStore: one-use stream tickets (control/api/API.md). Owned by the Daemon; used on the loop's thread;
// forgets everything at exit, on purpose, but for a handover. No I/O, no libuv.
//
// A ticket is 256 bits from the system's generator, in base64url. Only its SHA-256 is kept. Redeeming is one
// step: found, bound as asked, not expired → gone. Everything else is one refusal, in the same time, that
// does not say which.
//
// A *resume ticket* continues one stream: same grant, one use, good while that stream stands and 60 s after.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace reeve {

class Clock;

enum class TicketMode { kView, kOperate, kTerminal };
inline constexpr const char* kTicketModes[] = {"view", "operate", "terminal"};  // by TicketMode

// What a ticket opens. A value.
struct Grant {
  bool all_agents = false;
  bool several = false;             // for GET /stream and /ws; otherwise exactly one agent's stream
  std::vector<std::string> agents;  // empty with all_agents
  TicketMode mode = TicketMode::kView;
  std::string origin;                        // of the issuing request; empty: not bound to one
  std::map<std::string, std::string> after;  // agent → cursor: where the stream begins
  uint64_t token = 0;                        // which bearer token issued it; RevokeToken(token) ends it

  // For a handover (orchestrator/handover/saved_state.h).
  static void Members(auto& self, auto& state) {
    state("all_agents", self.all_agents);
    state("several", self.several);
    state("agents", self.agents);
    state.Enum("mode", self.mode, kTicketModes);
    state("origin", self.origin);
    state("after", self.after);
    state.Number("token", self.token);
  }
};

// What the redeemer claims.
struct Redemption {
  std::string agent;   // of GET /agents/{id}/stream; empty for /stream and /ws
  std::string origin;  // empty: the request had none, which passes
};

class TicketStore {
 public:
  static constexpr int64_t kMaxTtlMs = 60'000;
  static constexpr size_t kMaxTickets = 1000;  // unredeemed; the oldest goes first
  static constexpr int64_t kResumeMs = 60'000;
  // Resume tickets of closed streams, the oldest goes first: room for all viewers of a proxy that restarts,
  // and an end to those of a client that connects in a loop.
  static constexpr size_t kMaxClosed = 16'384;

  explicit TicketStore(const Clock& clock);
  ~TicketStore();
  TicketStore(const TicketStore&) = delete;
  TicketStore& operator=(const TicketStore&) = delete;

  // A ticket that lives ttl_ms (clamped to 1…kMaxTtlMs).
  std::string Issue(Grant grant, int64_t ttl_ms);

  // What a redeemed ticket gives: the grant, and the stream that it continues, if it was a resume ticket.
  struct Redeemed {
    Grant grant;
    uint64_t replaces = 0;  // stream id to close with "replaced"; 0: none, or already gone
  };
  // Nothing for a ticket that is malformed, unknown, expired, used, or bound to something else; the last is
  // not consumed.
  std::optional<Redeemed> Redeem(std::string_view ticket, const Redemption& claim);
  // The way of a native EventSource, which comes back with the spent ticket in its URL and the resume ticket
  // in a cookie: `spent` must be the ticket that stream's chain began with.
  std::optional<Redeemed> RedeemWithCookie(std::string_view spent, std::string_view resume,
                                           const Redemption& claim);

  // A stream opens: its resume ticket. `url_ticket` is the ticket in its URL, or empty (bearer token);
  // `stream` is a number of the caller's own, not 0, unique for ever.
  std::string OpenStream(uint64_t stream, Grant grant, std::string_view url_ticket);
  // It has closed: its resume ticket, if still unused, lives on for kResumeMs.
  void CloseStream(uint64_t stream);

  // Everything that this bearer token issued is void.
  void RevokeToken(uint64_t token);

  // For a handover: all tickets, the oldest first, as if every stream had closed now. Times are monotonic.
  struct Saved {
    std::string hash;  // SHA-256, raw
    Grant grant;
    bool resume = false;
    int64_t expires_at = 0;
    std::string url;  // of a resume ticket that needs one: the hash of what its chain began with

    static void Members(auto& self, auto& state) {
      state.Bytes("hash", self.hash);
      state("grant", self.grant);
      state("resume", self.resume);
      state("expires_at", self.expires_at);
      state.Bytes("url", self.url);
    }
  };
  [[nodiscard]] std::vector<Saved> Save() const;
  // Into an empty one. What is no ticket is left out.
  void Restore(std::vector<Saved> tickets);

  [[nodiscard]] size_t unredeemed() const;

  // The cookie's name for a stream whose URL carries `url_ticket`: "reeve_resume_" and the first 16 hex
  // digits of its SHA-256.
  static std::string CookieName(std::string_view url_ticket);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace reeve
