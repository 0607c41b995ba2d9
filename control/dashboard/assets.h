// Room dashboard/: the web page, the <agent-stream> element, and how the binary embeds them.
//
// Files that are embedded in the binary at build time by control/dashboard/embed.cmake.
#pragma once

#include <string_view>
#include <vector>

namespace reeve {

struct Asset {
  std::string_view name;  // "agent-stream.js"
  std::string_view bytes;
};
const std::vector<Asset>& DashboardAssets();  // the files of this folder
const std::vector<Asset>& ApiAssets();        // control/api/schemas.json

}  // namespace reeve
