// engine/policy/restrictions.h - the names of restrictions: those that act, the older names that
// Postfix still takes for them, and those that Postfix knows and this program does not serve yet.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "engine/policy/policy.h"

namespace mx::policy {

// What follows the name of a restriction.
enum class Argument : uint8_t { none, table, seconds, service, other };

struct KnownRestriction {
  std::string_view name;
  std::optional<Check> acts;  // none: known, not supported
  Argument argument = Argument::none;
};

// Names are compared without regard to case; nullptr when unknown.
const KnownRestriction* find_restriction(std::string_view name);
// The known name nearest to a misspelt one; empty when none is near.
std::string_view near_restriction(std::string_view name);

}  // namespace mx::policy
