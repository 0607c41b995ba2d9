#include "orchestrator/adapters/output_lines.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "orchestrator/json/json.h"
#include "orchestrator/log/event_types.h"
#include "process/loop.h"

namespace reeve {

namespace {

constexpr Child::Output kBoth[] = {Child::Output::kStdout, Child::Output::kStderr};

void EmitPart(AgentHost& host, const char* stream, std::string_view bytes, bool ends) {
  JsonObject data;
  data.Set("stream", stream);
  if (IsUtf8(bytes)) {
    data.Set("text", bytes);
  } else {
    data.Set("text", Base64(bytes)).Set("encoding", "base64");
  }
  if (!ends) data.Set("partial", true);
  host.Emit(event_type::kAgentOutput, data.Take());
}

bool BeginsObject(std::string_view line) {
  const size_t first = line.find_first_not_of(" \t\r");
  return first == std::string_view::npos || line[first] == '{';
}

}  // namespace

Status WriteOrBreak(AgentHost& host, std::string_view line) {
  Status written = host.WriteStdin(line);
  if (!written && written.error().code == "queue_full") host.OnBroken(written.error());
  return written;
}

const char* NameOf(Child::Output from) { return from == Child::Output::kStdout ? "stdout" : "stderr"; }

void EmitOutput(AgentHost& host, const char* stream, std::string_view bytes, bool ends) {
  while (bytes.size() > Lines::kMaxLineBytes) {
    std::string_view part = bytes.substr(0, Lines::kMaxLineBytes);
    part.remove_suffix(Lines::UnfinishedCharacter(part));
    EmitPart(host, stream, part, false);
    bytes.remove_prefix(part.size());
  }
  EmitPart(host, stream, bytes, ends);
}

void EmitJsonOutput(AgentHost& host, const char* stream, std::string_view json) {
  if (json.size() > Lines::kMaxLineBytes || !ScanJsonObject(json)) return EmitOutput(host, stream, json);
  host.Emit(event_type::kAgentOutput, JsonObject().Set("stream", stream).SetRaw("json", json).Take());
}

OutputLines::OutputLines(AgentHost& host, Protocol protocol)
    : host_(host),
      protocol_(std::move(protocol)),
      out_{Lines(protocol_.on_line ? protocol_.max_bytes : Lines::kMaxLineBytes)},
      err_{Lines(protocol_.on_stderr ? protocol_.max_bytes : Lines::kMaxLineBytes)},
      parts_(host.loop(), [this] { FlushParts(); }) {}

bool OutputLines::IsProtocol(Child::Output from) const {
  return protocol_.on_line && (from == Child::Output::kStdout || protocol_.on_stderr);
}

void OutputLines::Take(Child::Output from, std::string_view bytes) {
  Stream& in = stream(from);
  bool new_line = in.lines.waiting().empty();
  in.lines.Feed(bytes, [&](const Lines::Piece& piece) {
    new_line = true;
    TakePiece(from, piece);
  });
  if (in.lines.waiting().empty()) return;
  if (new_line) in.since_ms = host_.loop().NowMs();
  in.held = false;
  Watch();
}

void OutputLines::TakePiece(Child::Output from, const Lines::Piece& piece, bool last) {
  const bool line = piece.begins && (piece.ends || last);
  if (!line || !IsProtocol(from)) return EmitOutput(host_, NameOf(from), piece.text, piece.ends);
  from_ = from;
  line_ = piece.text;
  ends_ = piece.ends;
  std::string_view text = piece.text;
  if (text.ends_with('\r')) text.remove_suffix(1);  // programs for Windows end their lines so
  protocol_.on_line(from, text);
}

void OutputLines::EmitLine() { EmitOutput(host_, NameOf(from_), line_, ends_); }

void OutputLines::EmitJsonLine(bool is_object) {
  // `json` has no space around the object, and stands for a whole line.
  const bool exact = line_.starts_with('{') && line_.ends_with('}') && ends_;
  if (!exact || line_.size() > Lines::kMaxLineBytes || !(is_object || ScanJsonObject(line_))) {
    return EmitLine();
  }
  host_.Emit(event_type::kAgentOutput,
             JsonObject().Set("stream", NameOf(from_)).SetRaw("json", line_).Take());
}

void OutputLines::Finish() {
  parts_.Stop();
  for (const Child::Output from : kBoth) {
    // A message whose '\n' is missing is still a message.
    stream(from).lines.Flush(true, [this, from](const Lines::Piece& piece) { TakePiece(from, piece, true); });
  }
}

// -------------------------------------------------------------------------------------------------- parts

bool OutputLines::MayBecomeOutput(Child::Output from) const {
  const Lines& lines = stream(from).lines;
  if (lines.waiting().empty()) return false;
  if (!IsProtocol(from) || lines.begun()) return true;
  return !(protocol_.may_be ? protocol_.may_be(lines.waiting()) : BeginsObject(lines.waiting()));
}

// A busy program leaves half a line at most reads. So the timer runs on rather than being set for each.
void OutputLines::Watch() {
  if (parts_.active()) return;
  std::optional<int64_t> first;
  for (const Child::Output from : kBoth) {
    if (!MayBecomeOutput(from)) continue;
    const int64_t due = stream(from).since_ms + kPartMs;
    first = std::min(first.value_or(due), due);
  }
  if (first) parts_.StartAt(*first);
}

void OutputLines::WatchAgain() {
  for (const Child::Output from : kBoth) stream(from).since_ms = host_.loop().NowMs();
  Watch();
}

void OutputLines::FlushParts() {
  const int64_t now = host_.loop().NowMs();
  for (const Child::Output from : kBoth) {
    Stream& in = stream(from);
    if (!MayBecomeOutput(from) || now < in.since_ms + kPartMs) continue;
    in.lines.Flush(std::exchange(in.held, true),
                   [this, from](const Lines::Piece& piece) { TakePiece(from, piece); });
    in.since_ms = now;
  }
  Watch();
}

}  // namespace reeve
