// maps/pattern_text.h - the text of a pattern table's rule: `$1`, `${1}`, `$(1)` and `$$` in it
// (mac_parse in Postfix), taken apart once when the table is compiled.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace mx::maps {

struct PatternText {
  struct Piece {
    std::string literal;
    uint32_t group = 0;  // what this group matched follows the literal; 0: nothing does
  };
  std::vector<Piece> pieces;  // when group_max is 0: exactly one
  uint32_t group_max = 0;

  const std::string& constant() const { return pieces.front().literal; }
};

// Complaints are Postfix's, one for each thing that is wrong; with any of them there is no text.
// `out_of_range`: Postfix's two ways to write that.
struct ParsedPatternText {
  PatternText text;
  std::vector<std::string> complaints;
};
ParsedPatternText parse_pattern_text(std::string_view source, std::string_view out_of_range);

}  // namespace mx::maps
