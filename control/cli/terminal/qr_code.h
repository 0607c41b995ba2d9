// A QR code as text, for the camera of a phone.
#pragma once

#include <string>
#include <string_view>

#include "process/result.h"

namespace reeve {

// The lines of the code, each with its line end, with the empty border that the standard asks for (ISO/IEC
// 18004). A character shows two modules, one above the other. Light modules are drawn, because most terminals
// are dark; cameras read the opposite as well. Error "too_long" if the text does not fit into a code.
Result<std::string> QrCode(std::string_view text);

}  // namespace reeve
