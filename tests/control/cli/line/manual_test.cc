// Manual pages (control/cli/line/manual.h): nothing that a text says is taken for roff. That groff takes
// them, and that they tell everything: integration/manual_test.cc.
#include "control/cli/line/manual.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace reeve {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(ManualPage, SaysWhatIsMeant) {
  CommandLine line("For tests.", "reeve 9.9");
  Command command = line.root().Add("print", "Print `--this`, or not. And more.");
  command.Details(
      ".profile is read first.\n'tis \\n no escape, nor is \"this\" … ~ ^.\n  kept   as it is\n  .too\nOne ` "
      "only.");
  std::string text;
  command.Option("-f,--from-file", text, "this|that", ".rc, or else").Default("~/.rc");
  command.Argument("FILE", text, "One").Required();
  command.Variable("A_VARIABLE", "As --from-file.");
  command.File("~/.rc", "Read.");
  command.Example("reeve print '.x' | cat -A", "with a dot");
  const std::string page = ManualPage(*line.doc().Find("print"), "reeve 9.9");
  EXPECT_THAT(page, HasSubstr(".TH REEVE\\-PRINT 1 \"\" \"reeve 9.9\" \"Reeve Manual\"\n"));
  EXPECT_THAT(page, HasSubstr(".SH NAME\nreeve\\-print \\- print \\fB\\-\\-this\\fR, or not\n"));
  EXPECT_THAT(page, HasSubstr(".SH SYNOPSIS\n\\fBreeve print\\fR [\\fIOPTION\\fR]... \\fIFILE\\fR\n"));
  EXPECT_THAT(page, HasSubstr("\n.PP\n\\&.profile is read first.\n"));
  EXPECT_THAT(page, HasSubstr("\n\\(aqtis \\(rsn no escape, nor is \\(dqthis\\(dq \\[u2026] \\(ti \\(ha.\n"));
  EXPECT_THAT(page, HasSubstr(".nf\n\\&  kept   as it is\n\\&  .too\n.fi\n"));
  EXPECT_THAT(page, HasSubstr("One \\(ga only."));
  EXPECT_THAT(page, HasSubstr(".TP\n\\fB\\-f\\fR, \\fB\\-\\-from\\-file\\fR \\fIthis|\\:that\\fR\n"
                              "\\&.rc, or else (default: \\(ti/.rc).\n"));
  EXPECT_THAT(page, HasSubstr(".SH ENVIRONMENT\n.TP\n\\fBA_VARIABLE\\fR\nAs \\-\\-from\\-file.\n"));
  EXPECT_THAT(page, HasSubstr(".SH FILES\n.TP\n\\fB\\(ti/.rc\\fR\nRead.\n"));
  EXPECT_THAT(page,
              HasSubstr(".SH EXAMPLES\n.TP\n\\fBreeve print \\(aq.x\\(aq | cat \\-A\\fR\nwith a dot\n"));
  EXPECT_THAT(page, HasSubstr(".SH SEE ALSO\n\\fBreeve\\fR(1)\n"));
  EXPECT_THAT(ManualPage(line.doc(), "reeve 9.9"), HasSubstr(".TP\n\\fBreeve\\-print\\fR(1)\nPrint"));
}

}  // namespace
}  // namespace reeve
