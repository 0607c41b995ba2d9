// TicketStore: one-use stream tickets (control/api/API.md). Owned by the Daemon; used on the loop's thread.
// Tickets are never on a disk. They outlive the daemon in its checkpoint, in memory. No I/O, no libuv.
//
// A ticket is 256 bits from the system's generator, in base64url. The store keeps only its SHA-256. Redeeming
// is one step: a ticket that is found, bound as the claim says and not expired is used up. Every other case
// gets the same refusal, in the same time, so the refusal does not reveal which case it was.
//
// A *resume ticket* continues one stream: it has the same grant, works once, and is valid while that stream
// is open and for 60 s after, or for as long as its grant says. If its client may not have got the next one,
// it may stay valid besides that one (KeepEarlier); the first of the two that is used ends both, so that
// there is never more than one stream.
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

// The streams that a ticket opens. A value.
struct Grant {
  bool all_agents = false;
  bool several = false;             // for GET /stream and /ws; otherwise exactly one agent's stream
  std::vector<std::string> agents;  // empty with all_agents
  TicketMode mode = TicketMode::kView;
  std::string origin;                        // of the request that issued it; empty: bound to no origin
  std::map<std::string, std::string> after;  // agent → cursor at which the stream begins
  uint64_t token = 0;  // the bearer token that issued it; RevokeToken(token) ends the ticket
  // The connection of GET /ws that a resume ticket continues; empty for any other ticket.
  std::string connection;
  int64_t resume_ms = 0;  // the validity of its resume tickets after their stream; 0: TicketStore::kResumeMs

  // For the next daemon (orchestrator/handover/saved_state.h).
  static void Members(auto& self, auto& state) {
    state("all_agents", self.all_agents);
    state("several", self.several);
    state("agents", self.agents);
    state.Enum("mode", self.mode, kTicketModes);
    state("origin", self.origin);
    state("after", self.after);
    state.Number("token", self.token);
    state("connection", self.connection);
    state("resume_ms", self.resume_ms);
  }
};

// The claim of the client that redeems a ticket.
struct Redemption {
  std::string agent;   // from GET /agents/{id}/stream; empty for /stream and /ws
  std::string origin;  // empty: the request had none, which is allowed
};

class TicketStore {
 public:
  static constexpr int64_t kMaxTtlMs = 60'000;
  // Unredeemed tickets of one bearer token; beyond this its oldest is dropped first. The tickets of other
  // tokens stay.
  static constexpr size_t kMaxTickets = 1000;
  static constexpr int64_t kResumeMs = 60'000;
  static constexpr int64_t kMaxResumeMs = int64_t{24} * 3'600'000;
  // Resume tickets of closed streams, likewise. This leaves room for all viewers of a proxy that restarts,
  // and bounds those of a client that connects in a loop.
  static constexpr size_t kMaxClosed = 16'384;

  // Memory for the tickets of one bearer token, without those of open streams; beyond this its oldest are
  // dropped first. This suffices for all that the other limits allow, unless tickets name many agents.
  static constexpr size_t kMaxTokenBytes = size_t{16} << 20;
  // The same for all tokens together, as each agent may have one. Beyond this the oldest tickets of the token
  // that holds most are dropped.
  static constexpr size_t kMaxBytes = size_t{64} << 20;

  explicit TicketStore(const Clock& clock);
  ~TicketStore();
  TicketStore(const TicketStore&) = delete;
  TicketStore& operator=(const TicketStore&) = delete;

  // Issues a ticket that lives for ttl_ms (clamped to 1…kMaxTtlMs).
  std::string Issue(Grant grant, int64_t ttl_ms);

  // The result of a redeemed ticket: its grant, and the stream that it continues if it was a resume ticket.
  struct Redeemed {
    Grant grant;
    uint64_t replaces = 0;  // id of the stream to close with "replaced"; 0: none, or already gone
    bool resumes = false;   // it was a resume ticket
  };
  // Returns nothing for a ticket that is malformed, unknown, expired, used, or bound to something else. A
  // ticket of the last kind is not consumed.
  std::optional<Redeemed> Redeem(std::string_view ticket, const Redemption& claim);
  // The grant of a ticket that Redeem would accept, or null. The ticket is not consumed.
  [[nodiscard]] const Grant* Find(std::string_view ticket, const Redemption& claim) const;
  // For a native EventSource, which comes back with the spent ticket in its URL and the resume ticket in a
  // cookie: `spent` must be the ticket with which the chain of that stream began.
  std::optional<Redeemed> RedeemWithCookie(std::string_view spent, std::string_view resume,
                                           const Redemption& claim);

  // Records that a stream opens, and returns its resume ticket. `url_ticket` is the ticket in its URL, or
  // empty (bearer token). The caller chooses `stream`: a number that is not 0 and never used again.
  std::string OpenStream(uint64_t stream, Grant grant, std::string_view url_ticket);
  // `earlier`, a resume ticket that opened the stream, stays valid besides the stream's own, because the
  // client may not have got that one: until DropEarlier says that it has, or for kResumeMs.
  void KeepEarlier(uint64_t stream, std::string_view earlier);
  void DropEarlier(uint64_t stream);
  // Records that the stream has closed. Its resume ticket, if still unused, lives on for kResumeMs, or for as
  // long as its grant says.
  void CloseStream(uint64_t stream);

  // Voids the resume ticket of an open stream, and the earlier one.
  void RevokeStream(uint64_t stream);
  // Voids every ticket that this bearer token issued.
  void RevokeToken(uint64_t token);

  // For a checkpoint: all tickets, the oldest first. Times are monotonic.
  struct Saved {
    static constexpr int64_t kStreamOpen = -1;
    std::string hash;  // SHA-256, raw
    Grant grant;
    bool resume = false;
    int64_t expires_at = 0;  // kStreamOpen: counts from Restore on, because the stream ended with its daemon
    std::string url;  // of a resume ticket that needs one: the hash of the ticket with which its chain began
    std::string earlier;  // the hash of the earlier ticket that is still valid; empty: there is none
    int64_t earlier_until = 0;

    static void Members(auto& self, auto& state) {
      state.Bytes("hash", self.hash);
      state("grant", self.grant);
      state("resume", self.resume);
      state("expires_at", self.expires_at);
      state.Bytes("url", self.url);
      state.Bytes("earlier", self.earlier);
      state("earlier_until", self.earlier_until);
    }
  };
  [[nodiscard]] std::vector<Saved> Save() const;
  // Rises with each change of what Save returns.
  [[nodiscard]] uint64_t changes() const;
  // Fills an empty store. Skips entries that are no tickets.
  void Restore(std::vector<Saved> tickets);

  [[nodiscard]] size_t unredeemed() const;

  // The name of the cookie for a stream whose URL carries `url_ticket`: "reeve_resume_" and the first 16 hex
  // digits of its SHA-256.
  static std::string CookieName(std::string_view url_ticket);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace reeve
