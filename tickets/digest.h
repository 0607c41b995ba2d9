// SHA-256 (FIPS 180-4): what is kept of a secret in its place, and names what is too long to be a name.
#pragma once

#include <array>
#include <string>
#include <string_view>

namespace reeve {

using Digest = std::array<unsigned char, 32>;

Digest Sha256(std::string_view text);
std::string ToHex(const Digest& digest);

}  // namespace reeve
