// Room dashboard/: the dashboard, the plain page, the <agent-stream> element, and how the binary embeds them.
//
// Files that are embedded in the binary at build time by control/dashboard/embed.cmake.
#pragma once

#include <string_view>
#include <vector>

namespace reeve {

struct Asset {
  std::string_view name;  // "agent-stream.js"
  std::string_view bytes;
  std::string_view etag;  // with its quotes: RFC 9110 section 8.8.3
};
const std::vector<Asset>& PageAssets();       // the files of this folder: the plain page and <agent-stream>
const std::vector<Asset>& DashboardAssets();  // the bundle of app/, or nothing in a build without npm
const std::vector<Asset>& ApiAssets();        // control/api/schemas.json

}  // namespace reeve
