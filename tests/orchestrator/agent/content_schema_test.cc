#include "orchestrator/agent/content_schema.h"

#include <gtest/gtest.h>

#include <string>

namespace reeve {
namespace {

// The reason of the refusal; empty: the content fits.
std::string Check(const std::string& schema, const std::string& content,
                  Choices choices = Choices::kBinding) {
  auto parsed = JsonDocument::Parse(schema);
  auto given = JsonDocument::Parse(content);
  EXPECT_TRUE(parsed.ok()) << schema;
  EXPECT_TRUE(given.ok()) << content;
  if (!parsed.ok() || !given.ok()) return "no JSON";
  const Status checked = CheckContent(parsed->root(), given->root(), choices);
  if (checked) return "";
  EXPECT_EQ(checked.error().code, "invalid_request");
  return checked.error().message;
}

std::string CheckField(const std::string& property, const std::string& value) {
  return Check(R"({"type":"object","properties":{"f":)" + property + "}}", R"({"f":)" + value + "}");
}

TEST(ContentSchema, RequiredFieldsMustBeThereAndOthersMustBeKnown) {
  const std::string schema =
      R"({"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer"}},"required":["name"]})";
  EXPECT_EQ(Check(schema, R"({"name":"x"})"), "");
  EXPECT_EQ(Check(schema, R"({"zzz":1})"), "content.name: is required");
  EXPECT_EQ(Check(schema, R"({"name":"x","zzz":1})"), "content.zzz: is not in the question's schema");
  EXPECT_EQ(Check(schema, R"({"name":null})"), "content.name: must be of type string");
  EXPECT_EQ(Check(R"({"type":"object","properties":{}})", R"({"anything":1})"), "");
  EXPECT_EQ(Check("{}", R"({"anything":1})"), "");
}

TEST(ContentSchema, ValuesHaveTheirType) {
  EXPECT_EQ(CheckField(R"({"type":"string"})", "1"), "content.f: must be of type string");
  EXPECT_EQ(CheckField(R"({"type":"boolean"})", "\"true\""), "content.f: must be of type boolean");
  EXPECT_EQ(CheckField(R"({"type":"boolean"})", "false"), "");
  EXPECT_EQ(CheckField(R"({"type":"integer"})", "2.0"), "");
  EXPECT_EQ(CheckField(R"({"type":"integer"})", "2.5"), "content.f: must be of type integer");
  EXPECT_EQ(CheckField(R"({"type":"number"})", "\"2\""), "content.f: must be of type number");
  EXPECT_EQ(CheckField(R"({"type":["string","null"]})", "null"), "");
  EXPECT_EQ(CheckField(R"({"type":["string","null"]})", "1"), "content.f: must be of type string or null");
}

TEST(ContentSchema, NumbersAndTextsHaveBounds) {
  EXPECT_EQ(CheckField(R"({"type":"number","minimum":1,"maximum":3})", "3"), "");
  EXPECT_EQ(CheckField(R"({"type":"number","minimum":1,"maximum":3})", "0.5"),
            "content.f: must be at least 1");
  EXPECT_EQ(CheckField(R"({"type":"number","minimum":1,"maximum":3})", "4"), "content.f: must be at most 3");
  EXPECT_EQ(CheckField(R"({"type":"number","exclusiveMinimum":1})", "1"), "content.f: must be more than 1");
  EXPECT_EQ(CheckField(R"({"type":"string","minLength":2})", "\"ä\""),
            "content.f: must have at least 2 characters");
  EXPECT_EQ(CheckField(R"({"type":"string","maxLength":2})", "\"ää\""), "");
  EXPECT_EQ(CheckField(R"({"type":"string","maxLength":2})", "\"abc\""),
            "content.f: must have at most 2 characters");
}

TEST(ContentSchema, FormatsAreThoseOfMcp) {
  auto fits = [](const char* format, const std::string& text) {
    return CheckField(std::string(R"({"type":"string","format":")") + format + "\"}", "\"" + text + "\"")
        .empty();
  };
  EXPECT_TRUE(fits("email", "a@b.c"));
  EXPECT_FALSE(fits("email", "a.b.c"));
  EXPECT_TRUE(fits("uri", "https://example.com/x"));
  EXPECT_FALSE(fits("uri", "example"));
  EXPECT_TRUE(fits("date", "2026-02-28"));
  EXPECT_FALSE(fits("date", "28.2.2026"));
  EXPECT_TRUE(fits("date-time", "2026-02-28T07:00:00Z"));
  EXPECT_FALSE(fits("date-time", "tomorrow"));
  EXPECT_TRUE(fits("no-such-format", "x"));
}

TEST(ContentSchema, ChoicesBindUnlessTheyAreSuggestions) {
  const std::string one = R"({"type":"object","properties":{"c":{"type":"string","enum":["red","blue"]}}})";
  EXPECT_EQ(Check(one, R"({"c":"red"})"), "");
  EXPECT_EQ(Check(one, R"({"c":"re\u0064"})"), "");
  EXPECT_EQ(Check(one, R"({"c":"green"})"), "content.c: must be one of red, blue");
  EXPECT_EQ(Check(one, R"({"c":"green"})", Choices::kSuggestions), "");
  EXPECT_EQ(Check(one, R"({"c":1})", Choices::kSuggestions), "content.c: must be of type string");
  EXPECT_EQ(CheckField(R"({"type":"string","oneOf":[{"const":"a","title":"A"},{"const":"b"}]})", "\"c\""),
            "content.f: must be one of a, b");
  const std::string many = R"({"type":"array","minItems":1,"items":{"anyOf":[{"const":"a"},{"const":"b"}]}})";
  EXPECT_EQ(CheckField(many, R"(["a","b"])"), "");
  EXPECT_EQ(CheckField(many, "[]"), "content.f: must have at least 1 elements");
  EXPECT_EQ(CheckField(many, R"(["a","x"])"), "content.f: its element 1 must be one of a, b");
}

TEST(ContentSchema, AnySchemaIsSurvived) {
  for (const char* schema : {"[]", "1", "null", R"({"properties":[1]})", R"({"properties":{"f":1}})",
                             R"({"required":[1,null]})", R"({"properties":{"f":{"enum":1,"type":{}}}})"}) {
    (void)Check(schema, R"({"f":[[1]]})");
    (void)Check(schema, "{}");
  }
}

}  // namespace
}  // namespace reeve
