#include "control/cli/commands/run_input.h"

#include <utility>

#include "control/cli/client/agent_names.h"

namespace reeve {

RunInput::RunInput(Loop& loop, HttpClient& http, const Client& client, std::string agent, bool keeps_open)
    : http_(http),
      client_(client),
      agent_(std::move(agent)),
      keeps_open_(keeps_open),
      retry_(loop, [this] { Next(); }),
      reader_(loop, [this](std::string bytes) {
        reading_ = false;
        ended_ = bytes.empty();
        bytes_ = std::move(bytes);
        Next();
      }) {}

void RunInput::OnReady() {
  ready_ = true;
  closed_ = false;
  taken_ = 0;
  Next();
}

void RunInput::OnExited() {
  ready_ = false;
  call_.reset();
  retry_.Stop();
}

void RunInput::Next() {
  if (!ready_ || call_ || reading_ || closed_) return;
  if (!bytes_.empty() || (ended_ && !keeps_open_)) return Send();
  if (ended_) return;
  reading_ = true;
  reader_.Read();
}

// The offset makes a repeated request harmless, whose answer was lost.
void RunInput::Send() {
  std::string path = AgentPath(agent_) + "/stdin?offset=" + std::to_string(taken_);
  if (bytes_.empty()) path += "&close=true";
  HttpRequest request = client_.Request("POST", path, bytes_);
  for (auto& [name, value] : request.headers) {
    if (name == "Content-Type") value = "application/octet-stream";
  }
  call_ = http_.Send(std::move(request), [this](const Result<HttpResponse>& answer) { TakeAnswer(answer); });
}

void RunInput::TakeAnswer(const Result<HttpResponse>& answer) {
  call_.reset();
  if (answer && answer->status / 100 == 2) {
    retry_.Answered();
    if (bytes_.empty()) closed_ = true;
    taken_ += bytes_.size();
    bytes_.clear();
    return Next();
  }
  const Error error = answer ? Client::ErrorOf(*answer) : answer.error();
  const bool temporary = !answer || answer->status >= 500 || answer->status == 429;
  // Otherwise the process has closed its stdin or has exited. A later process makes itself known.
  if (!temporary || !retry_.After(error)) ready_ = false;
}

}  // namespace reeve
