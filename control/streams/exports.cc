#include "control/streams/exports.h"

#include <algorithm>
#include <utility>

#include "control/http/answer_stream.h"
#include "control/streams/agent_export.h"
#include "process/loop.h"
#include "process/watch.h"

namespace reeve {

namespace {

constexpr int64_t kExportScanMs = 250;
// From the last byte to the end of the connection. Closing on unread bytes could destroy data that was sent.
constexpr int64_t kLingerMs = 2'000;

}  // namespace

class Exports::Download {
 public:
  // `answer` has begun.
  Download(Exports& hub, std::unique_ptr<AnswerStream> answer, std::vector<std::string> ids,
           uint64_t opened_by)
      : token(opened_by),
        hub_(hub),
        answer_(std::move(answer)),
        ids_(std::move(ids)),
        progress_ms_(hub.loop_.NowMs()) {
    answer_->socket().SetReady([this](int events) { OnReady(events); });
    answer_->socket().Want(Watch::kRead | Watch::kWrite);
  }

  // Ends the download; the object is destroyed later.
  void Close() {
    gone_ = true;
    export_.reset();
    answer_.reset();
  }
  [[nodiscard]] bool Overdue(int64_t now_ms) const {
    return now_ms - progress_ms_ > (state_ == State::kSent ? kLingerMs : hub_.limits_.stall_ms);
  }

  const uint64_t token;

 private:
  enum class State {
    kSending,
    kLast,  // the last piece is made
    kSent,  // everything is sent; waits until the reader closes the connection
  };
  enum class Sent { kAll, kSome, kGone };

  void OnReady(int events) {
    if ((events & Watch::kRead) && !answer_->Receive()) return hub_.Remove(*this);
    if (events & Watch::kWrite) Pump();
  }

  void Pump() {
    for (int pieces = 0; pieces < hub_.limits_.pieces_a_turn; ++pieces) {
      if (out_.empty() && !answer_->unsent() && state_ == State::kLast) return End();
      if (out_.empty() && !answer_->unsent() && !Fill())
        return answer_->socket().Want(Watch::kRead);  // waits for the disk
      switch (Send()) {
        case Sent::kGone:
          return hub_.Remove(*this);
        case Sent::kSome:
          return answer_->socket().Want(Watch::kRead | Watch::kWrite);
        case Sent::kAll:
          break;
      }
    }
    answer_->socket().Want(Watch::kRead | Watch::kWrite);
  }

  void End() {
    if (!answer_->End()) return answer_->socket().Want(Watch::kRead | Watch::kWrite);
    if (!answer_->open()) return hub_.Remove(*this);
    state_ = State::kSent;
    answer_->socket().Want(Watch::kRead);
  }

  // Makes the next piece. Returns false if it must wait.
  bool Fill() {
    bool waiting = false;
    while (out_.size() < hub_.limits_.piece_bytes && !waiting) {
      if (!export_ && next_ == ids_.size()) break;
      if (!export_) {
        export_ = std::make_unique<AgentExport>(hub_.loop_, hub_.town_, hub_.store_, ids_[next_++], [this] {
          progress_ms_ = hub_.loop_.NowMs();  // the delay was the disk's, not the reader's
          Pump();
        });
      }
      const auto progress = export_->Fill(out_, hub_.limits_.piece_bytes);
      if (progress == AgentExport::Progress::kDone) export_.reset();
      waiting = progress == AgentExport::Progress::kWaiting;
    }
    if (out_.empty() && waiting) return false;
    if (!export_ && next_ == ids_.size()) state_ = State::kLast;
    return true;
  }

  Sent Send() {
    const iovec rest = {out_.data() + sent_, out_.size() - sent_};
    const AnswerStream::Sent sent = answer_->Send(&rest, rest.iov_len > 0 ? 1 : 0);
    if (sent.gone) return Sent::kGone;
    if (sent.content > 0 || sent.all) progress_ms_ = hub_.loop_.NowMs();
    sent_ += sent.content;
    if (!sent.all) return Sent::kSome;
    out_.clear();
    sent_ = 0;
    return Sent::kAll;
  }

  Exports& hub_;
  std::unique_ptr<AnswerStream> answer_;
  const std::vector<std::string> ids_;
  size_t next_ = 0;
  std::unique_ptr<AgentExport> export_;  // the export of the current agent
  std::string out_;                      // one piece
  size_t sent_ = 0;
  State state_ = State::kSending;
  bool gone_ = false;
  int64_t progress_ms_;
};

Exports::Exports(Loop& loop, Town& town, Store& store, Limits limits)
    : loop_(loop), town_(town), store_(store), limits_(limits), scan_(loop, [this] { CheckTimeouts(); }) {}

Exports::~Exports() = default;

Status Exports::Open(Reply& reply, std::vector<std::string> ids, const Headers& headers,
                     const std::string& request_id, uint64_t token) {
  if (all_.size() >= limits_.downloads) {
    return Error{"too_many_exports",
                 std::to_string(limits_.downloads) + " downloads are open, which is the limit"};
  }
  std::unique_ptr<AnswerStream> answer = reply.OpenStream();
  if (!answer) return {};  // the client left meanwhile
  Headers all = {{"Content-Type", "application/x-ndjson"}};
  all.insert(all.end(), headers.begin(), headers.end());
  answer->Begin(200, std::move(all), request_id);
  all_.push_back(std::make_unique<Download>(*this, std::move(answer), std::move(ids), token));
  if (!scan_.active()) scan_.Start(kExportScanMs, kExportScanMs);
  return {};
}

void Exports::Remove(Download& download) {
  auto found =
      std::find_if(all_.begin(), all_.end(), [&download](const auto& one) { return one.get() == &download; });
  if (found == all_.end()) return;
  gone_.push_back(std::move(*found));
  all_.erase(found);
  gone_.back()->Close();
}

void Exports::CloseByToken(uint64_t token) {
  std::vector<Download*> theirs;
  for (auto& download : all_) {
    if (download->token == token) theirs.push_back(download.get());
  }
  for (Download* download : theirs) Remove(*download);
}

void Exports::CheckTimeouts() {
  gone_.clear();
  std::vector<Download*> overdue;
  for (auto& download : all_) {
    if (download->Overdue(loop_.NowMs())) overdue.push_back(download.get());
  }
  for (Download* download : overdue) Remove(*download);
  if (all_.empty() && gone_.empty()) scan_.Stop();
}

}  // namespace reeve
