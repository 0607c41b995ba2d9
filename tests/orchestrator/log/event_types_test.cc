#include "orchestrator/log/event_types.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <regex>
#include <set>
#include <string>

#include "tests/support/loop_fixture.h"
#include "tests/support/paths.h"

namespace reeve {
namespace {

// The table of the section "Events" in control/api/API.md.
std::set<std::string> DocumentedTypes() {
  const std::string page = ReadFile(std::string(kTests) + "/../control/api/API.md");
  const size_t begin = page.find("| type | data |"), end = page.find("\n\n", begin);
  EXPECT_NE(begin, std::string::npos);
  std::set<std::string> types;
  static const std::regex row(R"(\n\|([^|]*)\|)"), type("`([a-z]+\\.[a-z]+)`");
  const std::string table = page.substr(begin, end - begin);
  for (std::sregex_iterator at(table.begin(), table.end(), row), last; at != last; ++at) {
    const std::string cell = (*at)[1];
    for (std::sregex_iterator one(cell.begin(), cell.end(), type); one != last; ++one)
      types.insert((*one)[1]);
  }
  return types;
}

TEST(EventTypes, TheyAreThoseOfTheApi) {
  std::set<std::string> all;
  for (std::string_view type : event_type::kAll) EXPECT_TRUE(all.emplace(type).second) << type << " twice";
  EXPECT_EQ(all, DocumentedTypes());
}

TEST(EventTypes, OneOfThreeEndsARun) {
  EXPECT_EQ(std::count_if(std::begin(event_type::kAll), std::end(event_type::kAll), event_type::EndsRun), 3);
  EXPECT_TRUE(event_type::EndsRun("run.failed"));
  EXPECT_FALSE(event_type::EndsRun("run.started"));
}

}  // namespace
}  // namespace reeve
