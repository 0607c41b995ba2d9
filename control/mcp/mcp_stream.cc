#include "control/mcp/mcp_stream.h"

#include <sys/uio.h>

#include <algorithm>
#include <utility>

#include "process/loop.h"
#include "process/watch.h"

namespace reeve {

McpStream::McpStream(Loop& loop, std::unique_ptr<AnswerStream> answer, std::function<void(bool gone)> over)
    : loop_(loop), answer_(std::move(answer)), over_(std::move(over)), progress_ms_(loop.NowMs()) {
  answer_->socket().SetReady([this](int events) { OnReady(events); });
  answer_->socket().Want(Watch::kRead | Watch::kWrite);
}

void McpStream::Send(std::string_view message) {
  Append("event: message\ndata: ");
  Append(message);
  Append("\n\n");
}

void McpStream::KeepAlive() {
  if (out_.empty()) Append(":\n\n");
}

void McpStream::Append(std::string_view text) {
  if (out_.empty()) progress_ms_ = loop_.NowMs();
  out_ += text;
  answer_->socket().Want(Watch::kRead | Watch::kWrite);
}

void McpStream::End() {
  ending_ = true;
  answer_->socket().Want(Watch::kRead | Watch::kWrite);
}

void McpStream::CheckTime() {
  const bool waits = !out_.empty() || ending_;
  if (waits && loop_.NowMs() - progress_ms_ > kStalledMs) over_(true);
}

void McpStream::OnReady(int events) {
  if ((events & (Watch::kRead | Watch::kHangUp)) && !answer_->Receive()) return over_(!ended_);
  if (events & Watch::kWrite) Write();
}

void McpStream::Write() {
  while (!out_.empty() || answer_->unsent()) {
    // A chunk that has begun must be completed before the next one.
    const size_t left = out_.size() - sent_;
    const iovec rest = {out_.data() + sent_, answer_->owed() > 0 ? std::min(answer_->owed(), left) : left};
    const AnswerStream::Sent sent = answer_->Send(&rest, rest.iov_len > 0 ? 1 : 0);
    if (sent.gone) return over_(true);
    if (sent.content > 0 || sent.all) progress_ms_ = loop_.NowMs();
    sent_ += sent.content;
    if (!sent.all) return;
    if (sent_ < out_.size()) continue;
    out_.clear();
    sent_ = 0;
  }
  if (!ending_) return answer_->socket().Want(Watch::kRead);
  if (!answer_->End()) return;
  if (!answer_->open()) return over_(false);
  ended_ = true;
  answer_->socket().Want(Watch::kRead);
}

}  // namespace reeve
