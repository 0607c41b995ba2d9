#include "orchestrator/log/crc32c.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace reeve {
namespace {

// RFC 3720 appendix B.4.
TEST(Crc32c, GivesTheSumsOfTheStandard) {
  std::string rising;
  std::string falling;
  for (int i = 0; i < 32; ++i) {
    rising += static_cast<char>(i);
    falling += static_cast<char>(31 - i);
  }
  const std::pair<std::string, uint32_t> examples[] = {
      {std::string(32, '\0'), 0x8A9136AA},
      {std::string(32, '\xFF'), 0x62A8AB43},
      {rising, 0x46DD794E},
      {falling, 0x113FDB5C},
      {"123456789", 0xE3069283},
      {"", 0},
  };
  for (const auto& [bytes, sum] : examples) {
    EXPECT_EQ(Crc32c(bytes), sum);
    EXPECT_EQ(Crc32cByTable(bytes), sum);
  }
}

TEST(Crc32c, IsTheSameByTableAndInParts) {
  std::mt19937_64 random(1);
  for (size_t size = 0; size < 300; ++size) {
    std::string bytes;
    for (size_t i = 0; i < size; ++i) bytes += static_cast<char>(random());
    const size_t cut = size == 0 ? 0 : random() % size;
    EXPECT_EQ(Crc32c(bytes), Crc32cByTable(bytes)) << size;
    const std::string_view view = bytes;
    EXPECT_EQ(Crc32c(bytes), Crc32c(view.substr(cut), Crc32c(view.substr(0, cut)))) << size << " at " << cut;
    EXPECT_EQ(Crc32c(bytes), Crc32cByTable(view.substr(cut), Crc32cByTable(view.substr(0, cut))));
  }
}

}  // namespace
}  // namespace reeve
