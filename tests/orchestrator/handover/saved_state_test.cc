#include "orchestrator/handover/saved_state.h"

#include <gtest/gtest.h>

#include <limits>
#include <map>
#include <set>
#include <vector>

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
