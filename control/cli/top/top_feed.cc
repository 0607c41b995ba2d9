#include "control/cli/top/top_feed.h"

#include <algorithm>
#include <utility>

#include "control/cli/client/agent_names.h"
#include "process/loop.h"

namespace reeve {

namespace {

constexpr int64_t kSampleMs = 2'000;
constexpr int64_t kSoonMs = 150;  // after an order, or for a new agent
constexpr int64_t kLookMs = 500;  // between the two samples of Look
constexpr int64_t kReopenMs = 2'000;
constexpr const char* kPage = "200";         // agents; the daemon serves other clients between pages
constexpr const char* kNewestEvents = "40";  // many events leave the last line as it is
constexpr size_t kPastAtOnce = 4;

}  // namespace

TopFeed::TopFeed(Loop& loop, HttpClient& http, const Client& client, TopModel& model, TopTown& town,
                 Handlers handlers)
    : loop_(loop),
      client_(client),
      model_(model),
      town_(town),
      handlers_(std::move(handlers)),
      stream_(loop, http, client,
              {.agents = {"*"},
               .cursors = {},
               .types = {},
               .follow = true,
               .from_now = true,
               .first_contact = true},
              {.on_event =
                   [this](const JsonValue& event) {
                     const size_t known = model_.agents().size();
                     if (model_.TakeEvent(event)) handlers_.on_change();
                     if (model_.agents().size() != known) Refresh();  // for the new agent's details
                   },
               .on_synced = {},
               .on_end = [this](const Result<std::string>& reason) { StreamEnded(reason); },
               .on_gap = {},
               .on_connection = [this](bool up) { Connected(up); }}),
      sample_(loop, [this] { SampleTown(); }),
      reopen_(loop, [this] { stream_.Open(); }),
      ask_past_(loop, [this] { AskPast(); }),
      calls_(http) {}

void TopFeed::Start() { stream_.Open(); }

void TopFeed::Connected(bool up) {
  town_.connected = up;
  // The stream brings only changes from now on, so the present state is polled.
  if (up) {
    sample_.Start(0);
    AskApprovals();
  } else {
    sample_.Stop();
  }
  handlers_.on_change();
}

void TopFeed::StreamEnded(const Result<std::string>& reason) {
  const bool gone = reason || reason.error().code == "unreachable" || reason.error().code == "unknown_host" ||
                    reason.error().code == "timeout";
  if (gone && town_.known) return reopen_.Start(kReopenMs);
  handlers_.on_end(reason ? Error{"unreachable", client_.server() + " has ended the stream"}
                          : reason.error());
}

void TopFeed::Ask(const std::string& path, PendingCalls::Done done) {
  HttpRequest request = client_.Request("GET", path);
  request.max_body_bytes = size_t{64} << 20;
  calls_.Send(std::move(request), std::move(done));
}

void TopFeed::Refresh() {
  if (!sampling_ && town_.connected && sample_.due_ms().value_or(0) - loop_.NowMs() > kSoonMs)
    sample_.Start(kSoonMs);
}

// ------------------------------------------------------------------------------------------------- samples

void TopFeed::SampleTown() {
  if (std::exchange(sampling_, true)) return;
  Ask("/health", [this](const Result<JsonDocument>& health) {
    if (!health) return Sampled(health.error());
    const JsonValue json = health->root();
    town_.known = true;
    town_.name = Plain(json["town"].StringOr(""));
    town_.status = Plain(json["status"].StringOr("?"));
    town_.reason = Plain(json["reasons"].At(0).StringOr(""));
    town_.viewers = json["viewers"].AsInt().value_or(0);
    town_.uptime_ms = json["uptime_ms"].AsInt().value_or(0);
    model_.BeginList();
    SamplePage("");
  });
}

void TopFeed::SamplePage(const std::string& page_token) {
  const std::string path = std::string("/agents?resources=true&limit=") + kPage +
                           (page_token.empty() ? "" : "&page_token=" + page_token);
  Ask(path, [this](const Result<JsonDocument>& page) {
    if (!page) return Sampled(page.error());
    for (const JsonValue& agent : (*page)["agents"].Elements()) model_.TakeAgent(agent, loop_.NowMs());
    if (const auto next = (*page)["next_page_token"].AsString()) return SamplePage(PercentEncode(*next));
    model_.EndList();
    Sampled({});
  });
}

void TopFeed::Sampled(const Status& sampled) {
  sampling_ = false;
  if (look_) {
    if (sampled && ++looks_ == 1) return sample_.Start(kLookMs);
    if (!sampled) return std::exchange(look_, nullptr)(sampled);
    AskApprovals();
    std::vector<std::string> all;
    for (const auto& [id, agent] : model_.agents()) all.push_back(id);
    LookBack(all);
    return;
  }
  if (!town_.connected) return;
  if (sampled && model_.lacks_approvals()) AskApprovals();
  if (!sampled) handlers_.on_failure(sampled.error());
  sample_.Start(kSampleMs);
  handlers_.on_change();
}

void TopFeed::AskApprovals() {
  if (std::exchange(asking_approvals_, true)) return;
  Ask("/approvals", [this](const Result<JsonDocument>& answer) {
    asking_approvals_ = false;
    if (answer) model_.TakeApprovals((*answer)["approvals"]);
    handlers_.on_change();
    if (look_) ask_past_.Start(0);
  });
}

void TopFeed::Look(std::function<void(const Status& looked)> done) {
  look_ = std::move(done);
  SampleTown();
}

// ---------------------------------------------------------------------------------------------- past events

void TopFeed::LookBack(const std::vector<std::string>& agents) {
  for (const std::string& id : agents) {
    TopAgent* agent = model_.Find(id);
    if (!agent || !agent->last.empty() || std::exchange(agent->looked_back, true)) continue;
    past_.push_back(id);
  }
  ask_past_.Start(0);
}

void TopFeed::AskPast() {
  while (asking_past_ < kPastAtOnce && !past_.empty()) {
    const std::string id = past_.front();
    past_.pop_front();
    ++asking_past_;
    Ask(AgentPath(id) + "/events?tail=" + kNewestEvents, [this, id](const Result<JsonDocument>& answer) {
      --asking_past_;
      if (answer) model_.TakePast(id, (*answer)["events"]);
      handlers_.on_change();
      AskPast();
    });
  }
  if (look_ && past_.empty() && asking_past_ == 0 && !asking_approvals_)
    std::exchange(look_, nullptr)(Status());
}

// -------------------------------------------------------------------------------------------------- orders

void TopFeed::Order(const std::string& path, std::string body, PendingCalls::Done done) {
  ++orders_;
  calls_.Send(client_.Request("POST", path, std::move(body)),
              [this, done = std::move(done)](const Result<JsonDocument>& answer) {
                --orders_;
                done(answer);
                Refresh();
              });
}

}  // namespace reeve
