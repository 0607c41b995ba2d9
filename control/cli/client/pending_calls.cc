#include "control/cli/client/pending_calls.h"

#include <utility>

namespace reeve {

void PendingCalls::Send(HttpRequest request, Done done) {
  const uint64_t id = next_++;
  calls_[id] =
      http_.Send(std::move(request), [this, id, done = std::move(done)](const Result<HttpResponse>& answer) {
        const auto ended = calls_.extract(id);  // owns this function until it returns
        if (!answer) return done(answer.error());
        if (answer->status / 100 != 2) return done(Client::ErrorOf(*answer));
        done(JsonDocument::Parse(answer->body.empty() ? "{}" : answer->body));
      });
}

}  // namespace reeve
