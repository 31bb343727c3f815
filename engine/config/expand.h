// engine/config/expand.h - $name in values, as Postfix 3.7 does it (postconf(5), "Postfix
// configuration parameter file format"):
//
//   $name ${name} $(name)      the value, expanded in turn; nothing when the name is not defined
//   $$                         a dollar sign
//   ${name?text} ${name?{text}}          text when the value is not empty
//   ${name:text} ${name:{text}}          text when it is empty
//   ${name?{text}:{other}}               one or the other
//   ${{left} OP {right} ? {text} : {other}}, with OP == != < <= >= > (as numbers when both sides
//   are
//       digits, else as text), or one of these with `level` appended (compatibility levels a.b.c);
//       without `?` and `:` the result is "true" or nothing
//
// Expansion is lazy and recursive. A cycle ends at depth config_expansion_depth_max; the result and
// the work are bounded too, so that no file can make a start hang.
#pragma once

#include <cstddef>
#include <expected>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace mx::config {

// The unexpanded value of a name; nothing when it is not defined. The view lives as long as the
// expansion.
using NameLookup = std::function<std::optional<std::string_view>(std::string_view name)>;

// The error is a sentence without place.
std::expected<std::string, std::string> expand(std::string_view text, const NameLookup& lookup);

// Calls `found` for every name that `text` refers to, in whatever branch; unexpandable text ends it
// early.
void for_each_name(std::string_view text, const std::function<void(std::string_view)>& found);

// "a", "a.b", "a.b.c" as one number that orders as levels do; nothing for any other text.
std::optional<uint64_t> parse_compatibility_level(std::string_view text);

}  // namespace mx::config
