#include "tests/support/handover.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

namespace reeve {

bool HandingOver() {
  static const bool handing_over = std::getenv("REEVE_TEST_HANDOVER") != nullptr;
  return handing_over;
}

void HandedAdapter::HandOver() {
  const size_t told = host_.lines().size();
  const std::string state = adapter_->Save();
  auto json = JsonDocument::Parse(state);
  ASSERT_TRUE(json.ok()) << json.error().message << " in " << state;
  auto next = fresh_();
  const Status restored = next->Restore(json->root());
  ASSERT_TRUE(restored.ok()) << restored.error().message << " in " << state;
  ASSERT_EQ(host_.lines().size(), told) << host_.lines().back();
  ASSERT_EQ(next->Save(), state);
  adapter_ = std::move(next);
  adapter_->Resume();
}

void HandedAdapter::SayInPieces(std::string_view bytes, size_t most) {
  static std::mt19937 random(1);
  while (!bytes.empty()) {
    const size_t size = std::min(bytes.size(), 1 + random() % most);
    adapter_->OnOutput(Child::Output::kStdout, bytes.substr(0, size));
    bytes.remove_prefix(size);
    ASSERT_NO_FATAL_FAILURE(HandOver());
  }
}

namespace {

// All values of it, in order, as JSON.
void Gather(const JsonValue& value, std::vector<std::string>& all) {
  all.push_back(value.Raw());
  for (const auto& member : value.Members()) Gather(member.value, all);
  if (value.Is(JsonType::kArray)) {
    for (const JsonValue& element : value.Elements()) Gather(element, all);
  }
}

// `value` again, but with the one that is `at` values away said as `instead`, or left out.
std::string Changed(const JsonValue& value, size_t& at, const std::string& instead) {
  if (at-- == 0) return instead;
  if (value.Is(JsonType::kObject)) {
    JsonObject object;
    for (const auto& member : value.Members()) object.SetRaw(member.key, Changed(member.value, at, instead));
    return object.Take();
  }
  if (!value.Is(JsonType::kArray)) return value.Raw();
  JsonArray array;
  for (const JsonValue& element : value.Elements()) {
    const std::string text = Changed(element, at, instead);
    if (!text.empty()) array.AddRaw(text);
  }
  return array.Take();
}

}  // namespace

std::string Spoil(const std::string& state, uint32_t random) {
  std::mt19937 dice(random);
  auto json = JsonDocument::Parse(state);
  if (!json) return "null";
  std::vector<std::string> values = {
      "", "null", "true", "[]", "{}", "\"\"", "\"x\"", "-1", "1e300", "9007199254740993", "[[]]", "\"{\""};
  std::vector<std::string> own;
  Gather(json->root(), own);
  const size_t count = own.size();
  values.insert(values.end(), own.begin(), own.end());
  std::string spoilt = state;
  for (auto changes = 1 + dice() % 3; changes > 0; --changes) {
    auto now = JsonDocument::Parse(spoilt);
    if (!now) break;
    size_t at = 1 + dice() % count;
    spoilt = Changed(now->root(), at, values[dice() % values.size()]);
  }
  return spoilt;
}

}  // namespace reeve
