#include "tickets/ticket_store.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "tests/support/loop_fixture.h"

namespace reeve {
namespace {

Grant For(const std::string& agent) {
  Grant grant;
  grant.agents = {agent};
  return grant;
}

class Tickets : public testing::Test {
 protected:
  bool Opens(std::string_view ticket, const Redemption& claim = {"a", ""}) {
    return store_.Redeem(ticket, claim).has_value();
  }

  MockClock clock_;
  TicketStore store_{clock_};
};

TEST_F(Tickets, ATicketOpensOnceWhatItWasIssuedFor) {
  Grant grant = For("a");
  grant.mode = TicketMode::kOperate;
  grant.after = {{"a", "3-10"}};
  grant.token = 7;
  std::string ticket = store_.Issue(grant, 60'000);
  std::optional<TicketStore::Redeemed> redeemed = store_.Redeem(ticket, {"a", ""});
  ASSERT_TRUE(redeemed);
  EXPECT_EQ(redeemed->grant.agents, std::vector<std::string>{"a"});
  EXPECT_EQ(redeemed->grant.mode, TicketMode::kOperate);
  EXPECT_EQ(redeemed->grant.after.at("a"), "3-10");
  EXPECT_EQ(redeemed->grant.token, 7u);
  EXPECT_EQ(redeemed->replaces, 0u);
  EXPECT_FALSE(Opens(ticket));
}

TEST_F(Tickets, TicketsAre256BitsInBase64UrlAndNeverAlike) {
  std::set<std::string> seen;
  std::set<char> letters;
  for (int i = 0; i < 500; ++i) {
    std::string ticket = store_.Issue(For("a"), 60'000);
    EXPECT_EQ(ticket.size(), 43u);
    letters.insert(ticket.begin(), ticket.end());
    EXPECT_TRUE(seen.insert(ticket).second);
  }
  EXPECT_EQ(letters.size(), 64u);
  for (char c : letters) EXPECT_TRUE(isalnum(c) || c == '-' || c == '_') << c;
}

TEST_F(Tickets, LivesSixtySecondsAndNoLonger) {
  std::string first = store_.Issue(For("a"), 60'000);
  std::string second = store_.Issue(For("a"), 60'000);
  clock_.Advance(59'999);
  EXPECT_TRUE(Opens(first));
  clock_.Advance(1);
  EXPECT_FALSE(Opens(second));
}

TEST_F(Tickets, TheTimeIsTheMonotonicClocks) {
  std::string ticket = store_.Issue(For("a"), 60'000);
  clock_.wall_ms += 86'400'000;
  EXPECT_TRUE(Opens(ticket));
}

TEST_F(Tickets, TheTimeToLiveIsClamped) {
  std::string endless = store_.Issue(For("a"), 86'400'000);
  std::string spent = store_.Issue(For("a"), -5);
  EXPECT_TRUE(Opens(spent));
  spent = store_.Issue(For("a"), 0);
  clock_.Advance(1);
  EXPECT_FALSE(Opens(spent));
  clock_.Advance(59'999);
  EXPECT_FALSE(Opens(endless));
}

TEST_F(Tickets, AnotherAgentIsRefusedAndTheTicketKept) {
  std::string ticket = store_.Issue(For("a"), 60'000);
  EXPECT_FALSE(Opens(ticket, {"b", ""}));
  EXPECT_FALSE(Opens(ticket, {"", ""}));  // nor does it open the stream of several
  EXPECT_TRUE(Opens(ticket, {"a", ""}));
}

TEST_F(Tickets, ATicketForSeveralOpensOnlyTheStreamOfSeveral) {
  Grant some;
  some.several = true;
  some.agents = {"a", "b"};
  Grant all;
  all.several = all.all_agents = true;
  for (const Grant& grant : {some, all}) {
    std::string ticket = store_.Issue(grant, 60'000);
    EXPECT_FALSE(Opens(ticket, {"a", ""}));
    EXPECT_TRUE(Opens(ticket, {"", ""}));
  }
}

TEST_F(Tickets, AnotherOriginIsRefusedAndTheTicketKept) {
  Grant grant = For("a");
  grant.origin = "https://town.example";
  std::string ticket = store_.Issue(grant, 60'000);
  EXPECT_FALSE(Opens(ticket, {"a", "https://evil.example"}));
  EXPECT_FALSE(Opens(ticket, {"a", "null"}));
  EXPECT_TRUE(Opens(ticket, {"a", "https://town.example"}));
  // A same-origin EventSource sends none.
  EXPECT_TRUE(Opens(store_.Issue(grant, 60'000), {"a", ""}));
  EXPECT_TRUE(Opens(store_.Issue(For("a"), 60'000), {"a", "https://any.example"}));
}

TEST_F(Tickets, MalformedOnesAreRefused) {
  std::string ticket = store_.Issue(For("a"), 60'000);
  std::string flipped = ticket;
  flipped[20] = flipped[20] == 'A' ? 'B' : 'A';
  for (const std::string& bad :
       {std::string(), std::string("x"), ticket.substr(0, 42), ticket + "=", ticket + ticket,
        " " + ticket.substr(1), flipped, std::string(43, '-'), std::string(43, '\0'), std::string(8000, 'A'),
        ticket + std::string(1, '\0')}) {
    EXPECT_FALSE(Opens(bad)) << bad;
  }
  EXPECT_TRUE(Opens(ticket));
}

TEST_F(Tickets, ThousandAndFirstPushesTheFirstOut) {
  std::vector<std::string> tickets;
  tickets.reserve(1001);
  for (int i = 0; i < 1001; ++i) tickets.push_back(store_.Issue(For("a"), 60'000));
  EXPECT_EQ(store_.unredeemed(), 1000u);
  EXPECT_FALSE(Opens(tickets[0]));
  EXPECT_TRUE(Opens(tickets[1]));
  EXPECT_TRUE(Opens(tickets[1000]));
  EXPECT_EQ(store_.unredeemed(), 998u);
}

TEST_F(Tickets, ExpiredOnesMakeRoomBeforeLiveOnes) {
  std::string live = store_.Issue(For("a"), 60'000);
  for (int i = 0; i < 999; ++i) (void)store_.Issue(For("a"), 10);
  clock_.Advance(10);
  for (int i = 0; i < 999; ++i) (void)store_.Issue(For("a"), 10);
  EXPECT_EQ(store_.unredeemed(), 1000u);
  EXPECT_TRUE(Opens(live));
}

// --- resuming

TEST_F(Tickets, AResumeTicketContinuesAStreamThatStands) {
  std::string t0 = store_.Issue(For("a"), 60'000);
  Grant grant = store_.Redeem(t0, {"a", ""})->grant;
  std::string r1 = store_.OpenStream(1, grant, t0);
  clock_.Advance(10'000'000);  // however long
  std::optional<TicketStore::Redeemed> resumed = store_.Redeem(r1, {"a", ""});
  ASSERT_TRUE(resumed);
  EXPECT_EQ(resumed->replaces, 1u);
  EXPECT_FALSE(Opens(r1));
  std::string r2 = store_.OpenStream(2, resumed->grant, r1);
  store_.CloseStream(1);  // the replaced one ends: nothing of the new one does
  clock_.Advance(60'000);
  EXPECT_TRUE(Opens(r2));
}

TEST_F(Tickets, AResumeTicketOutlivesItsStreamByTheTimeOfItsGrant) {
  Grant grant = For("a");
  grant.resume_ms = 3'600'000;
  const std::string r1 = store_.OpenStream(1, grant, "");
  store_.CloseStream(1);
  clock_.Advance(3'599'999);
  const std::optional<TicketStore::Redeemed> resumed = store_.Redeem(r1, {"a", ""});
  ASSERT_TRUE(resumed);
  const std::string r2 = store_.OpenStream(2, resumed->grant, "");  // the time holds for the whole chain
  store_.CloseStream(2);
  clock_.Advance(3'600'000);
  EXPECT_FALSE(Opens(r2));
}

TEST_F(Tickets, AResumeTicketOutlivesItsStreamBySixtySeconds) {
  std::string r1 = store_.OpenStream(1, For("a"), "");
  std::string r2 = store_.OpenStream(2, For("a"), "");
  clock_.Advance(100'000);
  store_.CloseStream(1);
  store_.CloseStream(2);
  store_.CloseStream(2);  // again: nothing
  clock_.Advance(59'999);
  std::optional<TicketStore::Redeemed> resumed = store_.Redeem(r1, {"a", ""});
  ASSERT_TRUE(resumed);
  EXPECT_EQ(resumed->replaces, 0u);
  clock_.Advance(1);
  EXPECT_FALSE(Opens(r2));
}

TEST_F(Tickets, AResumeTicketIsBoundLikeTheFirst) {
  Grant grant = For("a");
  grant.origin = "https://town.example";
  std::string r1 = store_.OpenStream(1, grant, "");
  EXPECT_FALSE(Opens(r1, {"b", ""}));
  EXPECT_FALSE(Opens(r1, {"a", "https://evil.example"}));
  EXPECT_TRUE(Opens(r1, {"a", "https://town.example"}));
}

TEST_F(Tickets, AnEarlierResumeTicketStaysValidUntilItsClientHasTheNext) {
  const std::string r1 = store_.OpenStream(1, For("a"), "");
  EXPECT_TRUE(store_.Redeem(r1, {"a", ""})->resumes);
  const std::string r2 = store_.OpenStream(2, For("a"), "");
  store_.KeepEarlier(2, r1);
  store_.CloseStream(2);
  EXPECT_FALSE(Opens(r1, {"b", ""}));
  ASSERT_TRUE(Opens(r1));
  EXPECT_FALSE(Opens(r1)) << "once";
  EXPECT_FALSE(Opens(r2)) << "either uses up both";
  const std::string r3 = store_.OpenStream(3, For("a"), "");
  store_.KeepEarlier(3, r1);
  store_.DropEarlier(3);
  store_.DropEarlier(4);  // no such stream
  EXPECT_FALSE(Opens(r1)) << "its client has the next one";
  EXPECT_TRUE(Opens(r3));
}

TEST_F(Tickets, AnEarlierResumeTicketReplacesTheStreamThatItOpened) {
  const std::string r1 = store_.OpenStream(1, For("a"), "");
  EXPECT_EQ(store_.Redeem(r1, {"a", ""})->replaces, 1U);
  const std::string r2 = store_.OpenStream(2, For("a"), "");
  store_.KeepEarlier(2, r1);
  EXPECT_EQ(store_.Redeem(r1, {"a", ""})->replaces, 2U);
  const std::string r3 = store_.OpenStream(3, For("a"), "");
  store_.KeepEarlier(3, r2);
  EXPECT_EQ(store_.Redeem(r3, {"a", ""})->replaces, 3U);
  EXPECT_FALSE(Opens(r2));
}

TEST_F(Tickets, AnEarlierResumeTicketIsValidForSixtySeconds) {
  const std::string r1 = store_.OpenStream(1, For("a"), "");
  ASSERT_TRUE(Opens(r1));
  const std::string r2 = store_.OpenStream(2, For("a"), "");
  store_.KeepEarlier(2, r1);
  clock_.Advance(59'999);
  TicketStore next(clock_);  // also over the end of the daemon
  next.Restore(store_.Save());
  EXPECT_TRUE(next.Redeem(r1, {"a", ""}));
  EXPECT_FALSE(next.Redeem(r2, {"a", ""}));
  clock_.Advance(1);
  EXPECT_FALSE(Opens(r1));
  EXPECT_TRUE(Opens(r2));
}

TEST_F(Tickets, AnEarlierResumeTicketEndsWithItsToken) {
  Grant mine = For("a");
  mine.token = 7;
  const std::string r1 = store_.OpenStream(1, mine, "");
  ASSERT_TRUE(Opens(r1));
  const std::string r2 = store_.OpenStream(2, mine, "");
  store_.KeepEarlier(2, r1);
  store_.RevokeToken(7);
  EXPECT_FALSE(Opens(r1));
  EXPECT_FALSE(Opens(r2));
}

TEST_F(Tickets, TheCookieIsGoodOnlyWithTheTicketTheChainBeganWith) {
  const Redemption claim{"a", ""};
  std::string t0 = store_.Issue(For("a"), 60'000);
  std::string other = store_.Issue(For("a"), 60'000);
  Grant grant = store_.Redeem(t0, claim)->grant;
  std::string r1 = store_.OpenStream(1, grant, t0);
  EXPECT_FALSE(store_.RedeemWithCookie(other, r1, claim));
  EXPECT_FALSE(store_.RedeemWithCookie("", r1, claim));
  EXPECT_FALSE(store_.RedeemWithCookie("malformed", r1, claim));
  EXPECT_FALSE(store_.RedeemWithCookie(r1, r1, claim));
  EXPECT_FALSE(store_.RedeemWithCookie(t0, other, claim));
  EXPECT_FALSE(store_.RedeemWithCookie(t0, t0, claim));
  EXPECT_FALSE(store_.RedeemWithCookie(t0, r1, {"b", ""}));

  std::optional<TicketStore::Redeemed> resumed = store_.RedeemWithCookie(t0, r1, claim);
  ASSERT_TRUE(resumed);
  EXPECT_EQ(resumed->replaces, 1u);
  std::string r2 = store_.OpenStream(2, resumed->grant, t0);
  EXPECT_FALSE(store_.RedeemWithCookie(t0, r1, claim));  // replayed
  store_.CloseStream(2);
  resumed = store_.RedeemWithCookie(t0, r2, claim);
  ASSERT_TRUE(resumed);
  EXPECT_EQ(resumed->replaces, 0u);
  EXPECT_TRUE(Opens(other));
}

TEST_F(Tickets, AStreamOpenedByABearerTokenHasNoCookie) {
  std::string r1 = store_.OpenStream(1, For("a"), "");
  EXPECT_FALSE(store_.RedeemWithCookie("", r1, {"a", ""}));
  EXPECT_TRUE(Opens(r1));
}

TEST_F(Tickets, ResumeTicketsAreNotCountedAmongTheThousand) {
  std::vector<std::string> tickets;
  tickets.reserve(1000);
  for (int i = 0; i < 1000; ++i) tickets.push_back(store_.Issue(For("a"), 60'000));
  for (uint64_t stream = 1; stream <= 5000; ++stream) (void)store_.OpenStream(stream, For("a"), "");
  for (uint64_t stream = 1; stream <= 2500; ++stream) store_.CloseStream(stream);
  EXPECT_EQ(store_.unredeemed(), 1000u);
  EXPECT_TRUE(Opens(tickets[0]));
}

TEST_F(Tickets, ClosedStreamsAreRememberedUpToALimit) {
  std::string first = store_.OpenStream(1, For("a"), "");
  std::string second = store_.OpenStream(2, For("a"), "");
  std::string standing = store_.OpenStream(3, For("a"), "");
  for (uint64_t stream = 1; stream <= 2; ++stream) store_.CloseStream(stream);
  for (uint64_t stream = 4; stream < 4 + TicketStore::kMaxClosed - 1; ++stream) {
    (void)store_.OpenStream(stream, For("a"), "");
    store_.CloseStream(stream);
  }
  EXPECT_FALSE(Opens(first));
  EXPECT_TRUE(Opens(second));
  EXPECT_TRUE(Opens(standing));
}

// Large tickets of one token push out only its own.
TEST_F(Tickets, ATokenHasABoundedNumberOfBytes) {
  const std::string other = store_.Issue(For("a"), 60'000);
  Grant large;
  large.token = 7;
  large.agents = {"a"};
  for (int i = 0; i < 20'000; ++i) large.after["agent-" + std::to_string(i)] = "1-1";
  std::vector<std::string> tickets;
  for (int i = 0; i < 20; ++i) tickets.push_back(store_.Issue(large, 60'000));
  EXPECT_LT(store_.unredeemed(), 12u);
  EXPECT_GT(store_.unredeemed(), 5u);
  EXPECT_FALSE(Opens(tickets.front()));
  EXPECT_TRUE(Opens(tickets.back()));
  EXPECT_TRUE(Opens(other));
  for (uint64_t stream = 1; stream <= 20; ++stream) {
    (void)store_.OpenStream(stream, large, "");
    store_.CloseStream(stream);
  }
  EXPECT_LT(store_.Save().size(), 12u);
}

TEST_F(Tickets, OneTokenPushesOutNoTicketOfAnother) {
  Grant mine = For("a");
  mine.token = 1;
  Grant theirs = For("a");
  theirs.token = 2;
  const std::string ticket = store_.Issue(mine, 60'000);
  const std::string resume = store_.OpenStream(1, mine, "");
  store_.CloseStream(1);
  for (size_t i = 0; i < 2 * TicketStore::kMaxTickets; ++i) (void)store_.Issue(theirs, 60'000);
  for (uint64_t stream = 2; stream < 2 + 2 * TicketStore::kMaxClosed; ++stream) {
    (void)store_.OpenStream(stream, theirs, "");
    store_.CloseStream(stream);
  }
  EXPECT_EQ(store_.unredeemed(), TicketStore::kMaxTickets + 1);
  EXPECT_TRUE(Opens(ticket));
  EXPECT_TRUE(Opens(resume));
}

// Each agent may have a token, so the tokens together are bounded, too. The one that holds most makes room.
TEST_F(Tickets, AllTokensTogetherHaveABoundedNumberOfBytes) {
  Grant small = For("a");
  small.token = 1;
  const std::string kept = store_.Issue(small, 60'000);
  Grant large = For("a");
  for (int i = 0; i < 20'000; ++i) large.after["agent-" + std::to_string(i)] = "1-1";
  std::vector<std::string> newest;
  for (large.token = 2; large.token < 12; ++large.token) {
    for (int i = 0; i < 6; ++i) newest.push_back(store_.Issue(large, 60'000));
  }
  constexpr size_t kLeastBytes = 20'000 * 96;  // of one of them
  EXPECT_LE(store_.unredeemed(), TicketStore::kMaxBytes / kLeastBytes + 1);
  EXPECT_GT(store_.unredeemed(), 20U);
  EXPECT_FALSE(Opens(newest.front()));
  EXPECT_TRUE(Opens(newest.back()));
  EXPECT_TRUE(Opens(kept));
}

TEST_F(Tickets, RevokingAStreamVoidsItsResumeTicketAndTheEarlierOne) {
  const std::string first = store_.OpenStream(1, For("a"), "");
  ASSERT_TRUE(Opens(first));
  const std::string second = store_.OpenStream(2, For("a"), "");
  store_.KeepEarlier(2, first);
  EXPECT_NE(store_.Find(first, {"a", ""}), nullptr);
  EXPECT_NE(store_.Find(second, {"a", ""}), nullptr);
  EXPECT_EQ(store_.Find(second, {"b", ""}), nullptr);
  store_.RevokeStream(2);
  store_.RevokeStream(3);  // there is none
  EXPECT_EQ(store_.Find(second, {"a", ""}), nullptr);
  EXPECT_FALSE(Opens(first));
  EXPECT_FALSE(Opens(second));
  store_.CloseStream(2);
  EXPECT_FALSE(Opens(second));
}

TEST_F(Tickets, RevokingATokenEndsAllItIssued) {
  Grant mine = For("a");
  mine.token = 1;
  Grant theirs = For("a");
  theirs.token = 2;
  std::string ticket = store_.Issue(mine, 60'000);
  std::string standing = store_.OpenStream(1, mine, "");
  std::string closed = store_.OpenStream(2, mine, "");
  std::string kept = store_.Issue(theirs, 60'000);
  std::string kept_standing = store_.OpenStream(3, theirs, "");
  store_.CloseStream(2);
  store_.RevokeToken(1);
  EXPECT_FALSE(Opens(ticket));
  EXPECT_FALSE(Opens(standing));
  EXPECT_FALSE(Opens(closed));
  store_.CloseStream(1);
  EXPECT_EQ(store_.unredeemed(), 1u);
  EXPECT_TRUE(Opens(kept));
  EXPECT_TRUE(Opens(kept_standing));
}

TEST_F(Tickets, TheCookieIsNamedAfterTheTicketsHash) {
  // printf abc | sha256sum
  EXPECT_EQ(TicketStore::CookieName("abc"), "reeve_resume_ba7816bf8f01cfea");
}

// --- against a model: a plain list, and the rules read off the contract

struct Known {
  std::string text;
  Grant grant;
  int64_t expires_at;  // -1: its stream stands
  uint64_t stream;     // 0: a first ticket
  std::string url;
  bool gone = false;
};

class Model {
 public:
  explicit Model(const MockClock& clock) : clock_(clock) {}

  void Issued(const std::string& text, const Grant& grant, int64_t ttl_ms) {
    std::vector<Known*> unredeemed;
    for (Known& known : all_) {
      if (known.stream == 0 && Live(known) && known.grant.token == grant.token) unredeemed.push_back(&known);
    }
    if (unredeemed.size() == TicketStore::kMaxTickets) unredeemed.front()->gone = true;
    all_.push_back({text, grant, clock_.monotonic_ms + ttl_ms, 0, ""});
  }
  void Opened(const std::string& text, const Grant& grant, uint64_t stream, const std::string& url) {
    all_.push_back({text, grant, -1, stream, url});
  }
  void Closed(uint64_t stream) {
    for (Known& known : all_) {
      if (known.stream == stream && known.expires_at == -1) known.expires_at = clock_.monotonic_ms + 60'000;
    }
  }
  void Revoked(uint64_t token) {
    for (Known& known : all_) known.gone |= known.grant.token == token;
  }
  // The stream to replace; nothing where it must be refused.
  std::optional<uint64_t> Redeem(const std::string& text, const Redemption& claim, const std::string* spent) {
    for (Known& known : all_) {
      if (known.text != text) continue;
      bool allowed = Live(known) && known.grant.agents[0] == claim.agent;
      allowed &= claim.origin.empty() || known.grant.origin.empty() || claim.origin == known.grant.origin;
      if (spent) allowed &= known.stream != 0 && !known.url.empty() && known.url == *spent;
      if (!allowed) return std::nullopt;
      known.gone = true;
      return known.expires_at == -1 ? known.stream : 0;
    }
    return std::nullopt;
  }
  [[nodiscard]] size_t Unredeemed() const {
    return static_cast<size_t>(std::count_if(
        all_.begin(), all_.end(), [this](const Known& known) { return known.stream == 0 && Live(known); }));
  }
  [[nodiscard]] const std::vector<Known>& all() const { return all_; }

 private:
  [[nodiscard]] bool Live(const Known& known) const {
    return !known.gone && (known.expires_at == -1 || clock_.monotonic_ms < known.expires_at);
  }
  const MockClock& clock_;
  std::vector<Known> all_;
};

TEST(TicketsProperty, TheStoreDoesAsTheModelDoes) {
  std::mt19937 random(3);
  auto below = [&random](size_t limit) { return static_cast<size_t>(random() % limit); };
  const std::string agents[] = {"a", "b"};
  const std::string origins[] = {"", "https://x", "https://y"};
  MockClock clock;
  TicketStore store(clock);
  Model model(clock);
  uint64_t streams = 0;
  int opened = 0, refused = 0;
  const std::string spent[] = {"", std::string(43, '0'), std::string(43, '1')};  // tickets in URLs

  for (int step = 0; step < 6'000; ++step) {
    Grant grant = For(agents[below(2)]);
    grant.origin = origins[below(3)];
    grant.token = 1 + below(20);
    const size_t act = below(100);
    if (act < 30) {
      const auto ttl = static_cast<int64_t>(1 + below(60'000));
      // Sometimes so many that the oldest have to go.
      for (size_t count = below(200) == 0 ? 1000 : 1; count > 0; --count) {
        model.Issued(store.Issue(grant, ttl), grant, ttl);
      }
    } else if (act < 45) {
      const std::string& url = spent[below(3)];
      ++streams;
      model.Opened(store.OpenStream(streams, grant, url), grant, streams, url);
    } else if (act < 55 && streams > 0) {
      const uint64_t stream = 1 + below(streams);
      store.CloseStream(stream);
      model.Closed(stream);
    } else if (act < 60) {
      clock.Advance(static_cast<int64_t>(below(20'000)));
    } else if (act == 60) {
      store.RevokeToken(grant.token);
      model.Revoked(grant.token);
    } else if (!model.all().empty()) {
      // Mostly one of the latest: most others are spent.
      const size_t size = model.all().size();
      const size_t back = below(2) == 0 ? std::min<size_t>(size, 20) : size;
      const std::string text = model.all()[size - 1 - below(back)].text;
      const Redemption claim{agents[below(2)], origins[below(3)]};
      const bool cookie = below(3) == 0;
      const std::string& presented = spent[below(3)];
      std::optional<uint64_t> expected = model.Redeem(text, claim, cookie ? &presented : nullptr);
      std::optional<TicketStore::Redeemed> redeemed =
          cookie ? store.RedeemWithCookie(presented, text, claim) : store.Redeem(text, claim);
      ASSERT_EQ(redeemed.has_value(), expected.has_value()) << step;
      if (expected) {
        ASSERT_EQ(redeemed->replaces, *expected) << step;
      }
      ++(expected ? opened : refused);
    }
    if (step % 50 == 0) {
      ASSERT_EQ(store.unredeemed(), model.Unredeemed()) << step;
    }
  }
  EXPECT_GT(opened, 100);
  EXPECT_GT(refused, 500);
}

// ------------------------------------------------------------------------------------------------ handover

TEST_F(Tickets, AHandoverKeepsThemAsIfEveryStreamHadClosed) {
  Grant grant = For("a");
  grant.mode = TicketMode::kTerminal;
  grant.origin = "https://one.example";
  grant.after = {{"a", "3-10"}};
  grant.token = 7;
  const std::string unused = store_.Issue(grant, 30'000);
  const std::string url = store_.Issue(For("a"), 30'000);
  ASSERT_TRUE(store_.Redeem(url, {"a", ""}));
  const std::string cookie = store_.OpenStream(1, For("a"), url);
  const std::string standing = store_.OpenStream(2, For("a"), "");
  const std::string closed = store_.OpenStream(3, For("a"), "");
  store_.CloseStream(3);
  clock_.Advance(10'000);

  TicketStore next(clock_);
  next.Restore(store_.Save());
  EXPECT_FALSE(next.Redeem(url, {"a", ""})) << "it was spent";
  EXPECT_FALSE(next.Redeem(unused, {"b", ""})) << "it is another agent's";
  auto redeemed = next.Redeem(unused, {"a", "https://one.example"});
  ASSERT_TRUE(redeemed);
  EXPECT_EQ(redeemed->grant.mode, TicketMode::kTerminal);
  EXPECT_EQ(redeemed->grant.after, grant.after);
  EXPECT_EQ(redeemed->grant.token, 7U);
  EXPECT_FALSE(next.Redeem(unused, {"a", ""})) << "once";

  clock_.Advance(TicketStore::kResumeMs - 10'000);
  EXPECT_FALSE(next.Redeem(closed, {"a", ""})) << "its 60 s began when it closed";
  EXPECT_FALSE(next.RedeemWithCookie(unused, cookie, {"a", ""})) << "another chain's";
  auto resumed = next.RedeemWithCookie(url, cookie, {"a", ""});
  ASSERT_TRUE(resumed);
  EXPECT_EQ(resumed->replaces, 0U) << "no stream stands";
  clock_.Advance(10'000);
  EXPECT_FALSE(next.Redeem(standing, {"a", ""})) << "its 60 s began with the handover";
}

}  // namespace
}  // namespace reeve
