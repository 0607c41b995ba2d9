#include "orchestrator/handover/saved_state.h"

#include <gtest/gtest.h>

#include <array>
#include <limits>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "orchestrator/log/event.h"
#include "process/loop.h"
#include "process/timer.h"

namespace reeve {
namespace {

enum class Colour { kRed, kBlue };
constexpr const char* kColours[] = {"red", "blue"};

struct Leaf {
  std::string text;
  std::optional<double> cost = 0;
  static void Members(auto& self, auto& state) {
    state("text", self.text);
    state("cost", self.cost);
  }
  bool operator==(const Leaf&) const = default;
};

struct Tree {
  bool yes = false;
  int small = 0;
  int64_t count = 0;
  uint64_t made = 0;
  double cost = 0;
  std::string bytes, json;
  Colour colour = Colour::kRed;
  std::optional<Leaf> leaf;
  std::vector<std::pair<std::string, Leaf>> list;
  std::set<std::string, std::less<>> names;
  std::map<std::string, Leaf, std::less<>> by_name;
  std::map<int64_t, std::string> by_id;
  static void Members(auto& self, auto& state) {
    state("yes", self.yes);
    state("small", self.small);
    state("count", self.count);
    state("made", self.made);
    state("cost", self.cost);
    state.Bytes("bytes", self.bytes);
    state.Json("json", self.json);
    state.Enum("colour", self.colour, kColours);
    state("leaf", self.leaf);
    state("list", self.list);
    state("names", self.names);
    state("by_name", self.by_name);
    state("by_id", self.by_id);
    state.Check("made", self.made < 1'000);
  }
  bool operator==(const Tree&) const = default;
};

// A value with a JSON form of its own.
struct Own {
  int64_t number = 0;
  [[nodiscard]] std::string ToJson() const { return "[" + std::to_string(number) + "]"; }
  static std::optional<Own> FromJson(const JsonValue& json) {
    const auto number = json.At(0).AsInt();
    return number ? std::optional(Own{*number}) : std::nullopt;
  }
  bool operator==(const Own&) const = default;
};

// A cursor, a timer and the like.
struct Clockwork {
  Cursor cursor;
  std::optional<Own> own;
  uint64_t large = 0;
  std::array<Leaf, 2> both;
  std::map<std::string, std::unique_ptr<Leaf>> owned;
  std::vector<std::string> many_bytes;
  Timer timer;
  explicit Clockwork(Loop& loop) : timer(loop, [] {}) {}
  static void Members(auto& self, auto& state) {
    state("cursor", self.cursor);
    state.Value("own", self.own);
    state.Number("large", self.large);
    state("both", self.both);
    state("owned", self.owned);
    state.Bytes("many_bytes", self.many_bytes);
    state("timer", self.timer);
  }
  void Restored() { ++restored; }
  int restored = 0;
};

Result<Tree> Read(const std::string& text, Tree into = {}) {
  auto json = JsonDocument::Parse(text);
  EXPECT_TRUE(json.ok()) << text;
  if (Status read = RestoreState(json->root(), into); !read) return read.error();
  return into;
}

TEST(SavedState, ComesBackAsItWas) {
  Tree tree;
  tree.yes = true;
  tree.small = -5;
  tree.count = -(int64_t{1} << 40);
  tree.made = 7;
  tree.cost = 0.1 + 0.2;
  tree.bytes = std::string("\xff\0half a line \xc3", 15);
  tree.json = R"({"a": [1,{"b":null}]})";
  tree.colour = Colour::kBlue;
  tree.leaf = Leaf{std::string("\0\n\"ü", 5), std::nullopt};
  tree.list = {{"x", {"1", 1.5}}, {"x", {"", 0.0}}};
  tree.names = {"", "a", "b.c"};
  tree.by_name = {{"", {"nameless", {}}}, {"tool \"1\"", {"t", 3.0}}};
  tree.by_id = {{-1, "before"}, {70'000'000'000, "late"}};
  auto read = Read(SaveState(tree));
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(*read, tree);
  read = Read(SaveState(Tree{}), tree);  // and takes the place of all that was
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(*read, Tree{});
}

TEST(SavedState, RestoresCursorsTimersAndOwnedValues) {
  Loop loop;
  Clockwork first(loop);
  first.cursor = {3, 1042};
  first.own = Own{5};
  first.large = std::numeric_limits<uint64_t>::max();
  first.both = {Leaf{"a", 1.0}, Leaf{"b", std::nullopt}};
  first.owned.emplace("x", std::make_unique<Leaf>(Leaf{"x", 2.0}));
  first.owned.emplace("none", nullptr);
  first.many_bytes = {"", std::string("\0\xff", 2)};
  first.timer.Start(60'000);
  const std::string text = SaveState(first);
  auto json = JsonDocument::Parse(text);
  ASSERT_TRUE(json.ok()) << text;
  Clockwork second(loop);
  Status read = RestoreState(json->root(), second);
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(second.cursor, first.cursor);
  EXPECT_EQ(second.own, first.own);
  EXPECT_EQ(second.large, first.large);
  EXPECT_EQ(second.both, first.both);
  EXPECT_EQ(*second.owned.at("x"), *first.owned.at("x"));
  EXPECT_EQ(second.owned.at("none"), nullptr);
  EXPECT_EQ(second.many_bytes, first.many_bytes);
  EXPECT_EQ(second.timer.due_ms(), first.timer.due_ms());
  EXPECT_EQ(second.restored, 1);
  EXPECT_EQ(SaveState(second), text);
  const std::string none = SaveState(Clockwork(loop));
  EXPECT_EQ(none.find("\"own\""), std::string::npos);
  ASSERT_TRUE(RestoreState(JsonDocument::Parse(none)->root(), second).ok());
  EXPECT_FALSE(second.timer.active());  // a timer that did not run is stopped
}

TEST(SavedState, NamesAMemberThatCannotBeRead) {
  const std::map<std::string, std::string> wrong = {
      {R"({"cursor":"3-"})", "cursor: unreadable"},
      {R"({"cursor":3})", "cursor: not a string"},
      {R"({"own":["5"]})", "own: unreadable"},
      {R"({"large":5})", "large: not a string"},
      {R"({"large":""})", "large: not a whole number"},
      {R"({"large":"-1"})", "large: not a whole number"},
      {R"({"large":"18446744073709551616"})", "large: not a whole number"},
      {R"({"both":[{}]})", "both: not an array of its size"},
      {R"({"both":[{},{"text":1}]})", "both.1.text: not a string"},
      {R"({"owned":{"x":[]}})", "owned.x: not an object"},
      {R"({"many_bytes":["","?"]})", "many_bytes.1: not base64"},
      {R"({"timer":"soon"})", "timer: not a whole number"},
  };
  Loop loop;
  for (const auto& [text, reason] : wrong) {
    Clockwork into(loop);
    const Status read = RestoreState(JsonDocument::Parse(text)->root(), into);
    ASSERT_FALSE(read.ok()) << text;
    EXPECT_EQ(read.error().code, "handover_state");
    EXPECT_EQ(read.error().message, reason);
    EXPECT_EQ(into.restored, 0);
  }
}

// A process in the hands of its owner, and the owner in those of another.
struct Nest {
  struct State {
    int fd = -1;
    static void Members(auto& self, auto& state) { state("fd", self.fd); }
  };
  struct Process {
    static State Save() { return {7}; }
  };
  struct Inner {
    std::unique_ptr<Process> process;
    std::optional<State> left;
    static void Members(auto& self, auto& state) { state.Child("child", self.process, self.left); }
  };
  std::vector<Inner> inner;
  static void Members(auto& self, auto& state) { state("inner", self.inner); }
};

TEST(SavedState, SavesAProcessThatAMemberOwns) {
  Nest first;
  first.inner.resize(2);
  first.inner[1].process = std::make_unique<Nest::Process>();
  auto json = JsonDocument::Parse(SaveState(first));
  Nest second;
  ASSERT_TRUE(RestoreState(json->root(), second).ok());
  EXPECT_FALSE(second.inner[0].left);
  ASSERT_TRUE(second.inner[1].left);
  EXPECT_EQ(second.inner[1].left->fd, 7);
}

TEST(SavedState, LeavesWhatIsAbsentAndPassesOverWhatIsUnknown) {
  Tree before;
  before.small = 3;
  before.leaf = Leaf{"kept", 1.0};
  auto read = Read(R"({"yes":true,"of a later version":{"a":[]},"leaf":{"text":"new"}})", before);
  ASSERT_TRUE(read.ok());
  EXPECT_TRUE(read->yes);
  EXPECT_EQ(read->small, 3);
  EXPECT_EQ(read->leaf, (Leaf{"new", 0.0}));
}

TEST(SavedState, NamesWhatIsWrongByItsPath) {
  const std::map<std::string, std::string> wrong = {
      {R"([])", "not an object"},
      {R"({"yes":1})", "yes: not true or false"},
      {R"({"small":"1"})", "small: not a whole number"},
      {R"({"cost":[]})", "cost: not a number"},
      {R"({"bytes":"?"})", "bytes: not base64"},
      {R"({"json":"{"})", "json: not JSON"},
      {R"({"json":{}})", "json: not a string"},
      {R"({"colour":"green"})", "colour: out of bounds"},
      {R"({"colour":1})", "colour: not a string"},
      {R"({"leaf":{"cost":""}})", "leaf.cost: not a number"},
      {R"({"list":[["a",{}],["b",[]]]})", "list.1.1: not an object"},
      {R"({"list":[["a"]]})", "list.0: not a pair"},
      {R"({"names":{}})", "names: not an array"},
      {R"({"by_name":{"x":{"text":null}}})", "by_name.x.text: not a string"},
      {R"({"by_id":[["1","a"]]})", "by_id.0.0: not a whole number"},
      {R"({"made":1000})", "made: out of bounds"},
  };
  for (const auto& [text, reason] : wrong) {
    auto read = Read(text);
    ASSERT_FALSE(read.ok()) << text;
    EXPECT_EQ(read.error().code, "handover_state");
    EXPECT_EQ(read.error().message, reason);
  }
}

TEST(SavedState, CutsWhatNobodyCanHaveCounted) {
  Tree tree;
  tree.count = std::numeric_limits<int64_t>::min();
  tree.cost = std::numeric_limits<double>::infinity();
  auto read = Read(SaveState(tree));
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(read->count, -saved_state::kMaxWhole);
  EXPECT_EQ(read->cost, 0);
  EXPECT_EQ(Read(R"({"made":-1})")->made, 0U);
  EXPECT_EQ(Read(R"({"small":99999999999})")->small, saved_state::kMaxInt);
}

}  // namespace
}  // namespace reeve
