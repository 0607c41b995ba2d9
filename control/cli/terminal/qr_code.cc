#include "control/cli/terminal/qr_code.h"

#include <qrencode.h>

#include <memory>

namespace reeve {

Result<std::string> QrCode(std::string_view text) {
  constexpr int kSmallest = 0;  // version: the smallest that fits
  constexpr int kBorder = 4;
  const std::unique_ptr<QRcode, decltype(&QRcode_free)> code(
      QRcode_encodeString(std::string(text).c_str(), kSmallest, QR_ECLEVEL_L, QR_MODE_8, 1), QRcode_free);
  if (!code) return Error{"too_long", "the text does not fit into a QR code"};
  const int width = code->width;
  const auto light = [&](int row, int column) {
    if (row < 0 || column < 0 || row >= width || column >= width) return true;
    return (code->data[row * width + column] & 1) == 0;
  };
  std::string lines;
  for (int row = -kBorder; row < width + kBorder; row += 2) {
    for (int column = -kBorder; column < width + kBorder; ++column) {
      const bool above = light(row, column);
      const bool below = light(row + 1, column);
      lines += above ? (below ? "█" : "▀") : (below ? "▄" : " ");
    }
    lines += '\n';
  }
  return lines;
}

}  // namespace reeve
