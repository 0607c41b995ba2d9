// SHA-256 (FIPS 180-4). We store the digest in place of a secret, and use it as a name where the original is
// too long to be one.
#pragma once

#include <array>
#include <string>
#include <string_view>

namespace reeve {

using Digest = std::array<unsigned char, 32>;

Digest Sha256(std::string_view text);
std::string ToHex(const Digest& digest);

}  // namespace reeve
