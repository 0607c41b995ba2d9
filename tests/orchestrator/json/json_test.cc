#include "orchestrator/json/json.h"

#include <gtest/gtest.h>

#include <limits>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace reeve {
namespace {

using namespace std::string_literals;

JsonDocument Parsed(std::string_view text) {
  Result<JsonDocument> document = JsonDocument::Parse(text);
  EXPECT_TRUE(document.ok()) << document.error().message << ": " << text;
  return document.ok() ? std::move(*document) : std::move(*JsonDocument::Parse("null"));
}

std::string Refusal(std::string_view text) {
  Result<JsonDocument> document = JsonDocument::Parse(text);
  if (document.ok()) return "";
  EXPECT_EQ(document.error().code, "invalid_json");
  return document.error().message;
}

std::string Quoted(std::string_view text) {
  std::string out;
  AppendJsonString(out, text);
  return out;
}

TEST(Json, ReadsEveryKindOfValue) {
  JsonDocument document =
      Parsed(R"( {"s":"x","n":-12,"d":1.5e2,"t":true,"f":false,"z":null,"a":[1,[],{}],"o":{"k":2}} )");
  EXPECT_EQ(document["s"].AsString(), "x");
  EXPECT_EQ(document["n"].AsInt(), -12);
  EXPECT_EQ(document["d"].AsDouble(), 150.0);
  EXPECT_EQ(document["t"].AsBool(), true);
  EXPECT_EQ(document["f"].AsBool(), false);
  EXPECT_TRUE(document["z"].Is(JsonType::kNull));
  EXPECT_EQ(document["a"].size(), 3u);
  EXPECT_EQ(document["a"].At(0).AsInt(), 1);
  EXPECT_TRUE(document["a"].At(1).Is(JsonType::kArray));
  EXPECT_TRUE(document["a"].At(2).Is(JsonType::kObject));
  EXPECT_EQ(document["o"]["k"].AsInt(), 2);
  EXPECT_EQ(document.root().size(), 8u);
}

TEST(Json, WhatIsNotThereIsAbsentAllTheWayDown) {
  JsonDocument document = Parsed(R"({"a":[1],"e":{},"s":"x"})");
  for (JsonValue absent : {document["b"]["c"].At(3)["d"], document["a"]["x"], document["a"].At(1),
                           document["s"].At(0), document["e"]["a"], JsonValue()}) {
    EXPECT_FALSE(absent.present());
    EXPECT_FALSE(absent.AsString() || absent.AsInt() || absent.AsDouble() || absent.AsBool());
    EXPECT_EQ(absent.size(), 0u);
    EXPECT_EQ(absent.Raw(), "null");
    EXPECT_EQ(absent.StringOr("other"), "other");
    EXPECT_TRUE(absent.Members().empty());
    EXPECT_TRUE(absent.Elements().empty());
  }
}

TEST(Json, AValueOfAnotherTypeIsNotConverted) {
  JsonDocument document = Parsed(R"({"s":"1","n":1,"b":true})");
  EXPECT_FALSE(document["s"].AsInt());
  EXPECT_FALSE(document["s"].AsDouble());
  EXPECT_FALSE(document["s"].AsBool());
  EXPECT_FALSE(document["n"].AsString());
  EXPECT_FALSE(document["n"].AsBool());
  EXPECT_FALSE(document["b"].AsInt());
}

TEST(Json, WholeNumbersKeepAll64Bits) {
  auto whole = [](std::string_view text) { return Parsed(text).root().AsInt(); };
  EXPECT_EQ(whole("9223372036854775807"), std::numeric_limits<int64_t>::max());
  EXPECT_EQ(whole("-9223372036854775808"), std::numeric_limits<int64_t>::min());
  EXPECT_EQ(whole("9007199254740993"), 9007199254740993);
  EXPECT_EQ(whole("2.0"), 2);
  EXPECT_EQ(whole("1e3"), 1000);
  EXPECT_EQ(whole("-0"), 0);
  EXPECT_FALSE(whole("9223372036854775808"));
  EXPECT_FALSE(whole("1e19"));
  EXPECT_FALSE(whole("1.5"));
}

TEST(Json, LongNumbersAreKeptAsTheirText) {
  const std::string fraction = "0." + std::string(416, '1') + "27";
  EXPECT_EQ(Parsed("[" + fraction + "]").root().At(0).Raw(), fraction);
  EXPECT_NEAR(*Parsed(fraction).root().AsDouble(), 1.0 / 9, 1e-12);
  const std::string big = std::string(300, '7');
  EXPECT_EQ(Parsed(big).root().Raw(), big);
  EXPECT_FALSE(Parsed(big).root().AsInt());
  // Beyond a double there is an error, not an infinity.
  EXPECT_NE(Refusal(std::string(420, '9')), "");
  EXPECT_NE(Refusal("1e309"), "");
  EXPECT_FALSE(Parsed("1e-400").root().AsDouble());
}

TEST(Json, StringsAreDecoded) {
  EXPECT_EQ(Parsed(R"("a\"\\\/\b\f\n\r\t\u00e4\u20ac\ud83d\ude00z")").root().AsString(),
            "a\"\\/\b\f\n\r\t\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80z");
  EXPECT_EQ(Parsed(R"("\u0000")").root().AsString(), "\0"s);
  JsonDocument document = Parsed(R"({"a\nb":"1\t2","plain":"3\\4","c":["\"","x"]})");
  EXPECT_EQ(document["a\nb"].AsString(), "1\t2");
  EXPECT_EQ(document["plain"].AsString(), "3\\4");
  EXPECT_EQ(document["c"].At(0).AsString(), "\"");
  EXPECT_EQ(document["c"].At(1).AsString(), "x");
}

TEST(Json, HalfAnEscapedPairBecomesTheReplacementCharacter) {
  EXPECT_EQ(Parsed(R"("a\ud83d")").root().AsString(), "a\xef\xbf\xbd");
  EXPECT_EQ(Parsed(R"("\ude00b")").root().AsString(),
            "\xef\xbf\xbd"
            "b");
  EXPECT_EQ(Parsed(R"("\ud83d\ud83d\ude00")").root().AsString(), "\xef\xbf\xbd\xf0\x9f\x98\x80");
  EXPECT_EQ(Parsed(R"("\\ud83d")").root().AsString(), "\\ud83d");
  EXPECT_EQ(Parsed(R"(["\uDBFF\n"])").root().Raw(), R"(["\ufffd\n"])");
}

TEST(Json, OfRepeatedMembersTheLastCounts) {
  JsonDocument document = Parsed(R"({"a":1,"b":2,"a":3})");
  EXPECT_EQ(document["a"].AsInt(), 3);
  EXPECT_EQ(document.root().Members().size(), 3u);
}

TEST(Json, MembersAndElementsComeInOrder) {
  JsonDocument document = Parsed(R"({"z":[{"a":1},[2,3],4],"a\u0062":{},"m":"n"})");
  std::vector<JsonValue::Member> members = document.root().Members();
  ASSERT_EQ(members.size(), 3u);
  EXPECT_EQ(members[0].key, "z");
  EXPECT_EQ(members[1].key, "ab");
  EXPECT_EQ(members[2].key, "m");
  EXPECT_EQ(members[2].value.AsString(), "n");
  std::vector<JsonValue> elements = members[0].value.Elements();
  ASSERT_EQ(elements.size(), 3u);
  EXPECT_EQ(elements[0].Raw(), R"({"a":1})");
  EXPECT_EQ(elements[1].Raw(), "[2,3]");
  EXPECT_EQ(elements[2].Raw(), "4");
}

TEST(Json, RawIsTheSourceOnOneLine) {
  JsonDocument document = Parsed("{ \"a\" :\r\n\t[ 1.50,\r\"\\r\\n\\u0041\" ]\n, \"b\":{\"c\":\nnull} }\r\n");
  EXPECT_EQ(document["a"].Raw(), "[ 1.50, \"\\r\\n\\u0041\" ]");
  EXPECT_EQ(document["a"].At(0).Raw(), "1.50");
  EXPECT_EQ(document["a"].At(1).Raw(), "\"\\r\\n\\u0041\"");
  EXPECT_EQ(document["b"].Raw(), "{\"c\": null}");
  EXPECT_EQ(document["b"]["c"].Raw(), "null");
}

TEST(Json, ADocumentMayMove) {
  JsonDocument first = Parsed(R"({"a":"x\ty"})");
  JsonValue value = first["a"];
  JsonDocument second = std::move(first);
  EXPECT_EQ(value.AsString(), "x\ty");
}

TEST(Json, RefusesWhatIsNotJsonAndSaysWhere) {
  for (std::string_view bad :
       {"",      " ",       "{",     "}",        "[1,]",         "{\"a\":1,}", "{a:1}",   "{\"a\" 1}",
        "'x'",   "nul",     "truex", "01",       "1.",           ".5",         "+1",      "1e",
        "-",     "[1 2]",   "1 2",   "{}{}",     "\"\t\"",       "\"\n\"",     "\"\\x\"", "\"\\u12g4\"",
        "\"abc", "// c\n1", "NaN",   "Infinity", "[\"a\",\"b\"", "\"\\"}) {
    EXPECT_NE(Refusal(bad).find(" at offset "), std::string::npos) << bad;
  }
  EXPECT_NE(Refusal(R"({"a":tru})").find("offset 8"), std::string::npos);
}

TEST(Json, RefusesNulBytesWhereverTheyAre) {
  for (const std::string& bad :
       {"{}\0"s, "{}\0{}"s, "\0{}"s, "[1,\0 2]"s, "\"a\0b\""s, "1\0"s, "{\"a\0\":1}"s}) {
    EXPECT_NE(Refusal(bad), "") << bad;
    EXPECT_FALSE(ScanJsonObject(bad).ok()) << bad;
  }
}

TEST(Json, RefusesInvalidUtf8InKeysAndValues) {
  for (std::string_view bad : {"\x80", "\xc0\xaf", "\xc3", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80",
                               "\xf5\x80\x80\x80", "\xf0\x9f\x98", "\xff"}) {
    const std::string quoted = "\"ab" + std::string(bad) + "c\"";
    EXPECT_NE(Refusal(quoted), "");
    EXPECT_NE(Refusal("{" + quoted + ":1}"), "");
    EXPECT_FALSE(ScanJsonObject("{\"k\":" + quoted + "}").ok());
    EXPECT_FALSE(IsUtf8(bad));
  }
  for (std::string_view good : {"", "abc", "\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf",
                                "\xee\x80\x80", "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"}) {
    EXPECT_TRUE(IsUtf8(good));
    EXPECT_EQ(Parsed(Quoted(good)).root().AsString(), good);
  }
}

TEST(Json, DepthIsLimitedAndNeverCostsTheStack) {
  auto nested = [](int depth) {
    const auto size = static_cast<size_t>(depth);
    return std::string(size, '[') + std::string(size, ']');
  };
  EXPECT_EQ(Refusal(nested(kMaxJsonDepth)), "");
  EXPECT_NE(Refusal(nested(kMaxJsonDepth + 1)).find("deeper than 64"), std::string::npos);
  EXPECT_NE(Refusal(std::string(2'000'000, '[')), "");
  EXPECT_NE(Refusal(nested(1'000'000)), "");
  auto within = [&nested](int depth) { return R"({"type":"x","a":)" + nested(depth) + "}"; };
  const std::string deepest = within(kMaxLineDepth - 1);
  EXPECT_TRUE(ScanJsonObject(deepest).ok());
  EXPECT_EQ(Refusal(R"({"data":{"stream":"stdout","json":)" + deepest + "}}"), "");  // as an event
  EXPECT_FALSE(ScanJsonObject(within(kMaxLineDepth)).ok());
  EXPECT_FALSE(ScanJsonObject("{\"a\":" + std::string(2'000'000, '[')).ok());
}

// --- the scan

// The type, and the line without it.
std::pair<std::string, std::string> Scanned(const std::string& line) {
  Result<JsonLine> scanned = ScanJsonObject(line);
  if (!scanned.ok()) return {"error", scanned.error().message};
  std::string rest = line;
  rest.erase(scanned->type_begin, scanned->type_end - scanned->type_begin);
  return {std::string(scanned->type), rest};
}

TEST(JsonScan, CutsTheTypeOutWhereverItStands) {
  using Pair = std::pair<std::string, std::string>;
  EXPECT_EQ(Scanned(R"({"type":"t"})"), Pair("t", "{}"));
  EXPECT_EQ(Scanned(R"({"type":"t","a":1})"), Pair("t", R"({"a":1})"));
  EXPECT_EQ(Scanned(R"({"a":1,"type":"t","b":2})"), Pair("t", R"({"a":1,"b":2})"));
  EXPECT_EQ(Scanned(R"({"a":1,"type":"t"})"), Pair("t", R"({"a":1})"));
  EXPECT_EQ(Scanned("\t{ \"type\" :\t\"t\" , \"a\" : 1 } "), Pair("t", "\t{  \"a\" : 1 } "));
  EXPECT_EQ(Scanned(R"({ "a":1 , "type" : "t" })"), Pair("t", R"({ "a":1  })"));
}

TEST(JsonScan, OnlyATopLevelStringIsTheType) {
  for (const char* line : {R"({})", R"({"a":{"type":"x"}})", R"({"type":1})", R"({"type":null,"a":"x"})",
                           R"({"type":{"a":"x"}})", R"({"type":["x"],"b":"y"})", R"({"types":"x"})",
                           R"({"a":"type","b":"x"})", R"({"type":""})"}) {
    Result<JsonLine> scanned = ScanJsonObject(line);
    ASSERT_TRUE(scanned.ok()) << line;
    EXPECT_EQ(scanned->type, "") << line;
    EXPECT_EQ(scanned->type_begin, 0u) << line;
    EXPECT_EQ(scanned->type_end, 0u) << line;
  }
}

TEST(JsonScan, ATypeThatCouldBeReadInTwoWaysIsNone) {
  for (const char* line :
       {R"({"type":"a","type":"b"})", R"({"type":"a","x":1,"type":2})", R"({"type":1,"type":"b"})",
        R"({"type":"a","t\u0079pe":"b"})", R"({"t\u0079pe":"b"})", R"({"type":"a\u002eb"})",
        R"({"type":"\"abc"})", R"({"type":"\\"})"}) {
    EXPECT_EQ(Scanned(line).first, "") << line;
  }
}

TEST(JsonScan, RefusesWhatIsNotOneObjectOnOneLine) {
  for (const char* line : {"", " ", "[]", "[{}]", "\"x\"", "1", "null", "{}{}", "{} x", "{", R"({"a":1,})",
                           R"({"a":01})", "{\r}", "{}\r", "{\n}", "{\"a\n\":1}"}) {
    Result<JsonLine> scanned = ScanJsonObject(line);
    ASSERT_FALSE(scanned.ok()) << line;
    EXPECT_EQ(scanned.error().code, "invalid_json");
  }
}

TEST(JsonScan, HalfAnEscapedPairIsNoReasonToRefuseALine) {
  const std::string line = R"({"text":"cut \ud83d","type":"tool.output","n":"\udc00"})";
  EXPECT_EQ(Scanned(line), std::pair("tool.output"s, R"({"text":"cut \ud83d","n":"\udc00"})"s));
  Result<JsonLine> scanned = ScanJsonObject(line);
  EXPECT_EQ(scanned->type.data(), line.data() + line.find("tool."));  // a view into the caller's text
}

// --- writing

TEST(JsonWrite, StringsAreEscaped) {
  EXPECT_EQ(Quoted("plain"), "\"plain\"");
  EXPECT_EQ(Quoted(""), "\"\"");
  EXPECT_EQ(Quoted("\"\\\b\f\n\r\t\x01\x1f\x7f/"), "\"\\\"\\\\\\b\\f\\n\\r\\t\\u0001\\u001f\x7f/\"");
  EXPECT_EQ(Quoted("a\0b"s), "\"a\\u0000b\"");
}

TEST(JsonWrite, InvalidBytesBecomeOneReplacementEachLongestPart) {
  const std::string mark = "\xef\xbf\xbd";
  EXPECT_EQ(Quoted("a\xff\xfe z"), "\"a" + mark + mark + " z\"");
  EXPECT_EQ(Quoted("\xe2\x82"), "\"" + mark + "\"");  // a character cut short
  EXPECT_EQ(Quoted("\xf0\x9f\x98x"), "\"" + mark + "x\"");
  EXPECT_EQ(Quoted("\xed\xa0\x80"), "\"" + mark + mark + mark + "\"");  // a surrogate
  EXPECT_EQ(Quoted("\xc0\xaf"), "\"" + mark + mark + "\"");
  // The example of the Unicode standard, section 3.9.
  EXPECT_EQ(Quoted("\x61\xf1\x80\x80\xe1\x80\xc2\x62\x80\x63\x80\xbf\x64"),
            "\"a" + mark + mark + mark + "b" + mark + "c" + mark + mark + "d\"");
}

TEST(JsonWrite, ObjectsAndArrays) {
  EXPECT_EQ(JsonObject().Take(), "{}");
  EXPECT_EQ(JsonArray().Take(), "[]");
  EXPECT_TRUE(JsonObject().empty());
  const std::optional<int> none;
  const std::optional<std::string> some = "v";
  EXPECT_EQ(
      JsonObject()
          .Set("s", "a\"b")
          .Set("i", -1)
          .Set("u", std::numeric_limits<uint64_t>::max())
          .Set("d", 0.5)
          .Set("nan", std::numeric_limits<double>::quiet_NaN())
          .Set("t", true)
          .Set("none", none)
          .Set("some", some)
          .SetRaw("skipped", "")
          .SetRaw("a", JsonArray().Add("x").AddRaw("1").Add("y").Take())
          .Take(),
      R"({"s":"a\"b","i":-1,"u":18446744073709551615,"d":0.5,"nan":null,"t":true,"some":"v","a":["x",1,"y"]})");
}

// --- properties

class Random {
 public:
  explicit Random(unsigned seed) : engine_(seed) {}
  size_t Below(size_t limit) { return engine_() % limit; }
  std::string Bytes(size_t max) {
    static constexpr std::string_view kPieces[] = {"a",
                                                   "plain text that is longer than a word",
                                                   "\"",
                                                   "\\",
                                                   "\n",
                                                   "\r",
                                                   "\x01",
                                                   "\xc3\xa4",
                                                   "\xe2\x82\xac",
                                                   "\xf0\x9f\x98\x80",
                                                   "\xff",
                                                   "\xed\xa0\x80",
                                                   "\xe2\x82",
                                                   "\\u0041",
                                                   "/",
                                                   "type"};
    std::string bytes;
    for (size_t count = Below(max + 1); count > 0; --count) bytes += kPieces[Below(std::size(kPieces))];
    return bytes;
  }
  std::string Space() { return std::string(&" \t\r\n"[Below(4)], Below(2)); }

 private:
  std::mt19937 engine_;
};

// The text, written again from the values that the reader returned.
std::string Rewritten(JsonValue value) {
  if (value.Is(JsonType::kArray)) {
    JsonArray array;
    for (JsonValue element : value.Elements()) array.AddRaw(Rewritten(element));
    return array.Take();
  }
  if (value.Is(JsonType::kObject)) {
    JsonObject object;
    for (const JsonValue::Member& member : value.Members())
      object.SetRaw(member.key, Rewritten(member.value));
    return object.Take();
  }
  if (value.Is(JsonType::kString)) return Quoted(*value.AsString());
  return value.Raw();
}

// A random document, twice: with space between its tokens, and as Rewritten should give it.
void Grow(Random& random, int depth, std::string& loose, std::string& tight) {
  auto both = [&loose, &tight](std::string_view text) { loose += text, tight += text; };
  loose += random.Space();
  const size_t kind = random.Below(depth > 0 ? 6 : 4);
  if (kind == 0) {
    static constexpr std::string_view kScalars[] = {"null", "true", "false"};
    both(kScalars[random.Below(3)]);
  } else if (kind == 1) {
    static constexpr std::string_view kNumbers[] = {"0",    "-1",      "12345678901234567890123",
                                                    "1.50", "-0.1e-7", "3E+5"};
    both(kNumbers[random.Below(6)]);
  } else if (kind <= 3) {
    both(Quoted(random.Bytes(6)));
  } else {
    both(kind == 4 ? "[" : "{");
    for (size_t count = random.Below(5); count > 0; --count) {
      if (kind == 5) {
        loose += random.Space();
        both(Quoted(random.Bytes(2)));
        loose += random.Space();
        both(":");
      }
      Grow(random, depth - 1, loose, tight);
      if (count > 1) both(",");
    }
    both(kind == 4 ? "]" : "}");
  }
  loose += random.Space();
}

TEST(JsonProperty, WhatIsReadIsWhatWasWritten) {
  Random random(7);
  for (int round = 0; round < 3000; ++round) {
    std::string loose, tight;
    Grow(random, 5, loose, tight);
    JsonDocument document = Parsed(loose);
    ASSERT_EQ(Rewritten(document.root()), tight) << loose;
    ASSERT_EQ(Rewritten(Parsed(document.root().Raw()).root()), tight) << loose;
    ASSERT_EQ(document.root().Raw().find_first_of("\r\n"), std::string::npos);
  }
}

TEST(JsonProperty, ScanAndDocumentAgree) {
  Random random(11);
  int types = 0;
  for (int round = 0; round < 20000; ++round) {
    std::string loose, line;
    Grow(random, 2, loose, line);
    if (line.size() > 1 && line[0] == '{' && random.Below(2) == 0) {
      line.insert(1, line[1] == '}' ? R"("type":"x.y")" : R"("type":"x.y",)");
    }
    if (random.Below(3) == 0)
      line[random.Below(line.size())] = "\"\\{}[],:x\0\xc3 "[random.Below(13)];  // spoil it
    Result<JsonDocument> document = JsonDocument::Parse(line);
    const bool object = document.ok() && document->root().Is(JsonType::kObject);
    Result<JsonLine> scanned = ScanJsonObject(line);
    ASSERT_EQ(scanned.ok(), object) << line;
    if (!object || scanned->type.empty()) continue;
    ++types;
    ASSERT_EQ((*document)["type"].AsString(), scanned->type);
    JsonDocument rest = Parsed(Scanned(line).second);
    ASSERT_EQ(rest.root().size() + 1, document->root().size()) << line;
    ASSERT_FALSE(rest["type"].present()) << line;
  }
  EXPECT_GT(types, 500);  // else nothing was tested
}

TEST(JsonProperty, AnyBytesBecomeAStringThatReadsBack) {
  Random random(13);
  for (int round = 0; round < 5000; ++round) {
    const std::string bytes = random.Bytes(20);
    const std::string quoted = Quoted(bytes);
    JsonDocument document = Parsed(quoted);
    ASSERT_TRUE(document.root().Is(JsonType::kString));
    ASSERT_EQ(Quoted(*document.root().AsString()), quoted);
    if (IsUtf8(bytes)) {
      ASSERT_EQ(document.root().AsString(), bytes);
    }
  }
}

}  // namespace
}  // namespace reeve
