// The shape of the data of content events (control/api/API.md, "Events"). Agents choose these data, so they
// are checked where they enter the vocabulary: a viewer may rely on the types below.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "orchestrator/json/json.h"

namespace reeve {

// The members of the data of any content event. A member may be absent.
std::span<const MemberType> ContentMembers();

// Whether `entries` are those of plan.updated: a list of objects.
bool IsPlan(const JsonValue& entries);

// Whether `data` are on one line and of the shape that viewers expect of this type. Types that reeve does not
// know may have any data.
bool HasItsShape(std::string_view type, std::string_view data);

// Callers have names in events: that of their token, or "agent:<id>". One without a name is a person.
inline constexpr std::string_view kUnnamedCaller = "person";
// Adds the caller who asked for an event, if it has a name.
void SetBy(JsonObject& data, std::string_view by);

// An amount that an agent reports: a count (tokens, lines, milliseconds), or a cost in dollars. Anything but
// a number counts as 0, and so does a negative one; one beyond any real use counts as kMaxCount or kMaxCost.
inline constexpr int64_t kMaxCount = 1'000'000'000'000'000;
inline constexpr double kMaxCost = 1e9;
int64_t CountIn(const JsonValue& value);
double CostIn(const JsonValue& value);
// Adds an amount to a sum, which stays within the same bounds.
void AddCount(int64_t& sum, int64_t more);
void AddCost(double& sum, double more);

}  // namespace reeve
