#include "tests/support/odd_json.h"

#include <iterator>

#include "orchestrator/json/json.h"

namespace reeve {

namespace {

constexpr const char* kOdd[] = {"null",
                                "true",
                                "-1",
                                "0.5",
                                "1e308",
                                "-1e308",
                                "9223372036854775807",
                                "-9223372036854775808",
                                "99999999999999999999999",
                                R"("")",
                                R"("\u0000\u001b[2J\u009b")",
                                "[]",
                                "[null]",
                                "[[1]]",
                                "{}",
                                R"({"":null})",
                                R"({"text":7,"entries":[null],"input":[],"type":{}})"};

size_t Count(const JsonValue& value) {
  size_t count = 1;
  for (const JsonValue::Member& member : value.Members()) count += Count(member.value);
  for (const JsonValue& element : value.Elements()) count += Count(element);
  return count;
}

std::string Replace(const JsonValue& value, size_t& before, const char* odd) {
  if (before-- == 0) return odd;
  if (value.Is(JsonType::kObject)) {
    JsonObject object;
    for (const auto& [key, member] : value.Members()) object.SetRaw(key, Replace(member, before, odd));
    return object.Take();
  }
  if (value.Is(JsonType::kArray)) {
    JsonArray array;
    for (const JsonValue& element : value.Elements()) array.AddRaw(Replace(element, before, odd));
    return array.Take();
  }
  return value.Raw();
}

}  // namespace

std::string WithAnOddValue(const std::string& json, std::mt19937& random) {
  auto parsed = JsonDocument::Parse(json);
  if (!parsed) return json;
  size_t before = random() % Count(parsed->root());
  return Replace(parsed->root(), before, kOdd[random() % std::size(kOdd)]);
}

}  // namespace reeve
