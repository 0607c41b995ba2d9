// Any bytes: the document, the scan and the writer agree with one another on them, and nothing crashes.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "orchestrator/json/json.h"

namespace {

void Demand(bool condition) {
  if (!condition) std::abort();
}

void Walk(reeve::JsonValue value) {
  Demand(reeve::JsonDocument::Parse(value.Raw()).ok());
  if (auto text = value.AsString()) Demand(reeve::IsUtf8(*text));
  (void)value.AsInt(), (void)value.AsDouble();
  for (reeve::JsonValue element : value.Elements()) Walk(element);
  for (const auto& member : value.Members()) {
    Demand(reeve::IsUtf8(member.key));
    Demand(value[member.key].present());
    Walk(member.value);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);

  auto document = reeve::JsonDocument::Parse(text);
  if (document.ok()) Walk(document->root());

  auto scanned = reeve::ScanJsonObject(text);
  const bool one_line = text.find_first_of("\r\n") == std::string_view::npos;
  const bool object = document.ok() && document->root().Is(reeve::JsonType::kObject);
  const bool deep = !scanned.ok() && scanned.error().message.find("deeper") != std::string::npos;
  const bool marked =
      reeve::WithoutByteOrderMark(text).size() != text.size();  // the scan takes lines without it
  Demand(deep || scanned.ok() == (object && one_line && !marked));
  if (scanned.ok() && !scanned->type.empty()) {
    std::string rest(text);
    rest.erase(scanned->type_begin, scanned->type_end - scanned->type_begin);
    auto remainder = reeve::JsonDocument::Parse(rest);
    Demand(remainder.ok() && !(*remainder)["type"].present());
    Demand(remainder->root().size() + 1 == document->root().size());
  }

  std::string quoted;
  reeve::AppendJsonString(quoted, text);
  auto back = reeve::JsonDocument::Parse(quoted);
  Demand(back.ok() && back->root().AsString().has_value());
  if (reeve::IsUtf8(text)) Demand(back->root().AsString() == text);
  return 0;
}
