#include "control/access/idempotency.h"

#include <algorithm>
#include <utility>

#include "control/http/answer_stream.h"
#include "control/http/router.h"
#include "orchestrator/json/json.h"
#include "orchestrator/store/store.h"
#include "process/clock.h"
#include "process/log.h"
#include "tickets/digest.h"

namespace reeve {

namespace {

constexpr std::string_view kHeader = "idempotency-key";
constexpr size_t kEntryBytes = size_t{4} << 10;  // of a request in progress, without its body and its answer

bool IsKey(std::string_view text) {
  return !text.empty() && text.size() <= Idempotency::kMaxKeyBytes &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

// Identifies the request: the same caller, method, path and key.
std::string KeyOf(const Request& request) {
  const std::string_view separator("\0", 1);
  std::string text = std::to_string(request.caller ? request.caller->token : 0);
  for (std::string_view part : {std::string_view(request.method), std::string_view(request.path)})
    text.append(separator).append(part);
  for (const auto& [name, value] : request.query)
    text.append(separator).append(name).append("=").append(value);
  return ToHex(Sha256(text.append(separator).append(request.Header(kHeader))));
}

std::string ToJson(const Response& response) {
  JsonObject headers;
  for (const auto& [name, value] : response.headers) headers.Set(name, value);
  return JsonObject()
      .Set("status", response.status)
      .SetRaw("headers", headers.Take())
      .Set("body", response.body)
      .Take();
}

Response FromJson(const std::string& text) {
  auto json = JsonDocument::Parse(text);
  if (!json) return Response::Problem({"store_failed", "the answer on disk: " + json.error().message});
  Response response;
  response.status = static_cast<int>((*json)["status"].AsInt().value_or(500));
  for (const auto& [name, value] : (*json)["headers"].Members())
    response.headers.emplace_back(name, value.StringOr(""));
  response.headers.emplace_back("Idempotent-Replayed", "true");
  response.body = (*json)["body"].StringOr("");
  return response;
}

}  // namespace

// Sits between the handler and the client: stores the handler's answer before the client gets it.
class Idempotency::UnderWay final : public Reply::Sink {
 public:
  UnderWay(Idempotency& owner, const Request& request, std::string body, Reply reply)
      : owner_(owner),
        key_(request.key),
        token_(request.caller ? request.caller->token : 0),
        body_(std::move(body)),
        reply_(std::move(reply)) {
    Hold(kEntryBytes + request.body.size());
  }

  void Answer(Response response) override {
    if (response.status < 200 || response.status > 299) return Finish(response);
    AnswerRecord record{key_, body_, ToJson(response), owner_.clock_.WallMs(), token_};
    const size_t bytes = record.answer.size() + response.body.size();
    if (!owner_.Fits(token_, bytes)) return Finish(response);
    Hold(bytes);
    owner_.store_.PutAnswer(std::move(record), [this, response](const Status& status) {
      // The request took effect all the same.
      if (!status)
        log::Warning("an answer could not be stored for its Idempotency-Key: {}", status.error().message);
      Finish(response);
    });
  }
  // A stream is not stored.
  std::unique_ptr<AnswerStream> OpenStream() override {
    auto self = Leave();
    return reply_.OpenStream();
  }

  [[nodiscard]] const std::string& body() const { return body_; }
  void Finish(Response response) {
    auto self = Leave();
    reply_.Send(std::move(response));
  }

 private:
  void Hold(size_t bytes) {
    owner_.Count(token_, bytes);
    bytes_ += bytes;
  }
  std::shared_ptr<UnderWay> Leave() {
    owner_.Discount(token_, std::exchange(bytes_, 0));
    auto found = owner_.under_way_.find(key_);
    auto self = found->second;
    owner_.under_way_.erase(found);
    return self;
  }

  Idempotency& owner_;
  const std::string key_;
  const uint64_t token_;
  const std::string body_;  // digest of the body
  size_t bytes_ = 0;
  Reply reply_;
};

Idempotency::Idempotency(const Clock& clock, Store& store) : clock_(clock), store_(store) {}
Idempotency::~Idempotency() = default;

bool Idempotency::Fits(uint64_t token, size_t more) const {
  const auto own = bytes_by_token_.find(token);
  return bytes_ + more <= kMaxBytes &&
         (own == bytes_by_token_.end() ? 0 : own->second) + more <= kMaxTokenBytes;
}

void Idempotency::Count(uint64_t token, size_t more) {
  bytes_by_token_[token] += more;
  bytes_ += more;
}

void Idempotency::Discount(uint64_t token, size_t less) {
  const auto own = bytes_by_token_.find(token);
  own->second -= less;
  bytes_ -= less;
  if (own->second == 0) bytes_by_token_.erase(own);
}

bool Idempotency::Concerns(const Request& request) {
  const bool changes = request.method == "POST" || request.method == "PUT" || request.method == "PATCH" ||
                       request.method == "DELETE";
  return changes && !request.route->secret && request.HasHeader(kHeader);
}

void Idempotency::Handle(Request request, Reply reply, Handler handler) {
  if (!IsKey(request.Header(kHeader))) {
    return reply.Send(Response::Problem(
        {"invalid_request", "Idempotency-Key: must be 1 to 255 visible ASCII characters without spaces"}));
  }
  request.key = KeyOf(request);
  std::string body = ToHex(Sha256(request.body));
  if (under_way_.count(request.key) != 0) {
    return reply.Send(
        Response::Problem({"request_under_way", "a request with this Idempotency-Key is still in progress"}));
  }
  if (!Fits(request.caller ? request.caller->token : 0, kEntryBytes + request.body.size())) {
    return reply.Send(
        Response::Problem({"too_many_requests",
                           "the requests with an Idempotency-Key that are in progress hold too many bytes"}));
  }
  auto under_way = std::make_shared<UnderWay>(*this, request, std::move(body), std::move(reply));
  under_way_.emplace(request.key, under_way);
  const std::string key = request.key;
  auto look = [this, under_way, handler = std::move(handler),
               request = std::move(request)](const Result<std::optional<AnswerRecord>>& found) {
    if (!found) return under_way->Finish(Response::Problem(found.error()));
    if (!*found || (*found)->made_ms <= clock_.WallMs() - Store::kAnswerMs) {
      return handler(request, Reply(under_way));
    }
    if ((*found)->request != under_way->body()) {
      return under_way->Finish(Response::Problem(
          {"key_reused", "this Idempotency-Key was used before with another body; choose another key"}));
    }
    under_way->Finish(FromJson((*found)->answer));
  };
  store_.FindAnswer(key, std::move(look));
}

}  // namespace reeve
