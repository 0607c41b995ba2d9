#include "orchestrator/log/crc32c.h"

#include <array>
#include <bit>
#include <cstring>

namespace reeve {

namespace {

static_assert(std::endian::native == std::endian::little, "the bytes of a word are taken from its low end");

constexpr uint32_t kPolynomial = 0x82F63B78;  // 0x1EDC6F41 with its bits reversed

// kTables[n][byte]: the sum of `byte` followed by n zeros, so that eight bytes are processed at once.
constexpr std::array<std::array<uint32_t, 256>, 8> kTables = [] {
  std::array<std::array<uint32_t, 256>, 8> tables{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t sum = byte;
    for (int bit = 0; bit < 8; ++bit) sum = (sum >> 1U) ^ ((sum & 1U) != 0 ? kPolynomial : 0);
    tables[0][byte] = sum;
  }
  for (size_t zeros = 1; zeros < 8; ++zeros) {
    for (size_t byte = 0; byte < 256; ++byte) {
      const uint32_t sum = tables[zeros - 1][byte];
      tables[zeros][byte] = (sum >> 8U) ^ tables[0][sum & 0xFFU];
    }
  }
  return tables;
}();

uint64_t Word(std::string_view bytes) {
  uint64_t word = 0;
  std::memcpy(&word, bytes.data(), sizeof word);
  return word;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) uint32_t ByInstruction(std::string_view bytes, uint32_t before) {
  uint64_t sum = ~before;
  for (; bytes.size() >= 8; bytes.remove_prefix(8)) sum = __builtin_ia32_crc32di(sum, Word(bytes));
  auto rest = static_cast<uint32_t>(sum);
  for (const char c : bytes) rest = __builtin_ia32_crc32qi(rest, static_cast<unsigned char>(c));
  return ~rest;
}
#endif

}  // namespace

uint32_t Crc32cByTable(std::string_view bytes, uint32_t before) {
  uint32_t sum = ~before;
  for (; bytes.size() >= 8; bytes.remove_prefix(8)) {
    const uint64_t word = Word(bytes) ^ sum;
    sum = 0;
    for (size_t byte = 0; byte < 8; ++byte) sum ^= kTables[7 - byte][(word >> (8 * byte)) & 0xFFU];
  }
  for (const char c : bytes) sum = (sum >> 8U) ^ kTables[0][(sum ^ static_cast<unsigned char>(c)) & 0xFFU];
  return ~sum;
}

uint32_t Crc32c(std::string_view bytes, uint32_t before) {
#if defined(__x86_64__)
  static const bool has_instruction = __builtin_cpu_supports("sse4.2") != 0;
  if (has_instruction) return ByInstruction(bytes, before);
#endif
  return Crc32cByTable(bytes, before);
}

}  // namespace reeve
