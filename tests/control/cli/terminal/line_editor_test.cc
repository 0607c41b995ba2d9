// Keys, and the line that they edit.
#include "control/cli/terminal/line_editor.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "control/cli/show/text.h"
#include "control/cli/terminal/console.h"

namespace reeve {
namespace {

using Kind = Key::Kind;

// Feeds the bytes at once and one by one, which must give the same keys.
std::vector<Key> KeysOf(const std::string& bytes) {
  KeyReader whole;
  const std::vector<Key> keys = whole.Feed(bytes);
  KeyReader slow;
  std::vector<Key> one_by_one;
  for (const char byte : bytes) {
    for (Key& key : slow.Feed({&byte, 1})) one_by_one.push_back(std::move(key));
  }
  EXPECT_EQ(keys.size(), one_by_one.size());
  for (size_t i = 0; i < std::min(keys.size(), one_by_one.size()); ++i) {
    EXPECT_EQ(keys[i].kind, one_by_one[i].kind);
    EXPECT_EQ(keys[i].text, one_by_one[i].text);
  }
  return keys;
}

LineEditor Typed(const std::string& bytes) {
  LineEditor editor;
  for (const Key& key : KeysOf(bytes)) editor.Take(key);
  return editor;
}

TEST(Keys, AreReadFromWhatATerminalSends) {
  const std::vector<Key> keys =
      KeysOf("aé\x1b[A\x1bOB\x1b[1;5D\x1b[3~\x1b\r\r\n\x7f\x03\x1b[99;99Zz\x1b\x1b[C");
  std::vector<Kind> kinds;
  for (const Key& key : keys) kinds.push_back(key.kind);
  EXPECT_EQ(kinds,
            (std::vector<Kind>{Kind::kText, Kind::kText, Kind::kUp, Kind::kDown, Kind::kWordLeft,
                               Kind::kDelete, Kind::kNewLine, Kind::kEnter, Kind::kNewLine, Kind::kBackspace,
                               Kind::kInterrupt, Kind::kOther, Kind::kText, Kind::kRight}));
  EXPECT_EQ(keys[1].text, "é");
}

TEST(Keys, ALoneEscapeIsAKeyWhenNothingFollows) {
  KeyReader keys;
  EXPECT_TRUE(keys.Feed("\x1b").empty());
  EXPECT_TRUE(keys.waits());
  const auto escape = keys.Lapse();
  ASSERT_EQ(escape.size(), 1U);
  EXPECT_EQ(escape[0].kind, Kind::kEscape);
  EXPECT_FALSE(keys.waits());
  EXPECT_TRUE(keys.Feed("\x1b[5").empty());
  EXPECT_TRUE(keys.Lapse().empty()) << "that is more than an Escape";
  EXPECT_EQ(keys.Feed("~").at(0).kind, Kind::kPageUp);
  EXPECT_EQ(keys.Feed("\x1b[6~").at(0).kind, Kind::kPageDown);
  EXPECT_TRUE(keys.Feed("\x1b[200~half\x1b").empty());
  EXPECT_TRUE(keys.Lapse().empty()) << "a paste may hold anything";
}

TEST(Keys, APasteIsOneKey) {
  const std::vector<Key> keys = KeysOf("\x1b[200~one\rtwo\r\nthree\x03\x1b[A\x1b[201~y");
  ASSERT_EQ(keys.size(), 2U);
  EXPECT_EQ(keys[0].kind, Kind::kPaste);
  EXPECT_EQ(keys[0].text, "one\ntwo\nthree\x03\x1b[A");
  EXPECT_EQ(keys[1].text, "y");
  const std::string large(KeyReader::kMaxPaste + 1000, 'x');
  EXPECT_EQ(KeyReader().Feed("\x1b[200~" + large + "\x1b[201~")[0].text.size(), KeyReader::kMaxPaste);
}

TEST(LineEditor, WritesAndErases) {
  EXPECT_EQ(Typed("héllo").text(), "héllo");
  EXPECT_EQ(Typed("hé\x7f").text(), "h");
  EXPECT_EQ(Typed("\x7f\x1b[3~").text(), "");
  EXPECT_EQ(Typed("one two  \x17").text(), "one ");
  EXPECT_EQ(Typed("one two\x1b[D\x1b[D\x0b").text(), "one t");
  EXPECT_EQ(Typed("one two\x1b[D\x1b[D\x15").text(), "wo");
  EXPECT_EQ(Typed("bc\x01"
                  "a\x05"
                  "d")
                .text(),
            "abcd");
  EXPECT_EQ(Typed("ac\x1b[Db").text(), "abc");
  EXPECT_EQ(Typed("one two\x1b"
                  "bbig \x1b"
                  "f!")
                .text(),
            "one big two!");
  EXPECT_EQ(Typed("a\nb").text(), "a\nb");
  EXPECT_EQ(Typed("a\xffz").text(), "az");  // not UTF-8
}

TEST(LineEditor, RecallsHistory) {
  LineEditor editor;
  auto type = [&editor](const std::string& bytes) {
    for (const Key& key : KeysOf(bytes)) editor.Take(key);
  };
  type("one");
  EXPECT_EQ(editor.Submit(), "one");
  EXPECT_TRUE(editor.empty());
  type("two");
  editor.Submit();
  type("draft\x1b[A\x1b[A\x1b[A");
  EXPECT_EQ(editor.text(), "one");
  type("\x1b[B\x1b[B\x1b[B");
  EXPECT_EQ(editor.text(), "draft");
  editor.Restore("two");
  EXPECT_EQ(editor.text(), "two\ndraft");
}

TEST(LineEditor, DrawsThePartAroundTheCursor) {
  PrepareOutput();
  EXPECT_EQ(Typed("hello").Draw(10).text, "hello");
  EXPECT_EQ(Typed("hello").Draw(10).cursor, 5U);
  EXPECT_EQ(Typed("a\nb\x1b[200~\tc\x1b[201~").Draw(10).text, "a⏎b c");
  EXPECT_EQ(Typed("0123456789").Draw(5).text, "6789");
  EXPECT_EQ(Typed("0123456789").Draw(5).cursor, 4U);
  EXPECT_EQ(Typed("0123456789\x01").Draw(5).text, "01234");
  EXPECT_EQ(Typed("0123456789\x01").Draw(5).cursor, 0U);
  EXPECT_EQ(Typed("中文字").Draw(5).text, "文字");
  EXPECT_EQ(Typed("中文字").Draw(5).cursor, 4U);
  for (size_t columns = 1; columns < 12; ++columns) {
    for (const char* text : {"中a文b字\x1b[D", "plain text\x1b[D\x1b[D", "é\xCC\x81x\x01"}) {
      const LineEditor::Row row = Typed(text).Draw(columns);
      EXPECT_LE(Columns(row.text), columns);
      EXPECT_LT(row.cursor, columns);
    }
  }
}

}  // namespace
}  // namespace reeve
