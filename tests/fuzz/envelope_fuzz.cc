// Any bytes as a frame, a cursor, a filter and as the data of an event: what is read is what would have been
// written, and what is written is read again as itself.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "orchestrator/json/json.h"
#include "orchestrator/log/event.h"

namespace {

using reeve::Cursor;

void Demand(bool condition) {
  if (!condition) std::abort();
}

void CheckCursor(std::string_view text) {
  auto cursor = Cursor::Parse(text);
  if (cursor) Demand(text == "0" ? *cursor == Cursor{} : cursor->ToString() == text);
}

void CheckFrame(std::string_view bytes) {
  size_t size = 0;
  auto frame = reeve::ParseFrame(bytes, &size);
  if (!frame) return;
  Demand(size <= bytes.size() && bytes.substr(size - 2, 2) == "\n\n");
  std::string again = "id: " + frame->id.ToString() + "\nevent: ";
  again += frame->type;
  again += "\ndata: ";
  again += frame->envelope;
  again += "\n\n";
  Demand(again == bytes.substr(0, size));
  Demand(again.find("\n\n") == size - 2);
}

void CheckWritten(std::string_view data) {
  auto json = reeve::JsonDocument::Parse(data);
  const bool object = json.ok() && json->root().Is(reeve::JsonType::kObject);
  std::string frame = "what was there before";
  const size_t before = frame.size();
  reeve::AppendFrame(frame, {"a1", {3, 42}, "2026-11-20T15:36:54.123Z", "tool.started", "r3"}, data);
  size_t size = 0;
  auto parsed = reeve::ParseFrame(std::string_view(frame).substr(before), &size);
  // One frame, whatever the data; and where it is JSON, the envelope is too.
  Demand(parsed && size == frame.size() - before && parsed->id == Cursor{3, 42});
  Demand(frame.find('\r') == std::string::npos);
  if (!object) return;
  auto envelope = reeve::JsonDocument::Parse(parsed->envelope);
  Demand(envelope.ok() || envelope.error().message.find("nested") != std::string::npos);
  if (!envelope.ok()) return;
  Demand((*envelope)["seq"].AsInt() == 42 && (*envelope)["type"].AsString() == "tool.started");
  Demand((*envelope)["data"].size() == json->root().size());
}

void CheckFilter(std::string_view list, std::string_view type) {
  const reeve::TypeFilter filter(list);
  const bool matches = filter.Matches(type);
  Demand(!filter.all() || matches);
  const std::string more = std::string(list) + ",run.failed";
  Demand(reeve::TypeFilter(more).Matches("run.failed"));
  if (matches && !filter.all()) Demand(reeve::TypeFilter(more).Matches(type));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  CheckCursor(bytes);
  CheckFrame(bytes);
  CheckFrame("id: 3-42\nevent: " + std::string(bytes));
  CheckWritten(bytes);
  const size_t half = bytes.size() / 2;
  CheckFilter(bytes.substr(0, half), bytes.substr(half));
  return 0;
}
