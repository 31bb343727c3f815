// maps/lookup.h - the answer of a look-up. "I could not find out" is an answer of its own, so that
// no caller can take a broken table for an empty one.
#pragma once

#include <cstdint>
#include <string_view>

#include "proto/base/fixed_text.h"
#include "proto/base/limits.h"

namespace mx::maps {

// Where a look-up puts a value that it has to make: `$1` of a pattern, the values of a union. A
// value that does not fit is a tempfail.
using ValueText = FixedText<limits::table_made_value_bytes_max>;

enum class Outcome : uint8_t { hit, miss, tempfail };

struct Lookup {
  Outcome outcome = Outcome::miss;
  std::string_view value;  // of a hit; lives as long as the table, or as its ValueText

  static Lookup hit(std::string_view value) { return {Outcome::hit, value}; }
  static Lookup miss() { return {}; }
  static Lookup tempfail() { return {Outcome::tempfail, {}}; }
  bool is_hit() const { return outcome == Outcome::hit; }
};

}  // namespace mx::maps
