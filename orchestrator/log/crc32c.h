// CRC-32C (Castagnoli; RFC 3720 appendix B.4), which finds every error of one bit in a block, and of any 32
// neighbouring bits.
#pragma once

#include <cstdint>
#include <string_view>

namespace reeve {

// The sum of `bytes`, or, given the sum of the bytes `before` them, of both.
uint32_t Crc32c(std::string_view bytes, uint32_t before = 0);

// The same for processors without an instruction for it; about four times slower.
uint32_t Crc32cByTable(std::string_view bytes, uint32_t before = 0);

}  // namespace reeve
