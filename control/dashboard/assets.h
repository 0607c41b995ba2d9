// Room dashboard/: the web page, the <agent-stream> element, and how the binary embeds them.
//
// The dashboard's files, embedded at build time by control/dashboard/embed.cmake.
#pragma once

#include <string_view>
#include <vector>

namespace reeve {

struct Asset {
  std::string_view name;  // "agent-stream.js"
  std::string_view bytes;
};
const std::vector<Asset>& DashboardAssets();

}  // namespace reeve
