#include "tickets/ticket_store.h"

#include <algorithm>
#include <array>
#include <limits>
#include <set>
#include <utility>

#include "process/clock.h"
#include "process/random.h"
#include "tickets/digest.h"

namespace reeve {

namespace {

constexpr size_t kSecretBytes = 32;
constexpr size_t kTicketSize = 43;  // 32 bytes in base64url, unpadded

using Hash = Digest;

// The hash of the ticket that a client presents. A text of another size cannot be a ticket; hashing it takes
// the same time.
Hash HashOfPresented(std::string_view ticket) {
  static constexpr std::string_view kNone = "-------------------------------------------";
  static_assert(kNone.size() == kTicketSize);
  return Sha256(ticket.size() == kTicketSize ? ticket : kNone);
}

std::string ToText(const Hash& hash) { return {hash.begin(), hash.end()}; }

std::optional<Hash> FromText(std::string_view text) {
  Hash hash;
  if (text.size() != hash.size()) return std::nullopt;
  std::copy(text.begin(), text.end(), hash.begin());
  return hash;
}

std::string NewTicket() {
  static constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string text;
  unsigned bits = 0;
  int held = 0;
  for (char c : RandomBytes(kSecretBytes)) {
    bits = (bits << 8) | static_cast<unsigned char>(c);
    for (held += 8; held >= 6; held -= 6) text += kDigits[(bits >> (held - 6)) & 63];
  }
  text += kDigits[(bits << (6 - held)) & 63];
  return text;
}

bool Allows(const Grant& grant, const Redemption& claim) {
  if (!grant.origin.empty() && !claim.origin.empty() && grant.origin != claim.origin) return false;
  if (grant.several || claim.agent.empty()) return grant.several && claim.agent.empty();
  return grant.agents.size() == 1 && grant.agents.front() == claim.agent;
}

enum class Kind {
  kFirst,     // one of a token's 1000; opens a new stream
  kStanding,  // continues an open stream
  kClosed,    // continues a stream that has closed, for ResumeMs
};

struct Entry {
  Grant grant;
  Kind kind;
  uint64_t key;             // its place in State::by_kind
  int64_t expires_at;       // monotonic; kNever for kStanding
  std::optional<Hash> url;  // of a resume ticket: the hash of the ticket that must come with the cookie
  // The hash of the earlier resume ticket that may be used in its place, and until when.
  std::optional<Hash> earlier = {};
  int64_t earlier_until = 0;
};

// Memory that the entry takes, roughly.
size_t BytesOf(const Entry& entry) {
  constexpr size_t kNode = 96;  // of a map, or of a string with its block
  size_t bytes = sizeof(Entry) + 4 * kNode + entry.grant.origin.size() + entry.grant.connection.size();
  for (const std::string& agent : entry.grant.agents) bytes += sizeof(std::string) + agent.size();
  for (const auto& [agent, cursor] : entry.grant.after) bytes += kNode + agent.size() + cursor.size();
  return bytes;
}

constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

int64_t ResumeMs(const Grant& grant) {
  if (grant.resume_ms == 0) return TicketStore::kResumeMs;
  return std::clamp<int64_t>(grant.resume_ms, 1, TicketStore::kMaxResumeMs);
}

}  // namespace

struct TicketStore::State {
  explicit State(const Clock& the_clock) : clock(the_clock) {}

  using Entries = std::map<Hash, Entry>;

  const Clock& clock;
  Entries entries;
  std::map<Hash, Hash> by_earlier;  // Entry::earlier → the hash of that entry
  // The hashes of each kind, by age (kFirst, kClosed) or by stream (kStanding).
  std::array<std::map<uint64_t, Hash>, 3> by_kind;
  std::set<std::pair<int64_t, Hash>> by_expiry;
  // The tickets of each bearer token that do not belong to an open stream, by age.
  struct Share {
    size_t bytes = 0;
    std::map<uint64_t, Hash> first, closed;

    std::map<uint64_t, Hash>& Of(Kind kind) { return kind == Kind::kFirst ? first : closed; }
    [[nodiscard]] const Hash& oldest() const {
      const bool older = closed.empty() || (!first.empty() && first.begin()->first < closed.begin()->first);
      return older ? first.begin()->second : closed.begin()->second;
    }
  };
  std::map<uint64_t, Share> shares;                // by token; none is empty
  std::set<std::pair<size_t, uint64_t>> by_bytes;  // the same shares: bytes, token
  size_t bytes = 0;                                // of all of them
  uint64_t last_age = 0;
  uint64_t changes = 0;

  std::map<uint64_t, Hash>& Of(Kind kind) { return by_kind[static_cast<size_t>(kind)]; }

  void Add(const Hash& hash, Entry entry) {
    ++changes;
    Of(entry.kind).emplace(entry.key, hash);
    if (entry.earlier) by_earlier.emplace(*entry.earlier, hash);
    if (entry.kind != Kind::kStanding) {
      by_expiry.emplace(entry.expires_at, hash);
      Share& share = shares[entry.grant.token];
      share.Of(entry.kind).emplace(entry.key, hash);
      SetBytes(entry.grant.token, share, share.bytes + BytesOf(entry));
    }
    entries.emplace(hash, std::move(entry));
  }

  Entry Take(Entries::iterator at) {
    ++changes;
    Entry entry = std::move(at->second);
    Of(entry.kind).erase(entry.key);
    if (entry.earlier) by_earlier.erase(*entry.earlier);
    if (entry.kind != Kind::kStanding) {
      by_expiry.erase({entry.expires_at, at->first});
      const auto share = shares.find(entry.grant.token);
      share->second.Of(entry.kind).erase(entry.key);
      SetBytes(entry.grant.token, share->second, share->second.bytes - BytesOf(entry));
      if (share->second.bytes == 0) shares.erase(share);
    }
    entries.erase(at);
    return entry;
  }

  void SetBytes(uint64_t token, Share& share, size_t now) {
    by_bytes.erase({share.bytes, token});
    bytes += now - share.bytes;
    share.bytes = now;
    if (now != 0) by_bytes.emplace(now, token);
  }

  void DropExpired() {
    while (!by_expiry.empty() && by_expiry.begin()->first <= clock.MonotonicMs()) {
      Take(entries.find(by_expiry.begin()->second));
    }
  }

  // Adds a ticket that belongs to no open stream. Older ones make room.
  void AddWithin(size_t limit, const Hash& hash, Entry entry) {
    DropExpired();
    const size_t more = BytesOf(entry);
    const auto share = [this, token = entry.grant.token]() -> Share* {
      const auto at = shares.find(token);
      return at == shares.end() ? nullptr : &at->second;
    };
    for (Share* own = share(); own && own->Of(entry.kind).size() >= limit; own = share())
      Take(entries.find(own->Of(entry.kind).begin()->second));
    for (Share* own = share(); own && own->bytes + more > kMaxTokenBytes; own = share())
      Take(entries.find(own->oldest()));
    while (!by_bytes.empty() && bytes + more > kMaxBytes)
      Take(entries.find(shares.at(by_bytes.rbegin()->second).oldest()));
    Add(hash, std::move(entry));
  }

  // The ticket with that hash, or the one in whose place it may be used.
  Entries::iterator Find(const Hash& hash) {
    const auto at = entries.find(hash);
    const auto later = by_earlier.find(hash);
    if (at != entries.end() || later == by_earlier.end()) return at;
    const auto next = entries.find(later->second);
    return next->second.earlier_until > clock.MonotonicMs() ? next : entries.end();
  }

  // Changes the ticket of an open stream.
  void SetEarlier(uint64_t stream, std::optional<Hash> earlier) {
    const auto standing = Of(Kind::kStanding).find(stream);
    if (standing == Of(Kind::kStanding).end()) return;
    const Hash hash = standing->second;
    if (!earlier && !entries.at(hash).earlier) return;
    Entry entry = Take(entries.find(hash));
    entry.earlier = earlier;
    entry.earlier_until = clock.MonotonicMs() + kResumeMs;
    Add(hash, std::move(entry));
  }

  // The entry of a ticket that may be redeemed, or the end.
  Entries::iterator FindFor(std::string_view ticket, const Redemption& claim) {
    const auto at = Find(HashOfPresented(ticket));
    if (at == entries.end() || at->second.expires_at <= clock.MonotonicMs()) return entries.end();
    return Allows(at->second.grant, claim) ? at : entries.end();
  }

  // If `url` is given, the entry must be the resume ticket of a chain that began with it.
  std::optional<Redeemed> Redeem(std::string_view ticket, const Redemption& claim,
                                 const std::optional<Hash>& url) {
    const auto at = FindFor(ticket, claim);
    if (at == entries.end() || (url && at->second.url != url)) return std::nullopt;
    Entry entry = Take(at);
    return Redeemed{std::move(entry.grant), entry.kind == Kind::kStanding ? entry.key : 0,
                    entry.kind != Kind::kFirst};
  }
};

TicketStore::TicketStore(const Clock& clock) : state_(std::make_unique<State>(clock)) {}
TicketStore::~TicketStore() = default;

std::string TicketStore::Issue(Grant grant, int64_t ttl_ms) {
  const int64_t expires_at = state_->clock.MonotonicMs() + std::clamp<int64_t>(ttl_ms, 1, kMaxTtlMs);
  std::string ticket = NewTicket();
  state_->AddWithin(kMaxTickets, Sha256(ticket),
                    {std::move(grant), Kind::kFirst, ++state_->last_age, expires_at, std::nullopt});
  return ticket;
}

std::optional<TicketStore::Redeemed> TicketStore::Redeem(std::string_view ticket, const Redemption& claim) {
  return state_->Redeem(ticket, claim, std::nullopt);
}

const Grant* TicketStore::Find(std::string_view ticket, const Redemption& claim) const {
  const auto at = state_->FindFor(ticket, claim);
  return at == state_->entries.end() ? nullptr : &at->second.grant;
}

std::optional<TicketStore::Redeemed> TicketStore::RedeemWithCookie(std::string_view spent,
                                                                   std::string_view resume,
                                                                   const Redemption& claim) {
  return state_->Redeem(resume, claim, HashOfPresented(spent));
}

std::string TicketStore::OpenStream(uint64_t stream, Grant grant, std::string_view url_ticket) {
  std::string ticket = NewTicket();
  std::optional<Hash> url;
  if (!url_ticket.empty()) url = Sha256(url_ticket);
  state_->Add(Sha256(ticket), {std::move(grant), Kind::kStanding, stream, kNever, url});
  return ticket;
}

void TicketStore::KeepEarlier(uint64_t stream, std::string_view earlier) {
  state_->SetEarlier(stream, Sha256(earlier));
}

void TicketStore::DropEarlier(uint64_t stream) { state_->SetEarlier(stream, std::nullopt); }

void TicketStore::CloseStream(uint64_t stream) {
  auto& standing = state_->Of(Kind::kStanding);
  auto at = standing.find(stream);
  if (at == standing.end()) return;
  const Hash hash = at->second;
  Entry entry = state_->Take(state_->entries.find(hash));
  entry.kind = Kind::kClosed;
  entry.key = ++state_->last_age;
  entry.expires_at = state_->clock.MonotonicMs() + ResumeMs(entry.grant);
  state_->AddWithin(kMaxClosed, hash, std::move(entry));
}

void TicketStore::RevokeStream(uint64_t stream) {
  const auto standing = state_->Of(Kind::kStanding).find(stream);
  if (standing != state_->Of(Kind::kStanding).end()) state_->Take(state_->entries.find(standing->second));
}

void TicketStore::RevokeToken(uint64_t token) {
  for (auto at = state_->entries.begin(); at != state_->entries.end();) {
    auto next = std::next(at);
    if (at->second.grant.token == token) state_->Take(at);
    at = next;
  }
}

std::vector<TicketStore::Saved> TicketStore::Save() const {
  std::vector<Saved> tickets;
  for (Kind kind : {Kind::kFirst, Kind::kClosed, Kind::kStanding}) {
    for (const auto& [key, hash] : state_->Of(kind)) {
      const Entry& entry = state_->entries.at(hash);
      const int64_t expires_at = kind == Kind::kStanding ? Saved::kStreamOpen : entry.expires_at;
      tickets.push_back({ToText(hash), entry.grant, kind != Kind::kFirst, expires_at,
                         entry.url ? ToText(*entry.url) : std::string(),
                         entry.earlier ? ToText(*entry.earlier) : std::string(), entry.earlier_until});
    }
  }
  return tickets;
}

void TicketStore::Restore(std::vector<Saved> tickets) {
  for (Saved& ticket : tickets) {
    const auto hash = FromText(ticket.hash);
    if (!hash) continue;
    const Kind kind = ticket.resume ? Kind::kClosed : Kind::kFirst;
    if (ticket.expires_at == Saved::kStreamOpen)
      ticket.expires_at = state_->clock.MonotonicMs() + ResumeMs(ticket.grant);
    state_->AddWithin(ticket.resume ? kMaxClosed : kMaxTickets, *hash,
                      {std::move(ticket.grant), kind, ++state_->last_age, ticket.expires_at,
                       FromText(ticket.url), FromText(ticket.earlier), ticket.earlier_until});
  }
}

uint64_t TicketStore::changes() const { return state_->changes; }

size_t TicketStore::unredeemed() const {
  state_->DropExpired();
  return state_->Of(Kind::kFirst).size();
}

std::string TicketStore::CookieName(std::string_view url_ticket) {
  return "reeve_resume_" + ToHex(Sha256(url_ticket)).substr(0, 16);
}

}  // namespace reeve
